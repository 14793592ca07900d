"""How much is asked to compare probes and to calibrate a short training.

Apart from what asks it, so that `tmap plan` counts the work without loading a search.
"""

from __future__ import annotations

#: Faults that are planted: the answer of another row, its first third, its words shuffled.
FAULTS = ("swapped", "truncated", "shuffled")
#: Groups that each probe measures with and without each fault, cheapest probe first.
GROUPS = {"icl": 96, "icl_logprob": 96, "sft": 12}
#: Learning rates that a calibration tries, as multiples of the model card's.
MULTIPLES = (1.0, 3.0, 10.0, 30.0)
#: Trainings of a calibration at each rate.
TRIES = 3

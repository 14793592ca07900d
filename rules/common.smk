"""Names shared by all chapters: known cards and legal wildcards."""

from pathlib import Path

from tmap import embeddings, indicators, settings
from tmap.names import one_of
from tmap.provenance import fingerprint

METHODS = cards.names("methods")
LOOKS_AT_TARGET = [n for n in indicators.names() if indicators.get(n).per_model]
LOOKS_AT_JUDGE = [
    n for n in indicators.names() if indicators.get(n).looks_at == "judge"
]


wildcard_constraints:
    dataset=one_of(cards.names("datasets")),
    model=one_of(cards.names("models")),
    proxy=one_of(cards.names("models")),
    method=one_of(METHODS),
    seed="[0-9]+",
    training_seed="[0-9]+",
    round="[0-9]+",


def computes(w):
    """The model card that an indicator's job computes with, or None."""
    return paths.model_of_indicator(w.dataset, w.get("model"), w.indicator)


# One environment for the whole workflow, with the versions of constraints.txt.
# `--sdm conda` builds it; without, the active one is used.
ENVIRONMENT = f"../envs/{SETTINGS.environment}.yaml"

"""Errors of the estimators, measured on subjects that they did not learn from.

Everything is repeated without a fifth of the subjects: item parameters, the choice of
anchors at the real S, the ridge. So the errors are those that a new model meets, as far as
it is like the history's subjects.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from tmap.tiny import anchors, estimators, irt
from tmap.tiny.history import History

FOLDS = 5


class Errors(NamedTuple):
    """Measured at one S.

    Attributes
    ----------
    trust : lambda of eq. 6, in [0, 1]
    rmse : root mean squared error of every estimator, in accuracy; that of p_irt is b
    """

    trust: float
    rmse: dict[str, float]

    @property
    def notes(self) -> dict[str, Any]:
        """As in the metadata of table `tiny`."""
        return {"lambda": self.trust, "rmse": self.rmse}


def measure(
    history: History, dimension: int, sizes: Sequence[tuple[int, int]], seed: int
) -> list[tuple[Errors | None, Errors | None]]:
    """Errors with the tiny and with the confirm set of each pair of sizes.

    Parameters
    ----------
    history : all subjects
    dimension : D of the item response model
    sizes : n_anchors and n_confirm; a set of size 0 has no errors (None)
    seed : of the folds, the fits and the choice of anchors
    """
    folds = np.random.default_rng(seed).permutation(len(history.subject_ids)) % FOLDS
    missed: list[list[dict[str, np.ndarray]]] = [[] for _ in range(2 * len(sizes))]
    for fold in range(FOLDS):
        learned = history.take(np.flatnonzero(folds != fold))
        held = history.take(np.flatnonzero(folds == fold))
        answers = np.where(np.isnan(held.correct), learned.facility, held.correct)
        items = irt.mode(learned.correct, dimension, seed).items
        pairs = [anchors.both(items, learned, *pair, seed) for pair in sizes]
        for found, sets in zip(missed, chain(*pairs), strict=True):
            guesses = _guesses(sets, items, learned, answers)
            found.append({name: g - held.accuracy for name, g in guesses.items()})
    errors = [_summary(found) for found in missed]
    return list(zip(errors[::2], errors[1::2], strict=True))


def _guesses(
    sets: dict[str, anchors.Anchors],
    items: irt.Items,
    learned: History,
    answers: np.ndarray,
) -> dict[str, np.ndarray]:
    """What each estimator but gp_irt, the blend of two, says of every held-out subject."""
    found = {}
    for name, anchor_set in estimators.ANCHOR_SETS.items():
        if name != "gp_irt" and anchor_set in sets:
            position, weight, _ = sets[anchor_set]
            estimate = estimators.function(name, position, weight, items, learned)
            found[name] = estimate(answers[:, position])
    return found


def _summary(folds: list[dict[str, np.ndarray]]) -> Errors | None:
    """Errors over all subjects from those of each fold."""
    error = {name: np.concatenate([fold[name] for fold in folds]) for name in folds[0]}
    if not error:
        return None
    trust = estimators.trust_in_answers(error["weighted_mean"], error["p_irt"])
    error["gp_irt"] = trust * error["weighted_mean"] + (1 - trust) * error["p_irt"]
    return Errors(trust, {n: float(np.sqrt(np.mean(e**2))) for n, e in error.items()})

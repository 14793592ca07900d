"""A search of two weights whose rewards are known."""

from __future__ import annotations

import numpy as np

from tmap.cards.method import SearchSection
from tmap.search.outcome import Evaluation, Outcome

SETTINGS = SearchSection(n_initial=3, n_iterations=5)


def value(weights) -> float:
    return 1 - float(np.sum((np.asarray(weights) - [0.8, 0.2]) ** 2))


def evaluate(weights) -> Evaluation:
    shown = [[f"{w:.1f}" for w in weights]]
    return Evaluation(
        Outcome(value(weights), np.array([0.5]), 0.1, 0.0, 5, 0, 0), shown
    )

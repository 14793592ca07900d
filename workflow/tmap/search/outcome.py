"""The result of one evaluation of demonstrations, shared by reward and search."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tmap.engines.base import Spent


@dataclass(frozen=True)
class Outcome:
    """The result of one evaluation.

    Attributes
    ----------
    reward : mean over groups
    group_accuracy : (m,) estimate of each group
    se_items : of the estimator on held-out subjects, shared by all w: for absolute
        intervals only
    se_groups : sd over groups / sqrt(m); NaN for one group
    new_tokens, ledger_hits : tokens generated; groups answered from the ledger
    seconds : total time; 0 if the ledger had every answer
    spent : how the engine spent them
    raced : stopped before all groups were asked, so `group_accuracy` has fewer
    """

    reward: float
    group_accuracy: np.ndarray
    se_items: float
    se_groups: float
    new_tokens: int
    ledger_hits: int
    seconds: float
    spent: Spent = field(default_factory=Spent)
    raced: bool = False


@dataclass(frozen=True)
class Evaluation:
    """The outcome of one weight vector, and the samples that were shown."""

    outcome: Outcome
    exemplars: list[list[str]]

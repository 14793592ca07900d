"""The result of one evaluation of demonstrations, shared by reward and search."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tmap.engines.base import Spent

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """The result of one evaluation.

    Attributes
    ----------
    reward : mean over groups
    group_accuracy : (m,) estimate of each group
    se_items : sqrt(lambda v / 4S), shared by all w: for absolute intervals only
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


def confirmed(name: str, outcome: Outcome) -> dict[str, Any]:
    """What weights.json says of a candidate on the confirm set."""
    logger.info("confirm %s: reward %.4f", name, outcome.reward)
    errors = {"se_items": outcome.se_items, "se_groups": outcome.se_groups}
    return {
        "name": name,
        "reward": outcome.reward,
        **{key: None if np.isnan(e) else float(e) for key, e in errors.items()},
    }


def timing(
    iteration: int,
    seconds: float,
    spent: Spent,
    thinking: float,
    new_tokens: int,
    hits: int,
) -> dict[str, Any]:
    """A row of table 'search_timings'.

    Parameters
    ----------
    seconds : of the answers, in the engine or not
    thinking : seconds of the learner
    hits : answers that the ledger had
    """
    in_engine = spent.prefill_seconds + spent.decode_seconds
    return {
        "iteration": iteration,
        "reward_seconds": seconds,
        "prefill_seconds": spent.prefill_seconds,
        "decode_seconds": spent.decode_seconds,
        "score_seconds": max(0.0, seconds - in_engine),
        "floor_seconds": spent.floor_seconds if in_engine else 0.0,
        "prompt_tokens": spent.prompt_tokens,
        "optimizer_seconds": thinking,
        "new_tokens": new_tokens,
        "ledger_hits": hits,
    }

"""TMAP for one dataset, model and method: from tables to learned weights.

Ties the parts together: features and weights give a ranking, the ranking gives groups of
demonstrations, the reward measures them, the search proposes the next weights; then the
chosen weights are confirmed on questions and a dealing that the search never saw.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tmap import exemplars, posterior, selection
from tmap.cards.method import SearchSection
from tmap.features import Features
from tmap.prompts import Demo
from tmap.reward import Reward, digest
from tmap.samples import answer_of, question_of
from tmap.search import Evaluation, Found

logger = logging.getLogger(__name__)


class Candidates:
    """The pool as the search sees it: features, tie-breaks and demonstrations.

    Parameters
    ----------
    pool : table 'pool'
    features : its normalised columns, in the order of the pool
    search : policy, m and n
    n_selected : M
    """

    def __init__(
        self,
        pool: pd.DataFrame,
        features: Features,
        search: SearchSection,
        n_selected: int,
    ) -> None:
        self.pool, self.features, self.search = pool, features, search
        self.ties = selection.tie_rank(pool["text_hash"], pool["sample_id"])
        self.n_needed = exemplars.n_needed(
            search.exemplars, search.n_groups, search.n_shots, n_selected
        )

    def groups(self, weights: np.ndarray, turn: int = 0) -> np.ndarray:
        """(m, n) row numbers of the demonstrations under these weights."""
        score = selection.scores(self.features.matrix, weights)
        n = min(self.n_needed, len(score))
        ranked = selection.top(score, self.ties, n)
        how = self.search
        return exemplars.deal(ranked, how.n_groups, how.n_shots, how.exemplars, turn)

    def demos(self, groups: np.ndarray) -> list[list[Demo]]:
        """The demonstrations' texts, group by group."""
        rows = self.pool.iloc[groups.ravel()].to_dict("records")
        demos = [Demo(question_of(row), answer_of(row)) for row in rows]
        n = groups.shape[1]
        return [demos[start : start + n] for start in range(0, len(demos), n)]

    def ids(self, groups: np.ndarray) -> list[list[str]]:
        """The demonstrations' sample_ids, group by group."""
        ids = self.pool["sample_id"].to_numpy()
        return [[str(ids[i]) for i in group] for group in groups]

    def evaluate(self, reward: Reward, weights: np.ndarray, turn: int = 0) -> Evaluation:
        """What these weights are worth on the reward's question set."""
        groups = self.groups(weights, turn)
        return Evaluation(reward(self.demos(groups)), self.ids(groups))

    def key(self, bounds: tuple[float, float], seed: int, rewards: str) -> str:
        """Names a search: all that steers it but its length and how it is confirmed."""
        how = self.search.model_dump(
            exclude={"n_iterations", "confirm_top", "warm_start"}
        )
        return digest(
            {
                "features": hashlib.sha256(self.features.matrix.tobytes()).hexdigest(),
                "samples": self.pool["text_hash"].tolist(),
                "names": list(self.features.names),
                "needed": self.n_needed,
                "bounds": list(bounds),
                "search": how,
                "seed": seed,
                "reward": rewards,
            }
        )


@dataclass(frozen=True)
class Choice:
    """The weights that a search ends with.

    Attributes
    ----------
    weights : (K,) the evaluated point with the best posterior mean
    interval : (K, 2) 90 % interval of w / max w, or None without a fitted process
    ranking : iterations by posterior mean, best first, one per set of demonstrations
    """

    weights: np.ndarray
    interval: np.ndarray | None
    ranking: list[int]


def choose(found: Found, bounds: tuple[float, float], seed: int) -> Choice:
    """Pick w* by posterior mean; without guided iterations by reward."""
    value = found.rewards
    interval = None
    if found.model is not None:
        value = posterior.means(found.model, found.space, found.points)
        interval = posterior.interval(
            found.model, found.space, found.points, bounds, seed
        )
    order = np.lexsort((np.arange(len(value)), -value))
    ranking, shown = [], set()
    for t in order.tolist():
        key = digest([list(map(str, group)) for group in found.trace["exemplars"][t]])
        if key not in shown:
            shown.add(key)
            ranking.append(t)
    return Choice(found.points[ranking[0]], interval, ranking)


def confirm(
    candidates: Candidates, reward: Reward, found: Found, choice: Choice, n: int
) -> list[dict[str, Any]]:
    """Re-score the best few and uniform weights on fresh questions and a new dealing."""
    named: list[tuple[str, np.ndarray]] = [
        (f"iteration {t}", found.points[t]) for t in choice.ranking[:n]
    ]
    named.append(("uniform", np.ones(found.points.shape[1])))
    rows = []
    for name, weights in named:
        outcome = candidates.evaluate(reward, weights, turn=1).outcome
        logger.info("confirm %s: reward %.4f", name, outcome.reward)
        rows.append(
            {
                "name": name,
                "weights": [float(w) for w in weights],
                "reward": outcome.reward,
                "se_items": outcome.se_items,
                "se_groups": _number(outcome.se_groups),
            }
        )
    return rows


def summary(
    names: list[str],
    found: Found,
    choice: Choice,
    confirmed: list[dict[str, Any]],
    notes: dict[str, Any],
) -> dict[str, Any]:
    """The content of weights.json; `reward` is the confirmed one."""
    best = choice.ranking[0]
    warnings = list(notes.pop("warnings", []))
    if np.ptp(found.rewards) == 0:
        warnings.append(
            f"all {len(found.rewards)} rewards are equal ({found.rewards[0]:.3f}): the "
            "demonstrations never change the answers, so these weights mean nothing; "
            "check n_shots, the answer reader and the model on trace.parquet"
        )
    interval = None if choice.interval is None else choice.interval.tolist()
    return {
        "indicators": names,
        "weights": [float(w) for w in choice.weights],
        "weights_relative": posterior.relative(choice.weights).tolist(),
        "interval": interval,
        "iteration": best,
        "reward": confirmed[0]["reward"],
        "reward_search": float(found.rewards[best]),
        "uniform_reward": confirmed[-1]["reward"],
        "confirm": confirmed,
        "n_evaluations": len(found.rewards),
        "new_tokens": int(found.timings["new_tokens"].sum()),
        **notes,
        "warnings": warnings,
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


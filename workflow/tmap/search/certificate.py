"""Whether the few-shot reward ranks subsets as fine-tuning does, for a task and a model.

Sentinels are selections that a search has already given a reward: half spread over the
range of rewards, half near the weights that it chose. The model is trained on
each and measured on reward-role questions outside the tiny set, never on test questions.
Spearman's rank correlation of reward and trained accuracy then gives the verdict::

    trust     the lower end of its 90 % interval exceeds 0.3
    abstain   the upper end is below 0.3, or the correlation is at most 0
    weak      otherwise

The rewards of a search that asks groups are the accuracies that its line predicts for
selections under random weights (`predicted`), because it measures none.

Under `abstain` the recommended subset is the safe choice that the method's card named
before anything was measured. A search whose rewards are all equal, or with too few
different selections, has no sentinels: it abstains, and nothing is trained. The
interval resamples sentinels (pairs of reward and accuracy); noise of questions and
training seeds weakens the correlation and so counts against the proxy. This test is
ours; the paper only has one table of four pairs (its Table 8).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from tmap.errors import TmapError
from tmap.selection import ranking
from tmap.selection.features import Features

THRESHOLD, LEVEL = 0.3, 0.90
N_RESAMPLES = 10_000
#: Random weight vectors whose selections a group search may offer as sentinels.
N_PREDICTED = 100


class Sentinel(NamedTuple):
    """An evaluated point of a search; `role` is spread or near."""

    iteration: int
    weights: list[float]
    reward: float
    role: str


def subsets(
    matrix: np.ndarray, points: np.ndarray, ties: np.ndarray, n: int
) -> list[frozenset[int]]:
    """The n best rows under each of the (T, K) weights."""
    return [
        frozenset(ranking.top(ranking.scores(matrix, w), ties, n).tolist())
        for w in points
    ]


def overlaps(chosen: Sequence[frozenset[int]]) -> np.ndarray:
    """(T, T) Jaccard index of every pair of sets, none of which is empty."""
    return np.array([[len(a & b) / len(a | b) for b in chosen] for a in chosen])


def choose(
    rewards: np.ndarray, chosen: Sequence[frozenset[int]], incumbent: int, n: int
) -> list[tuple[int, str]]:
    """n points with different subsets: n // 2 near the incumbent, the rest spread.

    Near: the incumbent, then the points whose subsets overlap most with its own. Spread:
    the points closest to evenly spaced rewards from the lowest to the highest.

    Parameters
    ----------
    rewards, chosen : (T,) of a search, and the subset of each point
    incumbent : the point whose weights the search chose

    Returns
    -------
    (point, role), spread points first; requires at least n different subsets
    """
    own = chosen[incumbent]
    first: dict[frozenset[int], int] = {own: incumbent}
    for t, rows in enumerate(chosen):
        first.setdefault(rows, t)

    def far(t: int) -> tuple[float, int]:
        return -len(own & chosen[t]) / len(own | chosen[t]), t

    near = sorted(first.values(), key=far)[: n // 2]
    left = sorted(set(first.values()) - set(near))
    spread = []
    for target in np.linspace(rewards.min(), rewards.max(), n - n // 2):
        t = min(left, key=lambda t: (abs(rewards[t] - target), t))
        spread.append(t)
        left.remove(t)
    return [(t, "spread") for t in sorted(spread)] + [(t, "near") for t in near]


def predicted(
    matrix: np.ndarray, about: dict[str, Any], ties: np.ndarray, size: int
) -> tuple[pd.DataFrame, int | None]:
    """Points of a group search in the form of a trace, and which one it chose.

    Parameters
    ----------
    matrix : (N, K) columns of the pool
    about : content of weights.json; its line predicts the accuracy after a selection
    ties, size : of the selection

    Returns
    -------
    Columns `iteration`, `weights`, `reward` and `raced`; the chosen point is the first,
    the others are drawn uniformly within the bounds. None if the search abstained
    """
    line = about["groups"]
    beta, centre = np.array(line["coefficients"]), np.array(line["mean_columns"])
    lowest = -1.0 if np.any(beta < 0) else 0.0
    rng = np.random.default_rng(about["seed"])
    drawn = rng.uniform(lowest, 1.0, (N_PREDICTED, len(beta)))
    points = np.vstack([about["weights"], drawn])
    rewards = [
        line["mean"] + float((matrix[list(rows)].mean(axis=0) - centre) @ beta)
        for rows in subsets(matrix, points, ties, size)
    ]
    frame = pd.DataFrame({"weights": list(points), "reward": rewards})
    frame["iteration"], frame["raced"] = np.arange(len(points)), False
    return frame, None if about["abstains"] else 0


def sentinels(
    pool: pd.DataFrame,
    columns: Features,
    trace: pd.DataFrame,
    about: dict[str, Any],
    fraction: float,
    n: int,
) -> dict[str, Any]:
    """The content of sentinels.json: n sentinels, and how much their subsets overlap.

    Parameters
    ----------
    pool, columns : table 'pool', and its normalised columns that the weights apply to
    trace : table 'trace' of the search; raced rows have partial rewards and are left out
    about : content of weights.json
    fraction : M / N

    Returns
    -------
    No sentinels, but a `reason`, if the search has too few to offer
    """
    ties = ranking.tie_rank(pool["text_hash"], pool["sample_id"])
    size = ranking.n_selected(fraction, len(pool))
    incumbent, has = about["iteration"], "measured {} different subsets in full"
    if about.get("groups"):
        trace, incumbent = predicted(columns.matrix, about, ties, size)
        has = "found {} different subsets"
    trace = trace[~trace["raced"].astype(bool)].reset_index(drop=True)
    rewards = trace["reward"].to_numpy(dtype=float)
    found: dict[str, Any] = {"indicators": list(columns.names), "reason": None}
    if incumbent is None or np.ptp(rewards) == 0:
        why = "the search learned nothing from its groups"
        if not about.get("groups"):
            why = "all rewards of the search are equal, so they rank nothing"
        return found | _none(why)
    points = np.stack(trace["weights"].to_numpy())
    chosen = subsets(columns.matrix, points, ties, size)
    if len(set(chosen)) < n:
        return found | _none(
            f"the search {has.format(len(set(chosen)))}, and {n} sentinels are needed"
        )
    iterations = trace["iteration"].tolist()
    named = choose(rewards, chosen, iterations.index(incumbent), n)
    shared = overlaps([chosen[t] for t, _ in named])
    pairs = shared[np.triu_indices(n, 1)]
    return found | {
        "sentinels": [
            Sentinel(
                iterations[t], points[t].tolist(), float(rewards[t]), role
            )._asdict()
            for t, role in named
        ],
        "jaccard": shared.round(4).tolist(),
        "jaccard_range": [float(f(pairs)) for f in (np.min, np.median, np.max)],
    }


def _none(reason: str) -> dict[str, Any]:
    return {"sentinels": [], "reason": reason, "jaccard": [], "jaccard_range": None}


def judge(rewards: np.ndarray, accuracies: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Verdict, correlation, one-sided permutation p and bootstrap interval.

    Parameters
    ----------
    rewards : (n,) of the sentinels
    accuracies : (n,) after training, mean over training seeds
    seed : of permutations and resamples
    """
    if np.ptp(rewards) == 0 or np.ptp(accuracies) == 0:
        what = "rewards" if np.ptp(rewards) == 0 else "accuracies"
        reason = f"all {what} are equal, so they rank nothing: abstain"
        found = {"rho": 0.0, "p": 1.0, "interval": [0.0, 0.0]}
        return {"verdict": "abstain", **found, "reason": reason}
    rng = np.random.default_rng(seed)
    rho = spearman(rewards[None], accuracies[None])[0]
    shuffled = rng.permuted(np.tile(accuracies, (N_RESAMPLES, 1)), axis=1)
    above = spearman(np.tile(rewards, (N_RESAMPLES, 1)), shuffled) >= rho - 1e-12
    p = (1 + above.sum()) / (N_RESAMPLES + 1)
    rows = rng.integers(0, len(rewards), (N_RESAMPLES, len(rewards)))
    drawn = spearman(rewards[rows], accuracies[rows])
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    name = verdict(float(rho), float(low), float(high))
    return {
        "verdict": name,
        "rho": float(rho),
        "p": float(p),
        "interval": [float(low), float(high)],
        "reason": f"rank correlation {rho:+.2f}, {LEVEL:.0%} interval {low:+.2f} to "
        f"{high:+.2f}, against {THRESHOLD}: {name}",
    }


def verdict(rho: float, low: float, high: float) -> str:
    """trust, weak or abstain: see the docstring of this module."""
    if rho <= 0 or high < THRESHOLD:
        return "abstain"
    return "trust" if low > THRESHOLD else "weak"


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rank correlation of each pair of rows; ties get their mean rank, constants give 0."""
    x, y = (stats.rankdata(values, axis=1) for values in (a, b))
    x, y = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (x, y))
    size = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return np.divide((x * y).sum(axis=1), size, out=np.zeros(len(x)), where=size > 0)


def certify(
    about: dict[str, Any],
    answers: Sequence[Sequence[pd.DataFrame]],
    seen: set[str],
    method: str,
    safe: str,
) -> dict[str, Any]:
    """The content of certificate.json.

    Parameters
    ----------
    about : content of sentinels.json
    answers : sentinel -> training seed -> table 'predictions' of reward questions
    seen : ids of the questions that the search asked
    method, safe : the method recommended, and the one recommended under `abstain`

    Raises
    ------
    TmapError : no reward question was left out of the tiny set, or answers are missing
    """
    if len(answers) != len(about["sentinels"]):
        raise TmapError(
            f"{len(about['sentinels'])} sentinels were chosen, and {len(answers)} were "
            "measured. Name the predictions of each sentinel, grouped by sentinel."
        )
    rewards = np.array([sentinel["reward"] for sentinel in about["sentinels"]])
    accuracies = np.array(
        [[_accuracy(frame, seen) for frame in runs] for runs in answers]
    )
    n = 0
    if about["sentinels"]:
        found = judge(rewards, accuracies.mean(axis=1))
        n = int((~answers[0][0]["question_id"].isin(seen)).sum())
    else:
        nothing = {"rho": None, "p": None, "interval": None}
        found = {"verdict": "abstain", **nothing, "reason": about["reason"]}
    return {
        **found,
        "recommended": safe if found["verdict"] == "abstain" else method,
        "safe": safe,
        "threshold": THRESHOLD,
        "n_sentinels": len(rewards),
        "n_seeds": len(answers[0]) if answers else 0,
        "n_questions": n,
        "sentinels": [
            {**sentinel, "accuracies": row.tolist(), "accuracy": float(row.mean())}
            for sentinel, row in zip(about["sentinels"], accuracies, strict=True)
        ],
        "jaccard": about["jaccard"],
        "jaccard_range": about["jaccard_range"],
    }


def _accuracy(frame: pd.DataFrame, seen: set[str]) -> float:
    outside = frame[~frame["question_id"].isin(seen)]
    if outside.empty:
        raise TmapError(
            "The search asked every reward question, so none is left to certify it. "
            "Certify a method whose reward uses a tiny set, or set tiny.n_confirm in the "
            "dataset card for a search that asks groups."
        )
    return float(outside["is_correct"].mean())

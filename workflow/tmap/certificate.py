"""Whether the few-shot reward ranks subsets as fine-tuning does, for a task and a model.

Sentinels are selections that a search has already given a reward: half spread over the
range of rewards, half near the weights that it chose. Each is trained on and measured on
reward-role questions outside the tiny set, never on test questions. Spearman's rank
correlation of reward and trained accuracy then says what the reward is worth::

    trust     the lower end of its 90 % interval exceeds 0.3
    abstain   the upper end is below 0.3, or the correlation is at most 0
    weak      else

Under `abstain` the recommended subset is the safe choice that the method's card named
before anything was measured. The interval resamples sentinels (pairs of reward and
accuracy); noise of questions and training seeds weakens the correlation and so counts
against the proxy. Ours; the paper has one table of four pairs (its Table 8).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from tmap import selection
from tmap.errors import TmapError
from tmap.features import Features

THRESHOLD, LEVEL = 0.3, 0.90
N_RESAMPLES = 10_000


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
        frozenset(selection.top(selection.scores(matrix, w), ties, n).tolist())
        for w in points
    ]


def overlaps(chosen: Sequence[frozenset[int]]) -> np.ndarray:
    """(T, T) Jaccard index of every pair of sets, none of them empty."""
    return np.array([[len(a & b) / len(a | b) for b in chosen] for a in chosen])


def choose(
    points: np.ndarray,
    rewards: np.ndarray,
    chosen: Sequence[frozenset[int]],
    incumbent: int,
    n: int,
) -> list[Sentinel]:
    """n sentinels with different subsets: n // 2 near the incumbent, the rest spread.

    Near: the incumbent, then those whose subsets share most with its own. Spread: those
    closest to evenly spaced rewards from the lowest to the highest.

    Parameters
    ----------
    points, rewards : (T, K) and (T,) of a search
    chosen : the subset of each point
    incumbent : the iteration whose weights the search chose

    Raises
    ------
    TmapError : the search tried fewer than n different subsets
    """
    first: dict[frozenset[int], int] = {chosen[incumbent]: incumbent}
    for t, rows in enumerate(chosen):
        first.setdefault(rows, t)
    left = sorted(first.values())
    if len(left) < n:
        raise TmapError(
            f"The search tried {len(left)} different subsets; {n} sentinels are needed. "
            "Let it run longer (search.n_iterations in the method card)."
        )
    own = chosen[incumbent]

    def far(t: int) -> tuple[float, int]:
        return -len(own & chosen[t]) / len(own | chosen[t]), t

    near = sorted(left, key=far)[: n // 2]
    left = [t for t in left if t not in near]
    spread = []
    for target in np.linspace(rewards.min(), rewards.max(), n - n // 2):
        t = min(left, key=lambda t: (abs(rewards[t] - target), t))
        spread.append(t)
        left.remove(t)
    named = [(t, "spread") for t in sorted(spread)] + [(t, "near") for t in near]
    return [
        Sentinel(t, [float(w) for w in points[t]], float(rewards[t]), role)
        for t, role in named
    ]


def sentinels(
    pool: pd.DataFrame,
    columns: Features,
    trace: pd.DataFrame,
    incumbent: int,
    fraction: float,
    n: int,
) -> dict[str, Any]:
    """The content of sentinels.json: n sentinels, and how much their subsets share.

    Parameters
    ----------
    pool, columns : table 'pool', and the normalised columns that are weighed
    trace : table 'trace' of the search
    incumbent : the iteration that it chose
    fraction : M / N
    """
    points = np.stack(trace["weights"].to_numpy())
    ties = selection.tie_rank(pool["text_hash"], pool["sample_id"])
    size = selection.n_selected(fraction, len(pool))
    chosen = subsets(columns.matrix, points, ties, size)
    found = choose(points, trace["reward"].to_numpy(), chosen, incumbent, n)
    shared = overlaps([chosen[one.iteration] for one in found])
    pairs = shared[np.triu_indices(n, 1)]
    return {
        "indicators": list(columns.names),
        "sentinels": [one._asdict() for one in found],
        "jaccard": shared.round(4).tolist(),
        "jaccard_range": [float(f(pairs)) for f in (np.min, np.median, np.max)],
    }


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
        reason = f"all {what} are equal, so nothing ranks: abstain"
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
    """trust, weak or abstain: see the head of this module."""
    if rho <= 0 or high < THRESHOLD:
        return "abstain"
    return "trust" if low > THRESHOLD else "weak"


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rank correlation of each pair of rows, ties at their mean rank; 0 of a constant."""
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
    method, safe : what is recommended, under `abstain` the second

    Raises
    ------
    TmapError : no reward question was left out of the tiny set
    """
    accuracies = np.array(
        [[_accuracy(frame, seen) for frame in runs] for runs in answers]
    )
    rewards = np.array([sentinel["reward"] for sentinel in about["sentinels"]])
    found = judge(rewards, accuracies.mean(axis=1))
    n = int((~answers[0][0]["question_id"].isin(seen)).sum())
    return {
        **found,
        "recommended": safe if found["verdict"] == "abstain" else method,
        "safe": safe,
        "threshold": THRESHOLD,
        "n_sentinels": len(rewards),
        "n_seeds": accuracies.shape[1],
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
            "The search asked every reward question, so none is left to certify its "
            "reward with. Certify a method whose reward uses a tiny set."
        )
    return float(outside["is_correct"].mean())

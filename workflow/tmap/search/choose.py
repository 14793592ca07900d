"""Choose weights from a finished search and confirm them.

w* is the evaluated point with the best posterior mean. The best few points and uniform
weights are then measured on questions and a dealing that the search never used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from tmap.search import outcome, posterior
from tmap.search.ledger import short_digest
from tmap.search.loop import Found
from tmap.search.outcome import Evaluation


@dataclass(frozen=True)
class Choice:
    """The weights that a search ends with.

    Attributes
    ----------
    weights : (K,) the evaluated point with the best posterior mean; all 1 if the search
        abstains because all rewards were equal
    interval : (K, 2) 90 % interval of w / max w; None without a fitted process or
        if the search abstains
    ranking : iterations by posterior mean, best first, one per set of demonstrations;
        empty if the search abstains
    """

    weights: np.ndarray
    interval: np.ndarray | None
    ranking: list[int]


def choose(found: Found, bounds: tuple[float, float], seed: int) -> Choice:
    """Pick w* by posterior mean, or by reward if there were no guided iterations."""
    if constant(found.rewards):
        return Choice(np.ones(found.points.shape[1]), None, [])
    value = found.rewards
    interval = None
    raced = found.trace["raced"].to_numpy(dtype=bool)
    if found.model is not None:
        value = posterior.means(found.model, found.space, found.points)
        whole = found.points[~raced]  # a raced point is never chosen
        interval = posterior.interval(found.model, found.space, whole, bounds, seed)
    order = np.lexsort((np.arange(len(value)), -value))
    ranking, shown = [], set()
    for t in order[~raced[order]].tolist():
        key = short_digest(
            [list(map(str, group)) for group in found.trace["exemplars"][t]]
        )
        if key not in shown:
            shown.add(key)
            ranking.append(t)
    return Choice(found.points[ranking[0]], interval, ranking)


def confirm(
    evaluate: Callable[[np.ndarray], Evaluation], found: Found, choice: Choice, n: int
) -> list[dict[str, Any]]:
    """Evaluate the best few and uniform weights on fresh questions and a new dealing."""
    named: list[tuple[str, np.ndarray]] = [
        (f"iteration {t}", found.points[t]) for t in choice.ranking[:n]
    ]
    named.append(("uniform", np.ones(found.points.shape[1])))
    rows = []
    for name, weights in named:
        measured = outcome.confirmed(name, evaluate(weights).outcome)
        rows.append({"name": name, "weights": [float(w) for w in weights], **measured})
    return rows


def summary(
    names: list[str],
    found: Found,
    choice: Choice,
    confirmed: list[dict[str, Any]],
    notes: dict[str, Any],
) -> dict[str, Any]:
    """The content of weights.json; `reward` is the confirmed one."""
    best = choice.ranking[0] if choice.ranking else None
    interval = None if choice.interval is None else choice.interval.tolist()
    return {
        "indicators": names,
        "weights": [float(w) for w in choice.weights],
        "weights_relative": posterior.relative(choice.weights).tolist(),
        "interval": interval,
        "abstains": best is None,
        "iteration": best,
        "reward": confirmed[0]["reward"],
        "reward_search": float(found.rewards[best or 0]),
        "uniform_reward": confirmed[-1]["reward"],
        "confirm": confirmed,
        "n_evaluations": len(found.rewards),
        **notes,
    }


def guidance(found: Found, n_initial: int, n_given: int = 0) -> dict[str, Any]:
    """What the process knew of the rewards, and whether its points beat random ones.

    Parameters
    ----------
    n_initial : points before the first guided one
    n_given : of these, points of an earlier run (`warm_start:`), which are not random

    Returns
    -------
    leave_one_out_r2 : None without a fitted process
    guided_minus_random : difference of the mean rewards with its 95 % interval (Welch);
        None without a fitted process, or with fewer than two points on either side
    """
    if found.model is None:  # no point was guided
        return {"leave_one_out_r2": None, "guided_minus_random": None}
    whole = ~found.trace["raced"].to_numpy(dtype=bool)
    place = np.arange(len(whole))
    random = found.rewards[whole & (n_given <= place) & (place < n_initial)]
    guided = found.rewards[whole & (place >= n_initial)]
    known = posterior.leave_one_out(found.model)
    gain = None
    if min(len(random), len(guided)) > 1 and np.ptp(found.rewards) > 0:
        gain = _difference(guided, random)
    return {"leave_one_out_r2": known, "guided_minus_random": gain}


def _difference(a: np.ndarray, b: np.ndarray) -> list[float]:
    """Mean of a minus mean of b, and its 95 % interval by Welch's t."""
    parts = np.array([a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)])
    difference, variance = float(a.mean() - b.mean()), float(parts.sum())
    if variance == 0:
        return [difference] * 3
    freedom = variance**2 / float(
        parts[0] ** 2 / (len(a) - 1) + parts[1] ** 2 / (len(b) - 1)
    )
    half = float(stats.t.ppf(0.975, freedom)) * variance**0.5
    return [difference, difference - half, difference + half]


def doubts(about: dict[str, Any]) -> list[str]:
    """A warning if the process explains nothing, or guides to nothing better."""
    known, gain = about["leave_one_out_r2"], about["guided_minus_random"]
    found = []
    if gain is not None and known is not None and known <= 0:
        found.append(
            f"the Gaussian process explains none of its rewards (leave-one-out R2 "
            f"{known:.2f}), so its weights are little better than a draw; "
            "`search: {groups: {}}` learns from every group (method tmap_groups)"
        )
    if gain is not None and gain[0] <= 0:
        found.append(
            f"guided points are no better than random ones (mean reward {gain[0]:+.3f}, "
            f"95 % interval {gain[1]:+.3f} to {gain[2]:+.3f})"
        )
    return found


def constant(rewards: np.ndarray) -> list[str]:
    """A warning if all rewards are equal."""
    if np.ptp(rewards) > 0:
        return []
    return [
        f"all {len(rewards)} rewards are equal ({rewards[0]:.3f}): the demonstrations "
        "never change the answers, so the search abstains: its weights are equal, as in "
        "method uniform; check n_shots, the answer reader and the model in trace.parquet"
    ]

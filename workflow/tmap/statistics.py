"""Intervals and tests for accuracies that vary with questions and with seeds.

An arm is a 0/1 array of shape (n_runs, n_questions): rows are seeds, columns the same
questions in the same order for every arm. Accuracies and differences are shares, not
percent. All p values and bounds of claims are one-sided at `ALPHA`, the upper or lower
half of a 95 % interval, so that a bound and an interval tell the same story.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95
ALPHA = (1 - LEVEL) / 2
N_RESAMPLES = 10_000
#: Resamples drawn at a time: bounds memory, changes no number.
CHUNK = 500


def wilson(n_correct: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson score interval of the accuracy of one run, `n` >= 1 questions."""
    found = stats.binomtest(n_correct, n).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)


def bootstrap_means(
    arms: Mapping[str, np.ndarray], n_resamples: int = N_RESAMPLES, seed: int = 0
) -> dict[str, np.ndarray]:
    """Two-level bootstrap of the mean accuracy of each arm.

    Questions are drawn jointly: resample b uses the same questions in every arm, so
    the difference of two results is paired. Seeds are drawn within each arm. The two
    deviations are added, not crossed: crossing counts the noise of a single answer
    three times (Owen 2007, Annals of Applied Statistics 1:386), adding counts it twice
    and stays on the safe side. Of n runs n - 1 are drawn, which makes the variance of
    their mean unbiased for few seeds (Rao and Wu 1988, JASA 83:231); an arm of one run
    contributes no seed variance. Simulated coverage: docs/decisions/bootstrap.md.

    Parameters
    ----------
    arms : name -> (n_runs, n_questions) of 0/1
    n_resamples : B
    seed : of the draws; an arm's draws depend on its name, not on the other arms

    Returns
    -------
    name -> (B,) resampled means
    """
    matrices = {name: np.asarray(arm, dtype=np.float64) for name, arm in arms.items()}
    sizes = {arm.shape[1] for arm in matrices.values()}
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(f"arms must share their questions; they have {sorted(sizes)}")
    # Whole numbers below 2^53: the product is exact in any order of summation.
    totals = np.stack([arm.sum(axis=0) for arm in matrices.values()], axis=1)
    n_runs = np.array([len(arm) for arm in matrices.values()])
    drawn = _draw_questions(totals, n_resamples, seed) / n_runs
    return {
        name: drawn[:, i] + _draw_seeds(arm.mean(axis=1), n_resamples, seed, name)
        for i, (name, arm) in enumerate(matrices.items())
    }


def _draw_questions(totals: np.ndarray, n_resamples: int, seed: int) -> np.ndarray:
    """(B, n_arms) sums over runs, mean over questions drawn with replacement."""
    n = len(totals)
    rng = np.random.default_rng(seed)
    parts = []
    for start in range(0, n_resamples, CHUNK):
        size = min(CHUNK, n_resamples - start)
        draws = rng.integers(0, n, (size, n)) + np.arange(size)[:, None] * n
        counts = np.bincount(draws.ravel(), minlength=size * n).reshape(size, n)
        parts.append(counts.astype(np.float64) @ totals / n)
    return np.concatenate(parts)


def _draw_seeds(
    accuracies: np.ndarray, n_resamples: int, seed: int, name: str
) -> np.ndarray:
    """(B,) deviations from the arm's mean: n - 1 of its n runs, with replacement."""
    n = len(accuracies)
    if n == 1:
        return np.zeros(n_resamples)
    rng = np.random.default_rng([seed, *name.encode()])
    draws = rng.integers(0, n, (n_resamples, n - 1))
    deviations: np.ndarray = (accuracies - accuracies.mean())[draws].mean(axis=1)
    return deviations


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(B,) a - b, free of the rounding that would turn a tie into a win."""
    result: np.ndarray = np.round(a - b, 12)
    return result


def lower_bound(samples: np.ndarray, alpha: float = ALPHA) -> float:
    """The floor(alpha (B + 1))-th smallest resample.

    It exceeds 0 exactly if `p_above_zero` is at most alpha.
    """
    rank = int(alpha * (len(samples) + 1) * (1 + 1e-12))
    if rank < 1:
        raise ValueError(f"{len(samples)} resamples are too few for a level of {alpha}")
    return float(np.partition(samples, rank - 1)[rank - 1])


def interval(samples: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Two-sided percentile interval of (B,) resamples."""
    alpha = (1 - level) / 2
    return lower_bound(samples, alpha), -lower_bound(-samples, alpha)


def p_above_zero(samples: np.ndarray) -> float:
    """One-sided p of "not above 0": (1 + resamples at or below 0) / (B + 1)."""
    return float((1 + np.count_nonzero(samples <= 0)) / (len(samples) + 1))


def holm_adjust(p: Sequence[float]) -> list[float]:
    """Holm's step-down p values (Holm 1979), in the order given.

    The k-th smallest of m is multiplied by m - k + 1, never falls below an earlier one,
    and is at most 1.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    stepped = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    adjusted = np.empty_like(stepped)
    adjusted[order] = stepped
    return [float(value) for value in adjusted]


@dataclass(frozen=True)
class Claim:
    """What a family of tests says of "the mean exceeds 0"."""

    p: float
    p_holm: float
    lower: float

    @property
    def holds(self) -> bool:
        return self.lower > 0


def holm(family: Mapping[str, np.ndarray], alpha: float = ALPHA) -> dict[str, Claim]:
    """Test "the mean exceeds 0" for each member, with step-down lower bounds.

    Members are ordered by p. Of m members the k-th gets the lower bound at level
    alpha / (m - k + 1). Once a bound is not above 0, Holm stops: every later bound is
    capped at 0. So `lower > 0` exactly if `p_holm <= alpha`.

    Parameters
    ----------
    family : name -> (B,) resamples; B must be at least len(family) / alpha
    alpha : one-sided error of the whole family

    Returns
    -------
    name -> Claim
    """
    p = {name: p_above_zero(samples) for name, samples in family.items()}
    adjusted = dict(zip(p, holm_adjust(list(p.values())), strict=True))
    order = sorted(p, key=lambda name: (p[name], -float(family[name].mean()), name))
    claims: dict[str, Claim] = {}
    going = True
    for k, name in enumerate(order):
        bound = lower_bound(family[name], alpha / (len(order) - k))
        if not going:
            bound = min(bound, 0.0)
        going = bound > 0
        claims[name] = Claim(p[name], adjusted[name], bound)
    return claims


def mcnemar(a: np.ndarray, b: np.ndarray) -> tuple[int, int, float]:
    """Questions that only `a` or only `b` got right, and the exact two-sided p.

    Both are (n_questions,) of 0/1. Two runs say nothing of other seeds: descriptive.
    """
    only_a = int(np.count_nonzero(a.astype(bool) & ~b.astype(bool)))
    only_b = int(np.count_nonzero(b.astype(bool) & ~a.astype(bool)))
    if only_a + only_b == 0:
        return 0, 0, 1.0
    return only_a, only_b, float(stats.binomtest(only_a, only_a + only_b).pvalue)


def minimum_detectable_effect(
    standard_error: float, power: float = 0.80, alpha: float = 1 - LEVEL
) -> float:
    """The difference found with this power by a two-sided test at `alpha`.

    (z_(1 - alpha/2) + z_power) x the standard error of the paired difference; 2.80
    standard errors by default. One test: a family needs more.
    """
    quantiles = stats.norm.ppf([1 - alpha / 2, power])
    return float(quantiles.sum() * standard_error)

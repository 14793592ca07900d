"""Intervals and tests for accuracies that vary with questions and with seeds.

An arm is a 0/1 array of shape (n_runs, n_questions): rows are seeds, columns the same
questions in the same order for every arm. Accuracies and differences are shares, not
percentages. All p values and bounds of claims are one-sided at `ALPHA`, the upper or lower
half of a 95 % interval, so that a bound and an interval agree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95
ALPHA = (1 - LEVEL) / 2
N_RESAMPLES = 10_000
#: The strictest bound of a family is at least this many resamples from the extreme.
RANK = 4
#: Resamples drawn at a time; limits memory and changes no number.
CHUNK = 500


def wilson(n_correct: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson score interval of the accuracy of one run, `n` >= 1 questions."""
    found = stats.binomtest(n_correct, n).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)


def n_resamples(n_tests: int) -> int:
    """B for a family of tests: the level of its strictest bound is ALPHA / n_tests."""
    return max(N_RESAMPLES, math.ceil(round(RANK * n_tests / ALPHA, 6)))


@dataclass(frozen=True)
class Arm:
    """The mean accuracy of an arm, and how questions and seeds vary it.

    Attributes
    ----------
    mean : over runs and questions
    drawn : (B,) means over resampled questions
    seeds : variance of the mean from seeds; 0 for one run
    answers : variance from the noise of single answers, which is in `drawn` and `seeds`
    df : degrees of freedom of `seeds`: runs minus one
    key : of the draws
    """

    mean: float
    drawn: np.ndarray
    seeds: float
    answers: float
    df: int
    key: tuple[int, ...]

    @property
    def samples(self) -> np.ndarray:
        """(B,) means with other questions and other seeds."""
        return _other_seeds(self.drawn, self.mean, [self])


def bootstrap_means(
    arms: Mapping[str, np.ndarray], n_resamples: int = N_RESAMPLES, seed: int = 0
) -> dict[str, Arm]:
    """Mean accuracy of each arm with other questions and other seeds, B times.

    Questions are resampled jointly: draw b uses the same questions in every arm, so the
    difference of two arms is paired. A deviation of seeds is then added: their standard
    error times a draw of Student's t. (Resampling three runs would never leave their range,
    so its bounds would not widen enough at the small levels of a family.) The noise of
    single answers is part of the seeds' variance, and is removed from the questions'. One
    run says nothing about seeds: its arm varies with questions only. Simulated in
    docs/decisions/0005-two-level-bootstrap.md.

    Parameters
    ----------
    arms : name -> (n_runs, n_questions) of 0/1
    n_resamples : B
    seed : of the draws; an arm's draws depend on its name, not on the other arms
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
        name: _arm(arm, drawn[:, i], (seed, *name.encode()))
        for i, (name, arm) in enumerate(matrices.items())
    }


def _arm(matrix: np.ndarray, drawn: np.ndarray, key: tuple[int, ...]) -> Arm:
    n = len(matrix)
    seeds = answers = 0.0
    if n > 1:
        seeds = float(matrix.mean(axis=1).var(ddof=1) / n)
        answers = float(matrix.var(axis=0, ddof=1).mean() / matrix.size)
    return Arm(float(matrix.mean()), drawn, seeds, answers, n - 1, key)


def difference(a: Arm, b: Arm) -> np.ndarray:
    """(B,) a - b with other questions and seeds, paired by question.

    Avoids the rounding that would turn a tie into a win.
    """
    samples = _other_seeds(a.drawn - b.drawn, a.mean - b.mean, [a, b])
    result: np.ndarray = np.round(samples, 12)
    return result


def _other_seeds(drawn: np.ndarray, mean: float, arms: Sequence[Arm]) -> np.ndarray:
    """Add the deviation of seeds to (B,) means over resampled questions.

    Degrees of freedom of a sum of variances: Welch-Satterthwaite (Satterthwaite 1946,
    Biometrics Bulletin 2:110).
    """
    arms = [arm for arm in arms if arm.seeds > 0]  # runs can agree by chance
    if not arms:
        return drawn
    total = sum(arm.seeds for arm in arms)
    df = total**2 / sum(arm.seeds**2 / arm.df for arm in arms)
    noise = sum(arm.answers for arm in arms)
    varies = max(float(drawn.var()), noise)
    kept = (1 - noise / varies) ** 0.5 if varies > 0 else 0.0
    rng = np.random.default_rng([number for arm in arms for number in arm.key])
    t = rng.standard_t(df, len(drawn))
    result: np.ndarray = mean + kept * (drawn - mean) + total**0.5 * t
    return result


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


def lower_bound(samples: np.ndarray, alpha: float = ALPHA) -> float:
    """The floor(alpha (B + 1))-th smallest resample.

    It exceeds 0 exactly if `p_above_zero` is at most alpha.
    """
    rank = int(alpha * (len(samples) + 1) * (1 + 1e-12))
    if rank < 1:
        raise ValueError(f"{len(samples)} resamples are too few for a level of {alpha}")
    return float(np.partition(samples, rank - 1)[rank - 1])


def accuracy_interval(runs: np.ndarray, arm: Arm) -> tuple[float, float]:
    """Interval of an arm's mean accuracy, in [0, 1]: Wilson's for one run, else `interval`.

    Resamples may leave that range, because Student's t is unbounded.

    Parameters
    ----------
    runs : (n_runs, n_questions) of 0/1
    arm : the same, from `bootstrap_means`
    """
    if len(runs) == 1:
        return wilson(int(runs.sum()), runs.size)
    low, high = interval(arm.samples)
    return max(low, 0.0), min(high, 1.0)


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
    """The result of testing "the mean exceeds 0" within a family of tests."""

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

    Both are (n_questions,) of 0/1. Two runs say nothing about other seeds, so this is
    descriptive.
    """
    only_a = int(np.count_nonzero(a.astype(bool) & ~b.astype(bool)))
    only_b = int(np.count_nonzero(b.astype(bool) & ~a.astype(bool)))
    if only_a + only_b == 0:
        return 0, 0, 1.0
    return only_a, only_b, float(stats.binomtest(only_a, only_a + only_b).pvalue)


def minimum_detectable_effect(samples: np.ndarray, power: float = 0.80) -> float:
    """The difference found with this power by a two-sided test at 1 - `LEVEL`.

    Half the width of the interval plus the `power` quantile of the deviations from their
    median. For normal deviations this is 2.80 standard errors; with few seeds the tails are
    long and a standard error is meaningless. For one test: a family needs a larger effect.

    Parameters
    ----------
    samples : (B,) resampled differences
    """
    low, high = interval(samples)
    above, below = np.quantile(samples, [power, 1 - power])
    return float((high - low + above - below) / 2)

"""Intervals and tests for accuracies that vary with questions and with seeds.

The answers of an arm are a 0/1 array of shape (n_runs, n_questions): rows are seeds,
columns the same questions in the same order for every arm. Accuracies and differences are
shares, not percentages. All p values and bounds of claims are one-sided at `ALPHA`, the
upper or lower half of a 95 % interval, so that a bound and an interval agree. Which rule
is right where was simulated: docs/decisions/0016-verdicts.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import optimize, special, stats

LEVEL = 0.95
ALPHA = (1 - LEVEL) / 2
#: Levels between which a p value is searched.
SMALLEST = 1e-15
#: Whether two arms share one t distribution.
Shared = Literal["no", "half", "all"]


def wilson(n_correct: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson score interval of the accuracy of one run, `n` >= 1 questions."""
    found = stats.binomtest(n_correct, n).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)


@dataclass(frozen=True)
class Arm:
    """What an arm's answers say about its mean accuracy.

    Attributes
    ----------
    by_question : (n_questions,) accuracy on each question, over runs
    by_run : (n_runs,) accuracy of each run
    answers : variance of the mean from the noise of single answers; 0 for one run
    """

    by_question: np.ndarray
    by_run: np.ndarray
    answers: float

    @classmethod
    def of(cls, matrix: np.ndarray) -> Arm:
        """From (n_runs, n_questions) of 0/1."""
        values = np.asarray(matrix, dtype=np.float64)
        by_question = values.mean(axis=0)
        n, answers = len(values), 0.0
        if n > 1:  # the variance of 0/1 values is p (1 - p), here with n - 1
            spread = float((by_question * (1 - by_question)).mean())
            answers = spread * n / (n - 1) / values.size
        return cls(by_question, values.mean(axis=1), answers)

    @property
    def n_runs(self) -> int:
        return len(self.by_run)

    @property
    def mean(self) -> float:
        return float(self.by_run.mean())

    @property
    def seeds(self) -> float:
        """Variance of the mean from seeds; 0 for one run, and if runs agree by chance."""
        return float(self.by_run.var(ddof=1) / self.n_runs) if self.n_runs > 1 else 0.0

    def estimate(self) -> Estimate:
        """Its mean accuracy with other questions and other seeds."""
        return _estimate(self.mean, self.by_question, [self])


@dataclass(frozen=True)
class Estimate:
    """A mean accuracy, or a difference of two, and how uncertain it is.

    Attributes
    ----------
    value : the mean, or the difference
    questions : its variance from questions, without the noise of single answers, which
        `seeds` include
    n_questions : that were resampled in thought
    seeds : variances from seeds, one per arm whose runs differ
    df : degrees of freedom of each: runs minus one
    shared : how far one t distribution serves the seeds of both arms (`reach`)
    """

    value: float
    questions: float
    n_questions: int
    seeds: tuple[float, ...]
    df: tuple[int, ...]
    shared: Shared = "no"

    @property
    def variance(self) -> float:
        return self.questions + sum(self.seeds)

    def reach(self, alpha: float) -> float:
        """Distance from the value to its one-sided bound at level `alpha` below .5.

        Every source has its own t quantile, and the distances add like errors: the root
        of the sum of their squares (MOVER: Zou and Donner 2008, Statistics in Medicine
        27:1693). Where `shared`, the seeds of both arms have one t with the degrees of
        freedom of Welch and Satterthwaite (1946, Biometrics Bulletin 2:110), or half-way
        (the harmonic mean) between those and the smaller arm's.
        """
        parts: list[tuple[float, float]] = list(zip(self.seeds, self.df, strict=True))
        if self.shared != "no" and len(parts) > 1:
            total = sum(self.seeds)
            df = total**2 / sum(v**2 / df for v, df in parts)
            if self.shared == "half":
                df = 2 / (1 / df + 1 / min(self.df))
            parts = [(total, df)]
        if self.questions > 0:
            parts.append((self.questions, self.n_questions - 1))
        # special.stdtrit is stats.t.ppf, without the time that its checks take.
        squares = sum(v * special.stdtrit(df, alpha) ** 2 for v, df in parts)
        return math.sqrt(squares)

    def lower(self, alpha: float = ALPHA) -> float:
        return self.value - self.reach(alpha)

    def upper(self, alpha: float = ALPHA) -> float:
        return self.value + self.reach(alpha)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Two-sided."""
        alpha = (1 - level) / 2
        return self.lower(alpha), self.upper(alpha)

    def p_above(self, limit: float = 0.0) -> float:
        """One-sided p of "not above `limit`": the level at which the bound reaches it."""
        distance = round(self.value - limit, 12)  # a tie stays a tie
        if distance == 0 or self.variance == 0:
            return 0.5
        p = _level(self, abs(distance))
        return p if distance > 0 else 1 - p

    def p_below(self, limit: float = 0.0) -> float:
        """One-sided p of "not below `limit`"."""
        return 1 - self.p_above(limit)


@lru_cache(maxsize=4096)  # every look asks again about those before it
def _level(estimate: Estimate, distance: float) -> float:
    """The level at which a bound is `distance` from the value."""
    if estimate.reach(SMALLEST) <= distance:
        return SMALLEST
    found: float = optimize.brentq(
        lambda x: estimate.reach(math.exp(x)) - distance,
        math.log(SMALLEST),
        math.log(0.5),
        xtol=1e-9,
    )
    return math.exp(found)


def difference(a: Arm, b: Arm, shared: Shared = "no") -> Estimate:
    """a - b, paired by question; seeds of the two are independent.

    Parameters
    ----------
    shared : only for primary claims whose arms have about as many runs, "all" only at
        planned looks; elsewhere too many differences would be found
    """
    if a.by_question.shape != b.by_question.shape:
        raise ValueError(
            f"arms must share their questions; they have {len(a.by_question)} and "
            f"{len(b.by_question)}"
        )
    value = round(a.mean - b.mean, 12)
    return _estimate(value, a.by_question - b.by_question, [a, b], shared)


def _estimate(
    value: float, by_question: np.ndarray, arms: Sequence[Arm], shared: Shared = "no"
) -> Estimate:
    """The noise of single answers is in both levels: it is left with the seeds."""
    arms = [arm for arm in arms if arm.seeds > 0]  # runs can agree by chance
    n = len(by_question)
    questions = float(by_question.var(ddof=1)) / n if n > 1 else 0.0
    questions = max(0.0, questions - sum(arm.answers for arm in arms))
    if questions < 1e-12 and not arms:
        questions = 0.0  # every question differs by the same
    seeds, df = [arm.seeds for arm in arms], [arm.n_runs - 1 for arm in arms]
    return Estimate(value, questions, n, tuple(seeds), tuple(df), shared)


def accuracy_interval(matrix: np.ndarray) -> tuple[float, float]:
    """Interval of an arm's mean accuracy, in [0, 1].

    It is Wilson's for one run, and for several that answered alike. Student's t is
    unbounded, so the ends are cut to where accuracies end.

    Parameters
    ----------
    matrix : (n_runs, n_questions) of 0/1
    """
    if len(np.unique(matrix, axis=0)) == 1:
        return wilson(int(matrix[0].sum()), matrix.shape[1])
    low, high = Arm.of(matrix).estimate().interval()
    return max(low, 0.0), min(high, 1.0)


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

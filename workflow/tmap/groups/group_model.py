"""From answers after groups of rows to weights: the group model.

A group's answers say what its rows are worth together, so the accuracy after a group is
regressed on the mean columns of its rows:

    y_gq = mu + beta . x_g + noise        x_g = mean of f_i over the rows i of group g

Rows enter through the same sum as in TMAP's score S_i = w . f_i, so the coefficients are
weights, estimated where the answers are; mu takes the level, and no question needs a
parameter of its own when questions are dealt at random. Weights are the least-squares fit
within the bounds of the method card: non-negative for [0, 1], free for signed ones.

Worked example: groups with x = 0, 0, 1, 1 and answers 0, 1, 1, 1 have mu = .5, beta = .5:
a column that goes from lowest to highest adds 50 points of accuracy.

Related: datamodels of demonstrations (arXiv:2212.10378) and in-context influences
(arXiv:2302.11042) estimate a value for each example that was shown. Regressing on columns
carries over to rows that never were.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls
from scipy.stats import t as student

#: Penalties that cross-validation chooses from, per answer; none first.
PENALTIES = (0.0, 1e-3, 3e-3, 1e-2, 3e-2)
FOLDS = 10
LEVEL = 0.90
N_PERMUTATIONS, N_DRAWS = 999, 1000
#: Chance of learning weights where columns know nothing.
ALPHA = 0.01
#: A direction in which groups vary less than this share of the most is not estimated.
RANK = 1e-6


@dataclass(frozen=True)
class Data:
    """What was observed: one row per group.

    Attributes
    ----------
    x : (G, K) float64, mean columns of each group's rows
    y : (G,) float64, share of its questions answered correctly
    """

    x: np.ndarray
    y: np.ndarray

    def part(self, rows: np.ndarray) -> Data:
        return Data(self.x[rows], self.y[rows])

    @property
    def centred(self) -> tuple[np.ndarray, np.ndarray]:
        return self.x - self.x.mean(axis=0), self.y - self.y.mean()


@dataclass(frozen=True)
class Fit:
    """The fitted line.

    Attributes
    ----------
    beta : (K,) coefficients within the bounds, accuracy per column from 0 to 1
    free : (K,) coefficients without bounds
    covariance : (K, K) of `free`, robust to unequal noise (HC3)
    mean, centre : accuracy at (K,) mean columns
    penalty : of the squared coefficients, per answer
    """

    beta: np.ndarray
    free: np.ndarray
    covariance: np.ndarray
    mean: float
    centre: np.ndarray
    penalty: float

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(n,) accuracy expected at (n, K) mean columns."""
        return np.asarray(self.mean + (x - self.centre) @ self.beta)

    def draws(self, n: int, signed: bool, rng: np.random.Generator) -> np.ndarray:
        """(n, K) coefficients that the data leave possible, within the bounds.

        Normal draws around `free`; each is moved to the nearest allowed point in the
        metric of the covariance.
        """
        root, inverse = _roots(self.covariance)
        drawn = self.free + rng.standard_normal((n, len(self.free))) @ root.T
        if signed:
            return drawn
        return np.array([nnls(inverse, inverse @ b)[0] for b in drawn])


def fit(data: Data, signed: bool, penalty: float | None = None) -> Fit:
    """Least squares of accuracy on mean columns.

    Parameters
    ----------
    signed : whether coefficients may be negative
    penalty : None: chosen by cross-validation over groups; another one than none must
        lower the held-out error by its standard error
    """
    if penalty is None:
        penalty = _chosen_penalty(data, signed)
    x, y = data.centred
    free = _solve(x, y, penalty, signed=True)
    beta = free if signed else _solve(x, y, penalty, signed=False)
    return Fit(
        beta=beta,
        free=free,
        covariance=_covariance(x, y - x @ free, penalty),
        mean=float(data.y.mean()),
        centre=data.x.mean(axis=0),
        penalty=penalty,
    )


def line(
    data: Data, signed: bool, penalty: float
) -> Callable[[np.ndarray], np.ndarray]:
    """What a fit predicts, without its errors: (n, K) mean columns -> (n,) accuracy."""
    x, y = data.centred
    beta = _solve(x, y, penalty, signed)
    mean, centre = data.y.mean(), data.x.mean(axis=0)
    return lambda x: np.asarray(mean + (x - centre) @ beta)


def _solve(x: np.ndarray, y: np.ndarray, penalty: float, signed: bool) -> np.ndarray:
    k = x.shape[1]
    ridge = (max(penalty, 1e-9) * len(x)) ** 0.5
    a = np.vstack([x, ridge * np.eye(k)])
    b = np.concatenate([y, np.zeros(k)])
    if signed:
        return np.asarray(np.linalg.lstsq(a, b, rcond=None)[0])
    return np.asarray(nnls(a, b, maxiter=50 * k)[0])


def _covariance(x: np.ndarray, residual: np.ndarray, penalty: float) -> np.ndarray:
    """HC3: each squared residual over (1 - leverage) squared."""
    k = x.shape[1]
    gram = x.T @ x + max(penalty, 1e-9) * len(x) * np.eye(k)
    inverse = np.linalg.pinv(gram, rcond=RANK)
    leverage = np.einsum("gi,ij,gj->g", x, inverse, x) + 1 / len(x)
    scaled = x * (residual / np.maximum(1 - leverage, 1e-3))[:, None]
    return np.asarray(inverse @ (scaled.T @ scaled) @ inverse)


def _roots(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A square root of a covariance, and one of its inverse, by eigenvectors."""
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, values.max() * RANK + 1e-300)
    return vectors * values**0.5, (vectors / values**0.5).T


def _folds(n: int) -> np.ndarray:
    """(n,) fold of each group, in the order of asking: neighbours in different ones."""
    return np.arange(n) % min(FOLDS, n)


def held_out(data: Data, fitted: Callable[[Data], Callable]) -> np.ndarray:
    """(G,) predictions for each fold by what the other folds taught."""
    fold, found = _folds(len(data.y)), np.empty(len(data.y))
    for k in np.unique(fold):
        out = fold == k
        found[out] = fitted(data.part(~out))(data.x[out])
    return found


def _chosen_penalty(data: Data, signed: bool) -> float:
    def error(p: float) -> np.ndarray:
        return (data.y - held_out(data, lambda d: line(d, signed, p))) ** 2

    errors = {p: error(p) for p in PENALTIES}
    best = min(PENALTIES, key=lambda p: (float(errors[p].mean()), p))
    better = errors[PENALTIES[0]] - errors[best]
    unsure = better.std(ddof=1) / len(better) ** 0.5
    return best if better.mean() > unsure else PENALTIES[0]


@dataclass(frozen=True)
class Skill:
    """What the columns know of answers that a fit has not seen.

    Attributes
    ----------
    r2 : share of the squared error that held-out predictions remove; at most 1, below 0
        where they mislead
    interval : 90 %, by resampling groups
    p : of as good a fit if columns and answers were unrelated, by permutation
    """

    r2: float
    interval: tuple[float, float]
    p: float

    @property
    def learns(self) -> bool:
        return self.p <= ALPHA


def skill(data: Data, signed: bool, penalty: float, seed: int) -> Skill:
    """Held-out skill of the line, and a permutation test of the whole fit."""
    predicted = held_out(data, lambda d: line(d, signed, penalty))
    r2, interval = explained(data, predicted, seed)
    rng = np.random.default_rng([seed, 2])
    x, y = data.centred

    def removed(values: np.ndarray) -> float:
        beta = _solve(x, values, penalty, signed)
        return float(values @ values - np.sum((values - x @ beta) ** 2))

    own = removed(y)
    above = sum(
        removed(rng.permutation(y)) >= own - 1e-12 for _ in range(N_PERMUTATIONS)
    )
    return Skill(r2, interval, (1 + above) / (1 + N_PERMUTATIONS))


def explained(
    data: Data, predicted: np.ndarray, seed: int
) -> tuple[float, tuple[float, float]]:
    """R2 of held-out predictions against the mean of the other folds, and its interval.

    0 where all answers are equal, because there is nothing to explain.
    """
    mean = held_out(data, lambda d: lambda x: np.full(len(x), d.y.mean()))
    ours, theirs = (data.y - predicted) ** 2, (data.y - mean) ** 2
    if theirs.sum() < 1e-12:
        return 0.0, (0.0, 0.0)
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(ours), (N_DRAWS, len(ours)))
    total = np.maximum(theirs[rows].sum(axis=1), 1e-12)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(1 - ours[rows].sum(axis=1) / total, [tail, 1 - tail])
    return float(1 - ours.sum() / theirs.sum()), (float(low), float(high))


def scaled(beta: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """Coefficients as weights that fill the bounds: only their ratios select."""
    low, high = bounds
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(beta > 0, high / beta, np.where(beta < 0, low / beta, np.inf))
    size = room.min()
    return beta * size if np.isfinite(size) else np.ones_like(beta) * high


def coefficient_intervals(found: Fit, n: int) -> np.ndarray:
    """(K, 2) 90 % intervals of the coefficients without bounds, by Student's t.

    They cover only without a penalty, which moves coefficients and not the intervals'
    width.
    """
    half = student.ppf((1 + LEVEL) / 2, max(1, n - len(found.free) - 1))
    error = half * np.sqrt(np.diag(found.covariance))
    return np.stack([found.free - error, found.free + error], axis=1)


def relative_intervals(drawn: np.ndarray, point: np.ndarray) -> np.ndarray:
    """(K, 2) 90 % intervals of w / max |w| over draws; each holds its point.

    Which weight is the largest is uncertain, too: the largest of a draw is the one that
    its noise raised most, and all others look small beside it. So one end is relative to
    the draw's largest weight, and the other, of at most 1, to the weight that is the
    largest in `point`.
    """
    tail = (1 - LEVEL) / 2
    sizes = np.abs(drawn)
    ends = []
    for size in (sizes.max(axis=1), sizes[:, np.abs(point).argmax()]):
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.nan_to_num(drawn / size[:, None], posinf=1, neginf=-1)
        ends += list(np.quantile(ratio.clip(-1, 1), [tail, 1 - tail], axis=0))
    low, high = np.min([*ends, point], axis=0), np.max([*ends, point], axis=0)
    return np.stack([low, high], axis=1)


def regret(
    found: Fit, drawn: np.ndarray, matrix: np.ndarray, select: Callable
) -> float:
    """Accuracy that the chosen selection is expected to lack against the best one.

    The mean over draws of what the selection under a draw would be worth, less what the
    selection under `found.beta` would be, both by that draw.

    Parameters
    ----------
    matrix : (N, K) columns of the pool
    select : (K,) coefficients -> row numbers of their selection
    """
    own = matrix[select(found.beta)].mean(axis=0)
    lacks = [float(b @ (matrix[select(b)].mean(axis=0) - own)) for b in drawn]
    return max(0.0, float(np.mean(lacks)))


def about(
    names: list[str], found: Fit, plain: Fit, known: Skill, data: Data, lacks: float
) -> dict[str, Any]:
    """What weights.json says of the group model.

    Parameters
    ----------
    plain : the fit without a penalty, which would draw coefficients to 0
    """
    return {
        "indicators": names,
        "n_groups": len(data.y),
        "mean": found.mean,
        "mean_columns": found.centre.tolist(),
        "coefficients": found.beta.tolist(),
        "unbounded": plain.free.tolist(),
        "unbounded_interval": coefficient_intervals(plain, len(data.y)).tolist(),
        "penalty": found.penalty,
        "r2": known.r2,
        "r2_interval": list(known.interval),
        "p": known.p,
        "regret": lacks,
    }

"""The best point of a finished search, and how certain it is.

The best of 205 noisy rewards is mostly luck, so w* is the evaluated point with the best
posterior mean of the Gaussian process. Its interval spans the weights that are not worse as
far as the process can tell.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.stats import norm, qmc

#: Weights that an interval looks at: quasi-random ones (as many again with coordinates on
#: the bounds), and this many values of each coordinate around this many of the best points.
N_SOBOL, N_BEST, N_VALUES = 1024, 10, 11


def means(model: Any, space: Any, points: np.ndarray) -> np.ndarray:
    """Posterior mean of the reward at each point.

    Parameters
    ----------
    model : fitted skopt GaussianProcessRegressor of -reward
    space : its skopt Space
    points : (n, K) weights

    Returns
    -------
    (n,) float64
    """
    return -np.asarray(model.predict(space.transform(points.tolist())))


def leave_one_out(model: Any) -> float:
    """R2 of each reward predicted from all others, by the fitted process as it is.

    1 minus the squared errors over those around the mean; 0 or less where the process
    knows no more than the mean. The errors follow from the fit (Rasmussen and Williams
    2006, equation 5.12): alpha_i / [K^-1]_ii.
    """
    lower = np.asarray(model.L_)
    inverse = np.linalg.solve(lower.T, np.linalg.solve(lower, np.eye(len(lower))))
    value = np.asarray(model.y_train_, dtype=float)
    error = np.asarray(model.alpha_, dtype=float) / np.diag(inverse)
    around = float(np.sum((value - value.mean()) ** 2))
    return 1 - float(np.sum(error**2)) / around if around > 0 else 0.0


def relative(weights: np.ndarray) -> np.ndarray:
    """w / max |w| along the last axis: w and c*w select the same samples.

    A zero vector stays zero.
    """
    size = np.abs(weights).max(axis=-1, keepdims=True)
    return np.divide(weights, size, out=np.zeros_like(weights), where=size > 0)


def interval(
    model: Any,
    space: Any,
    points: np.ndarray,
    bounds: tuple[float, float],
    seed: int,
    *,
    level: float = 0.90,
) -> np.ndarray:
    """Smallest and largest w / max |w| among the weights that are not worse than w*.

    w is worse if the reward of w* is higher than that of w with a probability above
    `level`, both drawn from the joint posterior. w* itself is never worse, so it is within
    its interval. Coverage of the true optimum is simulated (decision 17).

    Parameters
    ----------
    model, space : as for `means`
    points : (T, K) evaluated weights; w* is the one with the best posterior mean
    bounds : of every weight
    seed : of the other weights that are looked at

    Returns
    -------
    (K, 2) float64: lower and upper end per weight
    """
    order = np.argsort(-means(model, space, points), kind="stable")
    seen = _candidates(points[order], bounds, seed)
    mean, sd = shortfall(model, space, seen, points[order[0]])
    near = relative(np.vstack([points[order[:1]], seen[mean <= norm.ppf(level) * sd]]))
    return np.stack([near.min(axis=0), near.max(axis=0)], axis=1)


def shortfall(
    model: Any, space: Any, weights: np.ndarray, best: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Posterior mean and sd of the reward of `best` minus that of each of `weights`.

    As from `model.predict(..., return_cov=True)`, without its (n, n) matrix.

    Parameters
    ----------
    weights, best : (n, K) and (K,)

    Returns
    -------
    two (n,) float64 arrays
    """
    x = np.asarray(space.transform([best.tolist(), *weights.tolist()]))
    trained = model.kernel_(x, model.X_train_)
    apart = trained[1:] - trained[:1]
    prior = model.kernel_.diag(x)
    prior = prior[1:] + prior[0] - 2 * model.kernel_(x[1:], x[:1])[:, 0]
    known = solve_triangular(model.L_, apart.T, lower=True)
    variance = np.maximum(prior - np.sum(known**2, axis=0), 0.0)
    unit = float(model.y_train_std_)
    return unit * (apart @ model.alpha_), unit * np.sqrt(variance)


def _candidates(
    points: np.ndarray, bounds: tuple[float, float], seed: int
) -> np.ndarray:
    """(n, K) weights to compare with the first of `points`, which are best first."""
    low, high = bounds
    n_weights = points.shape[1]
    spread = low + (high - low) * qmc.Sobol(n_weights, seed=seed).random(N_SOBOL)
    edge = np.random.default_rng(seed).random(spread.shape)
    edged = np.where(edge < 0.25, low, np.where(edge > 0.75, high, spread))
    best = points[:N_BEST]
    around = np.tile(best[:, None, None], (1, n_weights, N_VALUES, 1))
    each = np.arange(n_weights)
    around[:, each, :, each] = np.linspace(low, high, N_VALUES)
    found = np.vstack([points, spread, edged, around.reshape(-1, n_weights)])
    return found[found.any(axis=1)]  # no weights at all choose by chance

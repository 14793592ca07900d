"""The best point of a finished search, and how certain it is.

The best of 205 noisy rewards is mostly luck, so w* is the evaluated point with the best
posterior mean of the Gaussian process, and its interval comes from joint posterior draws.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import cholesky
from scipy.stats import qmc


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
    n_draws: int = 256,
    n_sobol: int = 2000,
    level: float = 0.90,
) -> np.ndarray:
    """Interval of w / max w over the argmaxes of joint posterior draws.

    Each draw is one reward surface on the evaluated points and `n_sobol` Sobol points; its
    argmax is one plausible optimum.

    Returns
    -------
    (K, 2) float64: lower and upper end per weight
    """
    low, high = bounds
    sobol = qmc.Sobol(points.shape[1], seed=seed)
    spread = sobol.random_base2(int(np.ceil(np.log2(n_sobol))))[:n_sobol]
    grid = np.vstack([points, low + (high - low) * spread])
    mean, covariance = model.predict(space.transform(grid.tolist()), return_cov=True)
    jitter = 1e-8 * max(float(np.trace(covariance)) / len(grid), 1e-12)
    root = _root(np.asarray(covariance), jitter)
    noise = np.random.default_rng(seed).standard_normal((len(grid), n_draws))
    surfaces = -np.asarray(mean)[:, None] - root @ noise
    best = relative(grid[np.argmax(surfaces, axis=0)])
    tail = (1 - level) / 2
    return np.quantile(best, [tail, 1 - tail], axis=0).T


def _root(covariance: np.ndarray, jitter: float) -> np.ndarray:
    """Lower Cholesky factor, with as much jitter as rounding requires."""
    while True:
        try:
            return np.asarray(
                cholesky(covariance + jitter * np.eye(len(covariance)), lower=True)
            )
        except np.linalg.LinAlgError:
            jitter *= 10

"""Entropic transport in primal form, by plain alternating scaling."""

import numpy as np
from scipy.special import logsumexp


def primal(p: np.ndarray, cost: np.ndarray, reg: float, most: int = 50_000) -> float:
    """min <C, P> + reg KL(P | p u') over plans with marginals p and uniform u."""
    m = cost.shape[1]
    log_p, log_u = np.log(p), -np.log(m)
    g = np.zeros(m)
    for _ in range(most):
        f = -reg * logsumexp((g - cost) / reg + log_u, axis=1)
        after = -reg * logsumexp((f[:, None] - cost) / reg + log_p[:, None], axis=0)
        moved, g = np.abs(after - g).max(), after
        if moved < 1e-12:
            break
    log_ratio = (f[:, None] + g - cost) / reg
    plan = np.exp(log_ratio + log_p[:, None] + log_u)
    return float((plan * (cost + reg * log_ratio)).sum())

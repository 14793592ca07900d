"""Find weights of candidates that are closest to the target questions, yet diverse.

Over weights p on the simplex, with C the cost of moving a candidate's gradient to a
question's, u uniform over the questions, and K the candidates' similarities, minimise::

    F(p) = OT(p, u) + mu p' K p
    OT(p, u) = min over plans P of  <C, P> + reg KL(P | p u')

The gradient of OT in p is the source's dual potential f. It is found by Sinkhorn's
iteration in the log domain (POT), started from the last step's potentials. F is minimised
by exponentiated gradient steps, p_i <- p_i exp(-rate dF/dp_i) / Z, which stay on the
simplex; a step that would not lower F is halved. As reg goes to 0, OT and f approach those
of the linear programme and Sinkhorn's iteration becomes slow; F is only as accurate as its
convergence.

POT holds several arrays of the size of C; the code here processes C in blocks.

Sources: EvoSelect (the objective, from its abstract; docs/explanation/paper.md says what
is open and what we chose); Cuturi 2013, arXiv:1306.0895; Peyre & Cuturi 2019,
arXiv:1803.00567, 4.4; Kivinen & Warmuth 1997 (exponentiated gradient).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

#: Rows of the plan in memory at a time, in our own code.
BLOCK = 8192
#: A weight is never 0, so that a row can come back and ranks stay defined.
LOWEST = -600.0
#: Tolerance of Sinkhorn's iteration: distance (2-norm) of the question marginals from u.
TOLERANCE = 1e-7


class Transport(NamedTuple):
    """Cost of moving p to u, its potentials, and the final distance of the plan from u.

    The potentials are the gradients in p and in u.
    """

    value: float
    source: np.ndarray
    target: np.ndarray
    error: float


@dataclass
class Weights:
    """The result of `minimise`.

    Attributes
    ----------
    log_p : (n,) natural logarithms of the weights
    objective : F at the start and after every step
    transport : OT alone, likewise
    error : of each of these, as in `Transport`; above `TOLERANCE`, F is a lower bound and
        the true value may have risen
    """

    log_p: np.ndarray
    objective: list[float] = field(default_factory=list)
    transport: list[float] = field(default_factory=list)
    error: list[float] = field(default_factory=list)


def sinkhorn(
    log_p: np.ndarray,
    cost: np.ndarray,
    reg: float,
    start: np.ndarray | None = None,
    tolerance: float = TOLERANCE,
    iterations: int = 2000,
) -> Transport:
    """Entropic transport of p to the uniform distribution over columns.

    Parameters
    ----------
    log_p : (n,) logarithms of the weights, which add up to 1
    cost : (n, m)
    reg : weight of the entropy, in the cost's unit, above 0
    start : (m,) target potentials to begin with
    tolerance, iterations : it stops when either is reached

    Returns
    -------
    The value, a lower bound until convergence; source potentials (n,), exact given the
    target potentials (m,); the error
    """
    from ot.bregman import sinkhorn_log

    m = cost.shape[1]
    log_u = -np.log(m)
    warm = None
    if start is not None:
        fitting = _soft_minimum(cost, start, reg) / reg + log_p
        warm = (fitting, start / reg + log_u)
    _, about = sinkhorn_log(
        np.exp(log_p),
        np.full(m, 1 / m),
        cost,
        reg,
        numItermax=iterations,
        stopThr=tolerance,
        warn=False,
        log=True,
        warmstart=warm,
    )
    # POT's potentials are those of the plain entropy; ours are relative to p and u.
    target = reg * (about["log_v"] - log_u)
    source = _soft_minimum(cost, target, reg)
    value = float(np.exp(log_p) @ source + target.mean())
    return Transport(value, source, target, float(about["err"][-1]))


def _soft_minimum(cost: np.ndarray, target: np.ndarray, reg: float) -> np.ndarray:
    """(n,) source potentials given the target's: -reg log mean exp((g - C)/reg)."""
    found = np.empty(len(cost))
    for start in range(0, len(cost), BLOCK):
        part = (target - cost[start : start + BLOCK]) / reg
        found[start : start + BLOCK] = logsumexp(part, axis=1)
    return -reg * (found - np.log(cost.shape[1]))


def minimise(
    cost: np.ndarray,
    spread: Callable[[np.ndarray], tuple[float, Callable[[], np.ndarray]]],
    *,
    mu: float,
    reg: float,
    steps: int,
    rate: float,
) -> Weights:
    """Minimise F, starting from uniform weights.

    Parameters
    ----------
    cost : (n, m), to each target question
    spread : p -> p'Kp and a function that returns Kp, called only after a step
    mu : weight of p'Kp
    reg : of the transport
    steps : most steps; it stops early if no step lowers F
    rate : of the first step

    Returns
    -------
    Weights; F never rises if every error is within `TOLERANCE`
    """
    n = len(cost)
    log_p = np.full(n, -np.log(n))
    here = sinkhorn(log_p, cost, reg)
    repeated, direction = spread(np.exp(log_p))
    found = Weights(log_p, [here.value + mu * repeated])
    found.transport.append(here.value)
    found.error.append(here.error)
    for _ in range(steps):
        gradient = here.source + 2 * mu * direction()
        for _ in range(30):
            tried = _step(found.log_p, gradient, rate)
            there = sinkhorn(tried, cost, reg, here.target)
            repeated, turn = spread(np.exp(tried))
            value = there.value + mu * repeated
            if value < found.objective[-1]:
                break
            rate /= 2
        else:
            return found
        here, direction, found.log_p = there, turn, tried
        found.objective.append(value)
        found.transport.append(there.value)
        found.error.append(there.error)
    return found


def _step(log_p: np.ndarray, gradient: np.ndarray, rate: float) -> np.ndarray:
    """One exponentiated gradient step, in logarithms."""
    moved = log_p - rate * (gradient - gradient.min())
    moved = np.maximum(moved - logsumexp(moved), LOWEST)
    shifted: np.ndarray = moved - logsumexp(moved)
    return shifted

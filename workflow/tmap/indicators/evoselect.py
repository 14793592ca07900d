"""Weight of a sample in the mixture that best matches the target questions.

Weights p over the pool minimise the cost of moving the samples' gradients to those of the
target questions, plus `mu` times the similarity of the samples to each other::

    F(p) = OT(p, uniform over questions) + mu p'Kp
    cost: cosine       C_ij = 1 - s_ij
    cost: euclidean    C_ij = sqrt(2 - 2 s_ij)         the distance of the vectors
    K_ik = s_ik, so that p'Kp = |sum_i p_i g_i|^2

    score = log(N p_i)      0 for a weight of 1 / N, log 2 = 0.693 for twice that

where s is the mean cosine of `less` (checkpoints weighted by learning rate). The minimum is
approached from uniform weights by `steps` exponentiated gradient steps
(`tmap.gradients.optimal_transport`), the first with `rate`; `regularisation` is the weight
of the entropy in OT, in the unit of the cost. A selection takes the highest weights. With
few steps, many rows keep some weight; the minimum itself, with mu = 0, needs no more rows
than there are questions. With small `regularisation`, the transport may not converge in
2000 iterations; the table's notes then contain a `warning`.

Gradients and statuses are those of `less`. The weights depend on the whole pool.

Source: EvoSelect. Its abstract names optimal transport over proxy gradients with a
diversification, an iterative optimisation that combines both gradients, and the top k; no
code is published. Open points and our choices: docs/explanation/paper.md.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from tmap.gradients import optimal_transport, similarity
from tmap.gradients.similarity import Features
from tmap.indicators import Scores, indicator

COSTS = ("cosine", "euclidean")


@indicator(
    unit="log of the weight over 1/N",
    source="arXiv:2604.26170",
    looks_at="gradients",
    scope="pool",
    choices={"cost": COSTS},
    least={"mu": 0, "regularisation": 1e-9, "steps": 0, "rate": 1e-9},
)
def evoselect(
    pool: pd.DataFrame,
    lm: Features,
    *,
    mu: float = 0.01,
    cost: str = "cosine",
    regularisation: float = 0.05,
    steps: int = 20,
    rate: float = 5.0,
) -> Scores:
    """Compute the weights of all rows together.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    lm : gradients of the pool and of the target questions
    mu : penalty on the similarity of rows to each other, at least 0
    cost : cosine | euclidean
    regularisation : of the transport, above 0
    steps : most gradient steps
    rate : of the first step; halved if it does not lower F

    Returns
    -------
    (n_samples,) log(N p); higher means a larger weight
    """
    at = similarity.aligned(lm, pool)
    score = np.full(len(pool), np.nan)
    if not len(at.known):
        return Scores(score, at.status)
    found = optimal_transport.minimise(
        costs(lm.similarities(at.rows, at.questions), cost),
        _spread(lm, at.rows),
        mu=mu,
        reg=regularisation,
        steps=steps,
        rate=rate,
    )
    score[at.known] = found.log_p + np.log(len(at.known))
    notes = {"objective": found.objective} | _doubt(found, regularisation)
    return Scores(score, at.status, notes)


def _doubt(found: optimal_transport.Weights, regularisation: float) -> dict[str, str]:
    """A warning if the transport was not solved to its tolerance."""
    worst = max(found.error)
    if worst <= optimal_transport.TOLERANCE:
        return {}
    return {
        "warning": f"the transport's plan misses its marginals by {worst:.1e} (wanted "
        f"{optimal_transport.TOLERANCE:.0e}), so the objective may have risen unnoticed; "
        f"raise regularisation above {regularisation:g}"
    }


def costs(near: np.ndarray, cost: str) -> np.ndarray:
    """Costs from similarities; by rounding, those of equal vectors may be above 1."""
    apart = np.maximum(1 - near, 0)
    return np.sqrt(2 * apart) if cost == "euclidean" else apart


def _spread(
    lm: Features, rows: np.ndarray
) -> Callable[[np.ndarray], tuple[float, Callable[[], np.ndarray]]]:
    """p'Kp and Kp from the mean vector; K itself is never formed."""

    def of(p: np.ndarray) -> tuple[float, Callable[[], np.ndarray]]:
        mean = lm.mean(rows, p)
        return float(lm.rates @ np.square(mean).sum(axis=1)), lambda: lm.along(
            rows, mean
        )

    return of

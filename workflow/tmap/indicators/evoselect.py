"""Weight of a sample among those that together stand for the target questions.

Weights p over the pool minimise the cost of moving their gradients to those of the
target questions, plus `mu` times their similarity among themselves::

    F(p) = OT(p, uniform over questions) + mu p'Kp
    cost: cosine       C_ij = 1 - s_ij
    cost: euclidean    C_ij = sqrt(2 - 2 s_ij)         the distance of the vectors
    K_ik = s_ik, so that p'Kp = |sum_i p_i g_i|^2

    score = log(N p_i)      0 for a weight of 1 / N, log 2 = 0.693 for twice that

where s is the mean cosine of `less` (checkpoints by learning rate). `steps`
exponentiated gradient steps go down from uniform weights
(`tmap.gradients.optimal_transport`), the first of `rate`; `regularisation` is the
entropy's weight in OT, in the unit of the cost. A selection takes the highest weights.
Few steps keep many rows in play; the minimum itself, with mu = 0, needs no more rows
than there are questions. With little `regularisation` the transport may not converge in
2000 iterations; then the table's notes have a `warning`.

Gradients and statuses are those of `less`. The weights depend on the whole pool.

Source: EvoSelect. Its abstract names optimal transport over proxy gradients with a
diversification, an iterative optimisation that combines both gradients, and the top k; no
code is published. What it leaves open, and what we chose: docs/explanation/paper.md.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from tmap.errors import unknown
from tmap.gradients import optimal_transport, similarity
from tmap.gradients.similarity import Features
from tmap.indicators import Scores, indicator

COSTS = ("cosine", "euclidean")


@indicator(
    unit="log of the weight over 1/N",
    source="EvoSelect",
    looks_at="gradients",
    scope="pool",
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
    """Weigh all rows together.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    lm : gradients of the pool and of the target questions
    mu : how much similar rows cost each other, at least 0
    cost : cosine | euclidean
    regularisation : of the transport, above 0
    steps : gradient steps at most
    rate : of the first step; halved where it does not lower F

    Returns
    -------
    (n_samples,) log(N p); higher means a larger weight
    """
    if cost not in COSTS:
        raise unknown(
            "cost",
            cost,
            COSTS,
            "Set `indicators: evoselect: cost:` in the dataset card.",
        )
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
    """A warning where the transport was not solved to its tolerance."""
    worst = max(found.error)
    if worst <= optimal_transport.TOLERANCE:
        return {}
    return {
        "warning": f"the transport's plan misses its marginals by {worst:.1e} (wanted "
        f"{optimal_transport.TOLERANCE:.0e}), so the objective may have risen unseen; "
        f"raise regularisation above {regularisation:g}"
    }


def costs(near: np.ndarray, cost: str) -> np.ndarray:
    """Costs from similarities; rounding may leave those of equal vectors above 1."""
    apart = np.maximum(1 - near, 0)
    return np.sqrt(2 * apart) if cost == "euclidean" else apart


def _spread(
    lm: Features, rows: np.ndarray
) -> Callable[[np.ndarray], tuple[float, Callable[[], np.ndarray]]]:
    """p'Kp and Kp through the mean vector: K itself is never formed."""

    def of(p: np.ndarray) -> tuple[float, Callable[[], np.ndarray]]:
        mean = lm.mean(rows, p)
        return float(lm.rates @ np.square(mean).sum(axis=1)), lambda: lm.along(
            rows, mean
        )

    return of

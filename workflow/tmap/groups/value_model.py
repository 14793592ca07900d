"""The value of a row where no line fits: trees on the data of the group model.

Extremely randomised trees (Geurts et al. 2006) predict a group's accuracy from the mean
columns of its rows. A row's value is what they predict for a group of rows like it. They
see thresholds and interactions that weights cannot; they need more groups, and cannot
extrapolate beyond the means of groups that were asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from tmap.groups.group_model import Data, explained, held_out

N_TREES, LEAF = 500, 20
#: Points of a partial dependence curve, and rows that it is a mean over.
GRID, ROWS = 11, 500


def fit(data: Data, seed: int) -> ExtraTreesRegressor:
    trees = ExtraTreesRegressor(
        N_TREES, min_samples_leaf=LEAF, random_state=seed, n_jobs=1
    )
    return trees.fit(data.x, data.y)


def partial_dependence(
    trees: ExtraTreesRegressor, matrix: np.ndarray, names: list[str], seed: int
) -> dict[str, Any]:
    """Mean predicted accuracy as one column changes and the others stay, per column.

    Parameters
    ----------
    matrix : (N, K) columns of the pool; the mean is over a sample of its rows
    """
    rng = np.random.default_rng(seed)
    rows = matrix[rng.permutation(len(matrix))[:ROWS]]
    found = {}
    for j, name in enumerate(names):
        grid = np.linspace(matrix[:, j].min(), matrix[:, j].max(), GRID)
        moved = np.repeat(rows[None], GRID, axis=0)
        moved[:, :, j] = grid[:, None]
        flat = trees.predict(moved.reshape(-1, rows.shape[1]))
        mean = flat.reshape(GRID, -1).mean(axis=1)
        found[name] = {"at": grid.tolist(), "accuracy": mean.tolist()}
    return found


@dataclass(frozen=True)
class Skill:
    """What the trees know of answers that they have not seen.

    Attributes
    ----------
    r2 : share of the squared error that held-out predictions remove
    interval : 90 %, by resampling groups
    """

    r2: float
    interval: tuple[float, float]

    @property
    def learns(self) -> bool:
        return self.interval[0] > 0

    def about(self) -> dict[str, Any]:
        """For weights.json."""
        return {
            "abstains": not self.learns,
            "r2": self.r2,
            "r2_interval": list(self.interval),
        }


def skill(data: Data, seed: int) -> Skill:
    """Held-out skill of the trees, over the same folds as the line's."""
    predicted = held_out(data, lambda part: fit(part, seed).predict)
    return Skill(*explained(data, predicted, seed))

"""Deal ranked samples into m groups of n demonstrations.

The paper says that D_sub is partitioned into m groups of n-shot exemplars (3.4, algorithm
1) and that the highest-scoring data form the demonstrations (3.2). With M far above m x n
both cannot be literally true, so there are two policies:

* `top`: the best m*n rows are dealt in turn; group g gets ranks g, g+m, g+2m, ... The
  reward then looks at m*n rows only and does not depend on M.
* `spread`: the top M are cut into n equal rank strata; group g takes from each the row at
  fraction (g + 1/2) / m. The reward then samples all of D_sub, but thinly.

The best demonstration comes last, nearest to the question.
"""

from __future__ import annotations

import numpy as np

from tmap.errors import TmapError


def n_needed(policy: str, n_groups: int, n_shots: int, n_selected: int) -> int:
    """How many of the best rows the dealing looks at."""
    return n_groups * n_shots if policy == "top" else n_selected


def deal(
    ranked: np.ndarray, n_groups: int, n_shots: int, policy: str, turn: int = 0
) -> np.ndarray:
    """Row numbers of the demonstrations of every group.

    Parameters
    ----------
    ranked : (M,) row numbers, best first
    n_groups, n_shots : m and n
    policy : "top" or "spread"
    turn : 0 for the search; 1 for the confirm step, which deals the same rows differently
        (round j is shifted by j * turn groups); no effect with one group or one shot

    Returns
    -------
    (m, n) row numbers, best last

    Raises
    ------
    TmapError : fewer rows than m * n
    """
    if len(ranked) < n_groups * n_shots:
        raise TmapError(
            f"{n_groups} groups of {n_shots} demonstrations need "
            f"{n_groups * n_shots} selected samples; there are {len(ranked)}. Lower "
            "search.n_groups or search.n_shots, raise fraction, or bring a larger pool."
        )
    groups = np.arange(n_groups)
    rounds = []
    for j in range(n_shots):
        seat = (groups + j * turn) % n_groups
        if policy == "top":
            rounds.append(ranked[j * n_groups + seat])
        else:
            low, high = (len(ranked) * k / n_shots for k in (j, j + 1))
            place = low + (high - low) * (seat + 0.5) / n_groups
            rounds.append(ranked[place.astype(np.int64)])
    return np.stack(rounds[::-1], axis=1)

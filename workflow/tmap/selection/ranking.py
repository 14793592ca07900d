"""Score every candidate by its weighted indicators and take the best M.

    S_i(w) = sum_j w_j f_ij        paper section 3.1

Judge scores are coarse, so ties are common; they are broken by text hash and then by id,
which makes a selection independent of row order, machine and library version.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def scores(matrix: np.ndarray, weights: Sequence[float] | np.ndarray) -> np.ndarray:
    """Weighted score of every row.

    Columns are added one by one, in order, because the rounding of a BLAS product may
    depend on the number of threads.

    Parameters
    ----------
    matrix : (N, K) float64, normalised indicators in [0, 1]
    weights : K floats

    Returns
    -------
    (N,) float64
    """
    total = np.zeros(len(matrix))
    for column, weight in zip(matrix.T, weights, strict=True):
        total += float(weight) * column
    return total


def product(matrix: np.ndarray) -> np.ndarray:
    """(N,) product of the columns of every row: high only if every column is high.

    Columns are multiplied one by one, in order.
    """
    total = np.ones(len(matrix))
    for column in matrix.T:
        total *= column
    return total


def tie_rank(text_hash: Sequence[str], sample_id: Sequence[str]) -> np.ndarray:
    """(N,) int64 rank of every row by (text_hash, sample_id); the lower rank wins a tie."""
    table = pa.table({"hash": pa.array(text_hash), "id": pa.array(sample_id)})
    order = pc.sort_indices(table, [("hash", "ascending"), ("id", "ascending")])
    order = order.to_numpy()
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank


def top(score: np.ndarray, ties: np.ndarray, n: int) -> np.ndarray:
    """Row numbers of the n highest scores, best first; ties by `ties`, lowest first.

    Only rows at or above the n-th score are sorted.
    """
    if not 0 <= n <= len(score):
        raise ValueError(f"cannot take {n} of {len(score)} rows")
    if n == 0:
        return np.empty(0, dtype=np.int64)
    threshold = np.partition(score, len(score) - n)[len(score) - n]
    rows = np.flatnonzero(score >= threshold)
    return rows[np.lexsort((ties[rows], -score[rows]))][:n]


def n_selected(fraction: float, n_samples: int) -> int:
    """M = round(fraction x N), at least one row if the fraction is above 0."""
    if fraction == 0:
        return 0
    return max(1, round(fraction * n_samples))


def random_rows(ties: np.ndarray, n: int, seed: int) -> np.ndarray:
    """n row numbers drawn without replacement, independently of the row order."""
    by_hash = np.argsort(ties)
    return by_hash[np.random.default_rng(seed).permutation(len(ties))[:n]]

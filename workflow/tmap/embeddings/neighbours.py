"""Cosine similarity among many rows, block by block: never N x N numbers in memory.

Similarities are float32 and accurate to about 1e-6. Two similarities, or a similarity and
a threshold, count as equal if they differ by no more than `TIE`.
"""

from __future__ import annotations

import numpy as np

#: Similarities this close are equal.
TIE = 1e-6
#: Rows compared at a time, and the number of rows they are compared with.
BLOCK, ACROSS = 1024, 16_384


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1, (N, d) float32; a zero row stays zero and resembles nothing."""
    rows = np.asarray(vectors, dtype=np.float32)
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    scale = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    return np.ascontiguousarray(rows * scale[:, None].astype(np.float32))


def nearest_other(
    rows: np.ndarray,
    allowed: np.ndarray | None = None,
    of: np.ndarray | None = None,
) -> np.ndarray:
    """The most similar other row for every row; the first if several are equal.

    Parameters
    ----------
    rows : (N, d) float32 from `unit`
    allowed : (N,) bool, the rows that may be found; None: all
    of : (n,) numbers of the rows whose neighbours are found; None: all, N

    Returns
    -------
    (n,) int64 row numbers; -1 if there is no other row
    """
    n = len(rows)
    of = np.arange(n) if of is None else of
    barred = np.zeros(n, dtype=bool) if allowed is None else ~allowed
    found = np.empty(len(of), dtype=np.int64)
    for start in range(0, len(of), BLOCK):
        asked = of[start : start + BLOCK]
        block = rows[asked]
        best = np.full(len(block), -np.inf, dtype=np.float32)
        where = np.full(len(block), -1)
        for left in range(0, n, ACROSS):
            near = block @ rows[left : left + ACROSS].T
            own = asked - left
            inside = (own >= 0) & (own < near.shape[1])
            near[inside, own[inside]] = -np.inf
            near[:, barred[left : left + ACROSS]] = -np.inf
            top = near.max(axis=1)
            better = top > best + TIE
            first = np.argmax(near >= top[:, None] - TIE, axis=1) + left
            best, where = np.where(better, top, best), np.where(better, first, where)
        found[start : start + len(block)] = where
    return found


def diverse(rows: np.ndarray, threshold: float, n: int) -> np.ndarray:
    """Go through rows, best first; keep a row if no kept row is too similar; stop at n.

    This is DEITA's rule (arXiv:2312.15685, "Repr Filter") as published: a row is compared
    with the rows kept so far, never with a dropped one. (The published code, with batches
    above 1, also drops rows that resemble dropped ones.)

    Parameters
    ----------
    rows : (N, d) float32 from `unit`, in the order of preference
    threshold : a row is dropped if a similarity is above it
    n : most rows to keep

    Returns
    -------
    ascending int64 row numbers, at most n
    """
    limit = np.float32(threshold + TIE)
    kept = np.empty(0, dtype=np.int64)
    for start in range(0, len(rows), BLOCK):
        if len(kept) >= n:
            break
        fresh = np.arange(start, min(start + BLOCK, len(rows)))
        for left in range(0, len(kept), ACROSS):
            near = rows[fresh] @ rows[kept[left : left + ACROSS]].T
            fresh = fresh[near.max(axis=1) <= limit]
        kept = np.append(kept, fresh[among_themselves(rows[fresh], limit)])
    return kept[:n]


def among_themselves(rows: np.ndarray, limit: np.float32) -> np.ndarray:
    """(N,) bool, rows that the rule keeps if it compares them with these rows alone."""
    clash = rows @ rows.T > limit
    alive = np.ones(len(rows), dtype=bool)
    for i in range(len(rows)):
        if alive[i]:
            alive[i + 1 :] &= ~clash[i, i + 1 :]
    return alive

"""Nearest neighbours and near-duplicates in pools of any size: who compares them, and how.

Up to `EXACT` rows, all pairs are compared (`tmap.embeddings.neighbours`); time grows with
the square of the rows. Above, a graph of faiss finds neighbours (HNSW, arXiv:1603.09320),
and time grows little faster than the rows. The graph may miss some. So a sample is also
compared with all rows: the search widens until the graph finds `RECALL` of what all pairs
show, and if the widest one does not, all pairs are compared after all. Nothing in this
depends on the clock, and the graph is built by one thread, so that the same rows give the
same result on the same kind of processor.

Rows that are the same vector, bit by bit, are one node of the graph: its links would
otherwise lead from copy to copy.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

from tmap.embeddings import neighbours
from tmap.embeddings.neighbours import ACROSS, BLOCK, TIE
from tmap.errors import TmapError

logger = logging.getLogger(__name__)
#: Most rows of which all pairs are compared without asking a graph first.
EXACT = 200_000
#: Links of a node; nodes that a search keeps in sight, narrowest first; nodes it returns.
LINKS, WIDTHS, NEAR = 32, (64, 256), 8
#: Rows that are also compared with all rows, and the share of them that must agree.
SAMPLE, RECALL = 1024, 0.99
#: How neighbours were found, where all pairs were compared.
ALL_PAIRS = {"by": "all pairs"}


def nearest_other(
    rows: np.ndarray, allowed: np.ndarray | None = None
) -> tuple[np.ndarray, dict[str, Any]]:
    """The most similar other row for every row, and how it was found.

    Parameters
    ----------
    rows : (N, d) float32 from `unit`
    allowed : (N,) bool, the rows that may be found; None: all

    Returns
    -------
    (N,) int64 row numbers, -1 if there is no other row; and what a table notes of them:
    `by`, and for a graph its `width` and its `recall` on the sample. All pairs find the
    first of equally similar rows, the graph the first of those that it sees.

    Raises
    ------
    TmapError : more than `EXACT` rows, and faiss is not installed
    """
    n = len(rows)
    if n <= EXACT:
        return neighbours.nearest_other(rows, allowed), ALL_PAIRS
    graph = Graph(rows.shape[1])
    may = np.arange(n) if allowed is None else np.flatnonzero(allowed)
    copies, asked = Copies(rows, may), _sample(n)
    graph.add(rows[copies.first])
    truth = neighbours.nearest_other(rows, allowed, of=asked)
    wanted = similarity(rows, asked, truth) - TIE
    for width in WIDTHS:
        found = copies.nearest(graph, asked, width)
        recall = float(np.mean(similarity(rows, asked, found) >= wanted))
        logger.info("a search of width %d finds %.2f %%", width, 100 * recall)
        if recall >= RECALL:
            return copies.nearest(graph, np.arange(n), width), _how(width, recall)
    return neighbours.nearest_other(rows, allowed), ALL_PAIRS


def diverse(
    rows: np.ndarray, threshold: float, n: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Keep a row if no kept row is too similar (`neighbours.diverse`), and how.

    A graph only misses: a row that it drops has a kept one that is too similar. Its
    recall is the share of the rows to drop that it drops, estimated from kept ones.

    Parameters
    ----------
    rows, threshold, n : as for `neighbours.diverse`

    Returns
    -------
    ascending int64 row numbers, at most n; and notes as of `nearest_other`

    Raises
    ------
    TmapError : more than `EXACT` rows, and faiss is not installed
    """
    if len(rows) <= EXACT:
        return neighbours.diverse(rows, threshold, n), ALL_PAIRS
    for width in WIDTHS:
        kept, recall = _diverse(rows, threshold, n, width)
        logger.info("a search of width %d drops %.2f %%", width, 100 * recall)
        if recall >= RECALL:
            return kept, _how(width, recall)
    return neighbours.diverse(rows, threshold, n), ALL_PAIRS


class Graph:
    """Rows that were added, and the nearest of them: an HNSW graph, built by one thread.

    Parameters
    ----------
    size : d, numbers of a row

    Raises
    ------
    TmapError : faiss is not installed
    """

    def __init__(self, size: int) -> None:
        if find_spec("faiss") is None:
            raise TmapError(
                f"Neighbours among more than {EXACT:,} rows are found with faiss, which is "
                "not installed; to compare all pairs would take hours. Install it in the "
                "environment of the job (pip install -c constraints.txt -e '.[large]')."
            )
        self._faiss = import_module("faiss")
        self._nodes = self._faiss.IndexHNSWFlat(
            size, LINKS, self._faiss.METRIC_INNER_PRODUCT
        )

    def add(self, rows: np.ndarray) -> None:
        """Add (n, d) float32 rows, in this order."""
        with self._one_thread():
            self._nodes.add(rows)

    def nearest(
        self, rows: np.ndarray, n: int, width: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The n most similar nodes of each row that a search of this width sees.

        Returns
        -------
        (len(rows), n) float32 similarities, and int64 nodes in the order of adding; -inf
        and -1 where it sees fewer
        """
        how = self._faiss.SearchParametersHNSW(efSearch=width)
        with self._one_thread():
            near, node = self._nodes.search(rows, n, params=how)
        return np.where(node < 0, -np.inf, near).astype(np.float32), node

    @contextmanager
    def _one_thread(self) -> Iterator[None]:
        before = self._faiss.omp_get_max_threads()
        self._faiss.omp_set_num_threads(1)
        try:
            yield
        finally:
            self._faiss.omp_set_num_threads(before)


class Copies:
    """Rows by their vectors: equal ones share a node of a graph.

    Parameters
    ----------
    rows : (N, d) float32
    may : ascending numbers of the rows that may be found

    Attributes
    ----------
    first : the first row of each vector that may be found; node k of a graph is first[k]
    """

    def __init__(self, rows: np.ndarray, may: np.ndarray) -> None:
        self.rows = rows
        said = [hashlib.blake2b(row, digest_size=16).digest() for row in rows]
        self.vector = pd.factorize(pd.Series(said, dtype=object))[0]
        _, place = np.unique(self.vector[may], return_index=True)
        self.first = may[np.sort(place)]
        # Of each vector, the first two rows that may be found; -1 where there are fewer.
        self._two = np.full((self.vector.max(initial=-1) + 1, 2), -1)
        self._two[self.vector[self.first], 0] = self.first
        more = np.setdiff1d(may, self.first)
        _, place = np.unique(self.vector[more], return_index=True)
        self._two[self.vector[more[place]], 1] = more[place]

    def nearest(self, graph: Graph, asked: np.ndarray, width: int) -> np.ndarray:
        """The most similar other row of each of the rows `asked`; -1 if none is seen."""
        found = [
            self._nearest(graph, asked[start : start + BLOCK], width)
            for start in range(0, len(asked), BLOCK)
        ]
        return np.concatenate(found)

    def _nearest(self, graph: Graph, asked: np.ndarray, width: int) -> np.ndarray:
        near, node = graph.nearest(self.rows[asked], NEAR, width)
        other = np.append(self.first, -1)[node]  # node -1: none
        vector = self.vector[asked]
        near[(other >= 0) & (self.vector[other] == vector[:, None])] = -np.inf
        first, second = self._two[vector].T
        copy = np.where(first == asked, second, first)
        alike = similarity(self.rows, asked, copy).astype(np.float32)
        near = np.column_stack([near, alike])
        other = np.column_stack([other, copy])
        best = near.max(axis=1, keepdims=True)
        # The first of equally similar rows; rows that cannot be found are behind all.
        other = np.where((near >= best - TIE) & (near > -np.inf), other, len(self.rows))
        found = other.min(axis=1)
        return np.where(found == len(self.rows), -1, found)


def similarity(rows: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,) float64, of rows a and rows b; -inf where b is -1."""
    found = np.einsum("ij,ij->i", rows[a], rows[b], dtype=np.float64)
    return np.where(b < 0, -np.inf, found)


def _diverse(
    rows: np.ndarray, threshold: float, n: int, width: int
) -> tuple[np.ndarray, float]:
    """The rule through a graph of the kept rows, and its recall."""
    limit = np.float32(threshold + TIE)
    graph, kept = Graph(rows.shape[1]), np.empty(0, dtype=np.int64)
    for start in range(0, len(rows), BLOCK):
        if len(kept) >= n:
            break
        fresh = np.arange(start, min(start + BLOCK, len(rows)))
        near, _ = graph.nearest(rows[fresh], 1, width)
        fresh = fresh[near[:, 0] <= limit]
        fresh = fresh[neighbours.among_themselves(rows[fresh], limit)]
        graph.add(rows[fresh])
        kept = np.append(kept, fresh)
    kept = kept[:n]
    seen = int(kept[-1]) + 1 if len(kept) == n > 0 else len(rows)
    dropped, missed = seen - len(kept), _missed(rows[kept], limit)
    return kept, dropped / (dropped + missed) if missed else 1.0


def _missed(kept: np.ndarray, limit: np.float32) -> float:
    """How many kept rows a better kept one is too similar to, by a sample."""
    asked = _sample(len(kept))
    best = np.full(len(asked), -np.inf, dtype=np.float32)
    for left in range(0, len(kept), ACROSS):
        near = kept[asked] @ kept[left : left + ACROSS].T
        near[np.arange(left, left + near.shape[1]) >= asked[:, None]] = -np.inf
        best = np.maximum(best, near.max(axis=1))
    return float(np.mean(best > limit)) * len(kept) if len(kept) else 0.0


def _sample(n: int) -> np.ndarray:
    """Ascending row numbers, `SAMPLE` of n; the same ones each time."""
    drawn = np.random.default_rng(0).permutation(n)[:SAMPLE]
    return np.sort(drawn)


def _how(width: int, recall: float) -> dict[str, Any]:
    return {
        "by": f"faiss {version('faiss-cpu')}, HNSW with {LINKS} links",
        "width": width,
        "recall": recall,
    }

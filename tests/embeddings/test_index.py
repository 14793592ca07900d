"""Neighbours of many rows through a graph, against all pairs."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from tmap.embeddings import index, neighbours
from tmap.errors import TmapError

needs_faiss = pytest.mark.skipif(
    not find_spec("faiss"), reason="no package faiss: pip install faiss-cpu"
)


class AllNodes:
    """A graph that misses nothing, without a library; or only odd nodes."""

    sees = 1

    def __init__(self, size):
        self.rows = np.empty((0, size), np.float32)

    def add(self, rows):
        self.rows = np.vstack([self.rows, rows])

    def nearest(self, rows, n, width):
        near = (rows @ self.rows.T).astype(np.float32)
        near[:, np.arange(near.shape[1]) % self.sees != self.sees - 1] = -np.inf
        near = np.pad(near, ((0, 0), (0, n)), constant_values=-np.inf)
        node = np.argsort(-near, axis=1, kind="stable")[:, :n]
        near = np.take_along_axis(near, node, axis=1)
        return near, np.where(np.isinf(near), -1, node)


class OddNodes(AllNodes):
    sees = 2


@pytest.fixture
def large(monkeypatch):
    """Every pool of more than 50 rows is a large one; small blocks and samples."""
    monkeypatch.setattr(index, "EXACT", 50)
    monkeypatch.setattr(index, "SAMPLE", 200)
    for module in (index, neighbours):
        monkeypatch.setattr(module, "BLOCK", 64)
        monkeypatch.setattr(module, "ACROSS", 150)


@pytest.fixture
def exact_graph(large, monkeypatch):
    monkeypatch.setattr(index, "Graph", AllNodes)


def crowd(n=600, size=16, copies=0, seed=0):
    """Rows around centres, near-copies among them, and exact copies of the first few."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n // 3, size))
    rows = centres[rng.integers(0, n // 3, n - copies)]
    rows = rows + 0.25 * rng.normal(size=rows.shape)
    rows = np.vstack([rows, rows[rng.integers(0, 5, copies)]])
    return neighbours.unit(rng.permutation(rows))


def same(rows, found, truth):
    """Equal rows, or rows as similar: of those, a graph may take another one."""
    other = np.arange(len(rows))
    assert (found >= 0).tolist() == (truth >= 0).tolist()
    ours = index.similarity(rows, other, found)[truth >= 0]
    theirs = index.similarity(rows, other, truth)[truth >= 0]
    np.testing.assert_allclose(ours, theirs, atol=2e-6)
    assert (found != other).all()


def test_up_to_the_limit_all_pairs_are_compared():
    rows = crowd(90)

    near, how = index.nearest_other(rows)
    kept, also = index.diverse(rows, 0.9, 50)

    assert near.tolist() == neighbours.nearest_other(rows).tolist()
    assert kept.tolist() == neighbours.diverse(rows, 0.9, 50).tolist()
    assert how == also == {"by": "all pairs"}


@pytest.mark.parametrize(
    "ask", [index.nearest_other, lambda r: index.diverse(r, 0.9, 9)]
)
def test_above_it_a_missing_library_is_named_and_nothing_else_is_done(
    large, monkeypatch, ask
):
    monkeypatch.setattr(index, "find_spec", lambda name: None)

    with pytest.raises(
        TmapError, match=r"more than 50 rows .*faiss.*not installed.*pip"
    ):
        ask(crowd())


@pytest.mark.parametrize("copies", [0, 400])
@pytest.mark.parametrize("share", [1, 3, 1000])
def test_a_graph_that_misses_nothing_finds_what_all_pairs_find(
    exact_graph, copies, share
):
    rows = crowd(copies=copies)
    allowed = np.arange(len(rows)) % share == 0

    found, how = index.nearest_other(rows, allowed)

    same(rows, found, neighbours.nearest_other(rows, allowed))
    assert allowed[found[found >= 0]].all()
    assert how["recall"] == 1.0


def test_rows_may_not_be_found_at_all(exact_graph):
    found, _ = index.nearest_other(crowd(), np.zeros(600, dtype=bool))

    assert found.tolist() == [-1] * 600


@pytest.mark.parametrize("threshold", [0.5, 0.9, 1.0])
@pytest.mark.parametrize("n", [40, 600])
def test_the_rule_keeps_the_same_rows_through_a_graph(exact_graph, threshold, n):
    rows = crowd(copies=100)

    kept, how = index.diverse(rows, threshold, n)

    assert kept.tolist() == neighbours.diverse(rows, threshold, n).tolist()
    assert how["recall"] == 1.0


@pytest.mark.parametrize("rows", [crowd(copies=100), crowd(200, seed=1)])
def test_where_a_graph_misses_too_many_all_pairs_are_compared(large, monkeypatch, rows):
    monkeypatch.setattr(index, "Graph", OddNodes)

    near, how = index.nearest_other(rows)
    kept, also = index.diverse(rows, 0.8, len(rows))

    assert near.tolist() == neighbours.nearest_other(rows).tolist()
    assert kept.tolist() == neighbours.diverse(rows, 0.8, len(rows)).tolist()
    assert how == also == {"by": "all pairs"}


def test_the_recall_of_the_rule_counts_kept_rows_that_resemble_a_better_one(
    large, monkeypatch
):
    # 0, 0 and 1 degrees, then 57 others a right angle or more away from all of these.
    rows = np.zeros((60, 60), np.float32)
    np.fill_diagonal(rows, 1)
    rows[1] = rows[0]
    rows[2] = neighbours.unit(rows[:1] + 0.02 * rows[2:3])[0]
    monkeypatch.setattr(index, "Graph", OddNodes)
    monkeypatch.setattr(neighbours, "BLOCK", 1)
    monkeypatch.setattr(index, "BLOCK", 1)

    kept, recall = index._diverse(rows, 0.9, 60, 64)

    # Of nodes 0, 1, ... the graph sees 1, 3, ...: row 1 is kept, as node 1; row 2 is
    # like row 1 and dropped. So one of two rows to drop was dropped.
    assert kept.tolist() == [0, 1, *range(3, 60)]
    assert recall == pytest.approx(1 / 2)


@needs_faiss
@pytest.mark.parametrize("copies", [0, 1500])
def test_the_graph_of_the_library_finds_what_all_pairs_find(large, copies):
    rows = crowd(3000, 32, copies)
    allowed = np.arange(3000) % 4 > 0

    found, how = index.nearest_other(rows, allowed)
    again, _ = index.nearest_other(rows, allowed)
    truth = neighbours.nearest_other(rows, allowed)
    everyone = np.arange(3000)
    right = index.similarity(rows, everyone, found) > (
        index.similarity(rows, everyone, truth) - 2e-6
    )

    assert found.tobytes() == again.tobytes()
    assert how["by"].startswith("faiss ") and how["width"] in index.WIDTHS
    assert how["recall"] >= 0.99 and right.mean() >= 0.985
    assert allowed[found].all() and (found != everyone).all()


@needs_faiss
def test_the_graph_of_the_library_keeps_rows_that_differ(large):
    rows = crowd(3000, 32, 500)

    kept, how = index.diverse(rows, 0.8, 3000)
    again, _ = index.diverse(rows, 0.8, 3000)

    exact = neighbours.diverse(rows, 0.8, 3000)
    assert kept.tobytes() == again.tobytes()
    assert len(np.setxor1d(kept, exact)) <= 0.01 * len(exact)
    near = rows @ rows[kept].T  # every row that was dropped resembles a better kept one
    near[kept[None] >= np.arange(3000)[:, None]] = -1
    dropped = np.setdiff1d(np.arange(3000), kept)
    assert (near[dropped].max(axis=1) > 0.8).all()
    assert how["recall"] >= 0.99


@needs_faiss
def test_the_threads_of_the_library_are_as_before(large):
    import faiss

    before = faiss.omp_get_max_threads()
    index.nearest_other(crowd())

    assert faiss.omp_get_max_threads() == before

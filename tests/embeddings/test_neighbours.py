"""Nearest neighbours and DEITA's diversity rule, against rules written out in full."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tmap.embeddings import neighbours


def plane(*degrees):
    """Unit rows in the plane; the cosine of two is that of the angle between them."""
    angle = np.deg2rad(degrees)
    return neighbours.unit(np.stack([np.cos(angle), np.sin(angle)], axis=1))


@pytest.fixture
def crowd(monkeypatch):
    """Rows around few centres, many near the threshold; blocks that do not divide."""
    monkeypatch.setattr(neighbours, "BLOCK", 7)
    monkeypatch.setattr(neighbours, "ACROSS", 11)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(12, 16))
    return rng.permutation(
        centres[rng.integers(0, 12, 150)] + 0.35 * rng.normal(size=(150, 16))
    )


def cosine(a, b):
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def greedy(rows, threshold, n):
    """The rule, one row at a time, in double precision."""
    kept = []
    for i, row in enumerate(rows):
        if len(kept) < n and all(cosine(row, rows[k]) <= threshold for k in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("n", [1, 20, 150])
def test_the_blocked_rule_keeps_what_the_rule_keeps_row_by_row(crowd, threshold, n):
    kept = neighbours.diverse(neighbours.unit(crowd), threshold, n)

    assert kept.tolist() == greedy(crowd, threshold, n)


def test_a_row_is_compared_with_kept_rows_only():
    # 20 degrees is too near 0 (cos 0.94) and dropped; 40 is too near 20, but not 0.
    assert neighbours.diverse(plane(0, 20, 40), 0.9, 3).tolist() == [0, 2]


def test_a_similarity_at_the_threshold_keeps_the_row():
    rows = neighbours.unit(np.array([[1.0, 0.0], [0.6, 0.8], [0.601, 0.8]]))

    assert neighbours.diverse(rows[:2], 0.6, 2).tolist() == [0, 1]
    assert neighbours.diverse(rows[[0, 2]], 0.6, 2).tolist() == [0]


def test_of_equal_rows_the_best_stays():
    rows = neighbours.unit(np.ones((2500, 3)))

    assert neighbours.diverse(rows, 0.9, 5).tolist() == [0]
    assert len(neighbours.diverse(rows, 1.0, 2500)) == 2500  # nothing is above 1


def test_rows_of_zeros_resemble_nothing():
    rows = neighbours.unit(np.zeros((3, 4)))

    assert_allclose(rows, 0)
    assert neighbours.diverse(rows, 0.9, 3).tolist() == [0, 1, 2]


def test_the_nearest_other_row_is_the_one_a_full_matrix_shows(crowd):
    full = np.array([[cosine(a, b) for b in crowd] for a in crowd])
    np.fill_diagonal(full, -np.inf)

    found = neighbours.nearest_other(neighbours.unit(crowd))

    assert found.tolist() == full.argmax(axis=1).tolist()


def test_the_nearest_other_row_by_hand():
    assert neighbours.nearest_other(plane(0, 50, 20, 180)).tolist() == [2, 2, 0, 1]


def test_rows_that_are_not_allowed_are_not_found(crowd):
    allowed = np.arange(150) % 3 == 0
    full = np.array([[cosine(a, b) for b in crowd] for a in crowd])
    np.fill_diagonal(full, -np.inf)
    full[:, ~allowed] = -np.inf

    found = neighbours.nearest_other(neighbours.unit(crowd), allowed)

    assert found.tolist() == full.argmax(axis=1).tolist()


def test_no_row_is_found_where_only_itself_is_allowed():
    allowed = np.array([False, True, False])

    assert neighbours.nearest_other(plane(0, 1, 2), allowed).tolist() == [1, -1, 1]


@pytest.mark.parametrize("blocks", [(1024, 16_384), (2, 3)])
def test_of_equally_near_rows_the_first_is_taken(monkeypatch, blocks):
    monkeypatch.setattr(neighbours, "BLOCK", blocks[0])
    monkeypatch.setattr(neighbours, "ACROSS", blocks[1])
    rows = neighbours.unit(np.tile([0.3, -0.7, 0.1], (9, 1)))

    assert neighbours.nearest_other(rows).tolist() == [1] + [0] * 8


@pytest.mark.parametrize("n", [0, 1])
def test_a_lone_row_has_no_neighbour(n):
    assert neighbours.nearest_other(np.ones((n, 3), np.float32)).tolist() == [-1] * n


def test_no_matrix_of_all_pairs_is_made():
    rows = neighbours.unit(np.random.default_rng(0).normal(size=(20_000, 8)))
    tracemalloc.start()
    neighbours.nearest_other(rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 20_000**2 * 4 / 5  # of 1.6 GB

"""Rows that a method card's `filter:` drops from a ranking."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from tmap.artifacts import tables
from tmap.cards.method import MethodCard
from tmap.errors import TmapError
from tmap.selection import filters, subset
from tmap.selection.features import Features

NONE = {"below": {}, "diversity": None}
IFD = {"below": {"ifd": 1.0}, "diversity": None}


@pytest.fixture
def pool():
    return pd.DataFrame(
        {"sample_id": list("abcdef"), "text_hash": [str(i) for i in range(6)]}
    )


@pytest.fixture
def column(tmp_path):
    """IFD of a to f: two at or above 1, one unscored."""
    frame = pd.DataFrame(
        {
            "sample_id": list("fedcba"),
            "score": [0.2, np.nan, 0.9, 1.0, 7.0, 0.99],
            "status": ["ok", "failed", "ok", "ok", "ok", "ok"],
        }
    )
    path = tmp_path / "ifd.parquet"
    tables.write("indicator", frame, path, code="c", indicator="ifd")
    return path


@pytest.fixture
def features():
    """Ranks the rows b, c, a, d, f, e by their IFD (unscored: lowest)."""
    matrix = np.array([[0.5, 1.0, 0.6, 0.4, 0.0, 0.1]]).T
    return Features(["ifd"], matrix, [], {})


def chosen(pool, features, fraction, how):
    weights = None if features is None else np.ones(1)
    found = subset.choose(pool, features, weights, fraction, 0, None, how)
    assert found["rank"].tolist() == list(range(len(found)))
    return "".join(found["sample_id"])


def test_rows_at_the_limit_above_it_and_unscored_are_dropped_first(
    pool, features, column
):
    how = filters.load(IFD, pool, [column])

    assert chosen(pool, features, 0.5, None) == "bca"
    assert chosen(pool, features, 0.5, how) == "adf"
    assert how.dropped == {"below": 3}
    assert how.warnings == []


def test_a_method_without_a_filter_takes_what_it_took(pool, features):
    how = filters.load(NONE, pool, [])

    for fraction in (0.0, 0.5, 1.0):
        plain = subset.choose(pool, features, np.ones(1), fraction, 0)
        sieved = subset.choose(pool, features, np.ones(1), fraction, 0, None, how)
        pd.testing.assert_frame_equal(plain, sieved)


def test_too_few_rows_are_a_smaller_subset_and_a_warning(
    pool, features, column, caplog
):
    how = filters.load(IFD, pool, [column])

    with caplog.at_level(logging.WARNING, logger="tmap"):
        assert chosen(pool, features, 1.0, how) == "adf"

    assert "leave 3 of the 6 rows" in how.warnings[0]
    assert "leave 3 of the 6 rows" in caplog.text


def test_a_row_like_a_better_one_is_dropped(pool, features, tmp_path):
    # d is like b, the best; f is like d, which is dropped; the rest are apart.
    spots = {"a": 0, "b": 90, "c": 180, "d": 100, "e": 270, "f": 120}
    angle = np.deg2rad([spots[name] for name in "abcdef"])
    frame = pd.DataFrame(
        {
            "sample_id": list("abcdef"),
            "embedding": list(np.float32([np.cos(angle), np.sin(angle)]).T),
            "n_tokens": 1,
            "status": "ok",
        }
    )
    path = tmp_path / "conversation_last.parquet"
    tables.write("embeddings", frame, path, code="c")

    how = filters.load({"below": {}, "diversity": 0.9}, pool, [], str(path))

    assert chosen(pool, features, 5 / 6, how) == "bcafe"
    assert how.dropped == {"below": 0, "diversity": 1}
    assert chosen(pool, None, 1.0, how) != chosen(pool, features, 1.0, how)


def test_a_diversity_filter_without_embeddings_says_what_to_build(pool):
    with pytest.raises(TmapError, match="embed-pool"):
        filters.load({"below": {}, "diversity": 0.9}, pool, [])


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"weights": "none", "filter": {"diversity": 0.9}}, "none has none"),
        ({"weights": {"ifd": 1}, "filter": {"below": {"miwv": 0}}}, "does not weigh"),
        (
            {"weights": "random", "filter": {"diversity": 1.5}},
            "less than or equal to 1",
        ),
        ({"weights": "random", "filter": {"diverse": 0.9}}, "diverse"),
    ],
)
def test_filters_that_cannot_work_are_refused(card, message):
    with pytest.raises(ValueError, match=message):
        MethodCard(**card)


def test_a_filter_that_leaves_nothing_is_an_error(pool, features, column):
    how = filters.load({"below": {"ifd": 0.1}, "diversity": None}, pool, [column])

    with pytest.raises(TmapError, match=r"leave none of 6 rows \(below: 6\)"):
        chosen(pool, features, 0.5, how)

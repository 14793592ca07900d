"""Columns: joined by id, normalised, with rows without a score marked."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tmap.artifacts import tables
from tmap.errors import TmapError
from tmap.selection import features

HOW = pytest.mark.parametrize("how", ["minmax", "rank", "robust"])
scores = st.lists(
    st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), min_size=1, max_size=40
)


@pytest.fixture
def table(tmp_path):
    def write(name, scores, ids="abcdefgh", status=None):
        frame = pd.DataFrame(
            {
                "sample_id": list(ids)[: len(scores)],
                "score": np.array(scores, dtype=float),
                "status": status or ["empty" if s != s else "ok" for s in scores],
            }
        )
        path = tmp_path / f"{name}.parquet"
        tables.write("indicator", frame, path, code="test")
        return path

    return write


def load(ids, *files, how="minmax", max_unscored=1.0):
    return features.load(
        list(ids), list(files), normalise=how, max_unscored=max_unscored
    )


def test_minmax_puts_lowest_at_0_and_highest_at_1(table):
    found = load("abc", table("ifd", [2, 6, 3]))

    assert found.names == ["ifd"]
    assert_array_equal(found.matrix, [[0], [1], [0.25]])
    assert found.warnings == []


def test_rank_gives_ties_their_average(table):
    # ranks 1, 2.5, 2.5, 4 -> (rank - 1) / 3
    found = load("abcd", table("ifd", [10, 20, 20, 900]), how="rank")

    assert_allclose(found.matrix[:, 0], [0, 0.5, 0.5, 1])


def test_robust_is_not_moved_by_one_outlier():
    values = np.append(
        np.arange(100.0), 1e9
    )  # 99th percentile of 101 values: the 100th

    column = features.normalised(values, "robust")

    assert column[-1] == column[-2] == 1
    assert_allclose(column[50], (50 - 1) / (99 - 1))  # 1st percentile: the 2nd value


def test_rows_are_joined_by_id_and_never_by_position(table):
    file = table("ifd", [2, 6, 3], ids="cab")

    assert_array_equal(load("abc", file).matrix[:, 0], [1, 0.25, 0])


def test_columns_keep_the_order_of_the_files(table):
    found = load("ab", table("z", [0, 1]), table("a", [1, 0]))

    assert found.names == ["z", "a"]
    assert_array_equal(found.matrix, [[0, 1], [1, 0]])


def test_an_unscored_row_takes_the_lowest_value_and_is_counted(table):
    found = load("abcd", table("ifd", [2, np.nan, 6, 4]))

    assert_array_equal(found.matrix[:, 0], [0, 0, 1, 0.5])
    assert found.n_unscored == {"ifd": 1}
    assert "1 of 4 rows unscored (25.0%: empty 1)" in found.warnings[0]


@HOW
def test_a_constant_column_is_0_and_a_warning(table, how):
    found = load("abc", table("ifd", [5, 5, 5]), how=how)

    assert not found.matrix.any()
    assert "ifd: all scored rows are equal" in found.warnings[0]


def test_too_many_unscored_rows_stop_the_build(table):
    nan = np.nan
    file = table("ifd", [1, nan, nan, 2], status=["ok", "empty", "failed", "ok"])

    with pytest.raises(TmapError) as fault:
        load("abcd", file, max_unscored=0.49)

    assert "'ifd' left 2 of 4 rows unscored (50.0%: empty 1, failed 1)" in str(
        fault.value
    )
    assert "first: sample 'b'" in str(fault.value)
    assert "raise `max_unscored:`" in str(fault.value)


def test_the_limit_itself_is_allowed(table):
    found = load("abcd", table("ifd", [1, 2, 3, np.nan]), max_unscored=0.25)

    assert found.n_unscored == {"ifd": 1}


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ("abcd", "1 missing (first: 'd')"),
        ("ab", "1 not in the pool (first: 'c')"),
        ("abx", "1 missing (first: 'x'), 1 not in the pool (first: 'c')"),
    ],
)
def test_other_ids_than_the_pools_are_refused(table, ids, message):
    file = table("ifd", [1, 2, 3])

    with pytest.raises(TmapError, match="does not match the pool") as fault:
        load(ids, file)

    assert message in str(fault.value)


def test_an_id_that_stands_twice_is_refused(table):
    with pytest.raises(TmapError, match="1 duplicated"):
        load("ab", table("ifd", [1, 2, 3], ids="aba"))


@HOW
@given(values=scores)
def test_every_column_lies_in_0_to_1_and_keeps_the_order(how, values):
    values = np.array(values)

    column = features.normalised(values, how)

    assert ((column >= 0) & (column <= 1)).all()
    assert (column[np.isnan(values)] == 0).all()
    known = ~np.isnan(values)
    by_score = column[known][np.argsort(values[known], kind="stable")]
    assert (np.diff(by_score) >= 0).all()


@HOW
@given(values=scores, seed=st.integers(0, 99))
def test_the_order_of_rows_does_not_matter(how, values, seed):
    values = np.array(values)
    order = np.random.default_rng(seed).permutation(len(values))

    assert_array_equal(
        features.normalised(values[order], how), features.normalised(values, how)[order]
    )


@given(values=scores)
def test_ranks_do_not_depend_on_the_unit(values):
    # rounded, so that cubing cannot merge two values
    values = np.round(np.array(values), 2)

    assert_array_equal(
        features.normalised(values, "rank"),
        features.normalised(np.sign(values) * np.abs(values) ** 3, "rank"),
    )


#: Scores, and the row that leaves the others no range; None: they have one.
FLATTENED = {
    "one far above": ([1, 2, 3, 4, 1000], 4),
    "one far below": ([-1000, 1, 2, 3, 4], 0),
    "one in the middle of the file": ([1, 2, 1e9, 3, 4], 2),
    "one far above, and an unscored row": ([1, np.nan, 2, 3, 500], 4),
    "a perplexity that exploded": ([2.5, 3.1, 2.9, 8.0, 9e7], 4),
    "just under a tenth": ([0, 0.99, 10, 0.5], 2),
    "two in two hundred": ([*np.linspace(0, 1, 198), 900, 1000], 199),
    "negative scores": ([-5, -4, -3, -9000], 3),
    "one at each end of two hundred": (
        [-800, *np.linspace(0, 1, 198), 900],
        199,
    ),
    "one above and a worse one below": ([-9000, *np.linspace(0, 1, 198), 900], 0),
    "infinitesimal differences": ([1e-300, 2e-300, 3e-300, 1], 3),
    "counts of tokens": ([12, 9, 15, 11, 131072], 4),
    "just over a tenth": ([0, 1.01, 10, 0.5], None),
    "even": ([1, 2, 3, 4, 5], None),
    "both ends": ([-100, 1, 2, 3, 100], None),
    "all others equal": ([1, 1, 1, 1, 50], None),
    "all equal": ([1, 1, 1], None),
    "two rows": ([1, 1000], None),
    "nothing scored": ([np.nan] * 4, None),
    "one at each end of fifty": ([-800, *np.linspace(0, 1, 48), 900], None),
    "two in fifty": ([*np.linspace(0, 1, 48), 900, 1000], None),
}


@pytest.mark.parametrize(("scores", "row"), FLATTENED.values(), ids=FLATTENED)
def test_a_row_that_flattens_a_column_is_named_under_minmax(tmp_path, scores, row):
    ids = [f"s{number}" for number in range(len(scores))]
    missing = np.isnan(scores)
    frame = pd.DataFrame({"sample_id": ids, "score": np.array(scores, float)})
    frame["status"] = np.where(missing, "failed", "ok")
    path = tmp_path / "perplexity.parquet"
    tables.write("indicator", frame, path, code="0")

    def told(how):
        found = features.load(ids, [path], normalise=how, max_unscored=1)
        return [words for words in found.warnings if "of the range" in words]

    assert told("rank") == told("robust") == []
    if row is None:
        assert told("minmax") == []
        return
    (words,) = told("minmax")
    assert f"'s{row}' ({scores[row]:.4g})" in words
    assert words.startswith("perplexity: ")
    assert "Set `normalise: rank` or `normalise: robust`" in words

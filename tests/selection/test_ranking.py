"""Scores and top-M against arithmetic and a brute-force sort."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmap.errors import TmapError
from tmap.selection import ranking, subset, weights
from tmap.selection.features import Features


def test_score_is_the_weighted_sum_of_the_columns():
    matrix = np.array([[0.0, 1.0], [0.5, 0.25]])
    assert ranking.scores(matrix, [2.0, 4.0]).tolist() == [4.0, 2.0]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 99)), min_size=1, max_size=40),
    st.data(),
)
def test_top_agrees_with_a_brute_force_sort(rows, data):
    n = data.draw(st.integers(0, len(rows)))
    hashes = [f"{h:02d}" for _, h in rows]
    ids = [f"id{i}" for i in range(len(rows))]
    score = np.array([float(s) for s, _ in rows])
    ties = ranking.tie_rank(hashes, ids)
    brute = sorted(range(len(rows)), key=lambda i: (-score[i], hashes[i], ids[i]))[:n]
    assert ranking.top(score, ties, n).tolist() == brute


def test_a_tie_is_won_by_hash_then_by_id_whatever_the_row_order():
    ties = ranking.tie_rank(["b", "a", "a"], ["x", "z", "y"])
    assert ranking.top(np.ones(3), ties, 3).tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("fraction", "n_samples", "expected"),
    [(0.3, 7473, 2242), (0.1, 50_000, 5000), (0.0, 10, 0), (1e-6, 10, 1), (1.0, 7, 7)],
)
def test_n_selected_rounds_and_takes_at_least_one_row(fraction, n_samples, expected):
    assert ranking.n_selected(fraction, n_samples) == expected


def test_random_rows_name_the_same_samples_in_any_row_order():
    ids = np.array([f"s{i}" for i in range(30)])
    hashes = np.array([f"{i * 7 % 30:02d}" for i in range(30)])
    turned = np.roll(np.arange(30), 11)
    first = ranking.random_rows(ranking.tie_rank(hashes, ids), 9, seed=3)
    again = ranking.random_rows(
        ranking.tie_rank(hashes[turned], ids[turned]), 9, seed=3
    )
    assert set(ids[first]) == set(ids[turned][again])
    assert len(set(first)) == 9


def test_other_seeds_draw_other_random_rows():
    ties = np.arange(100)
    draws = {tuple(ranking.random_rows(ties, 10, seed)) for seed in range(5)}
    assert len(draws) == 5


def test_learned_weights_are_matched_by_name(tmp_path):
    path = tmp_path / "weights.json"
    path.write_text(json.dumps({"indicators": ["a", "b"], "weights": [0.1, 0.9]}))
    assert weights.read_weights("learned", ["b", "a"], str(path)).tolist() == [
        0.9,
        0.1,
    ]


def test_weights_of_other_indicators_are_refused(tmp_path):
    path = tmp_path / "weights.json"
    path.write_text(json.dumps({"indicators": ["a"], "weights": [1]}))
    with pytest.raises(TmapError, match="weights for a, but the card lists b"):
        weights.read_weights("learned", ["b"], str(path))


def a_pool() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample_id": ["p", "q", "r", "s"],
            "instruction": ["Say p", "Say q", "Say r", "Say s"],
            "input": "",
            "response": ["p", "q", "r", "s"],
            "turns": None,
            "source": "test",
            "text_hash": ["3", "2", "1", "0"],
        }
    )


def test_subset_holds_score_rank_and_what_each_indicator_gave():
    features = Features(
        names=("x", "y"),
        matrix=np.array([[1, 0], [0, 1], [0.5, 0.5], [0, 0]], dtype=float),
        warnings=(),
        n_unscored={},
    )
    chosen = subset.choose(a_pool(), features, np.array([1.0, 0.5]), 0.5, seed=0)
    assert chosen["sample_id"].tolist() == ["p", "r"]
    assert chosen["score"].tolist() == [1.0, 0.75]
    assert [list(c) for c in chosen["contributions"]] == [[1.0, 0.0], [0.5, 0.25]]

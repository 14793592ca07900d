"""Dealing demonstrations, against hand-dealt cards."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmap.errors import TmapError
from tmap.search import dealing


def test_top_deals_ranks_round_and_puts_the_best_last():
    dealt = dealing.deal(np.arange(10), n_groups=3, n_shots=2, policy="top")
    assert dealt.tolist() == [[3, 0], [4, 1], [5, 2]]


def test_top_looks_at_the_best_rows_only():
    assert dealing.n_needed("top", 5, 3, n_selected=2242) == 15


def test_spread_takes_one_row_of_every_rank_stratum():
    # 12 rows, 2 strata of 6; of 3 groups, group g takes place 6 * (g + 1/2) / 3 = 1, 3, 5.
    dealt = dealing.deal(np.arange(12), n_groups=3, n_shots=2, policy="spread")
    assert dealt.tolist() == [[7, 1], [9, 3], [11, 5]]


def test_a_second_dealing_mixes_the_same_rows_anew():
    first = dealing.deal(np.arange(6), 3, 2, "top")
    second = dealing.deal(np.arange(6), 3, 2, "top", turn=1)
    assert second.tolist() == [[4, 0], [5, 1], [3, 2]]
    assert sorted(second.ravel()) == sorted(first.ravel())


@given(
    st.integers(1, 8),
    st.integers(1, 5),
    st.integers(0, 60),
    st.sampled_from(["top", "spread"]),
    st.integers(0, 1),
)
def test_no_row_is_dealt_twice(m, n, spare, policy, turn):
    ranked = np.random.default_rng(0).permutation(m * n + spare)
    dealt = dealing.deal(ranked, m, n, policy, turn)
    assert dealt.shape == (m, n)
    assert len(np.unique(dealt)) == m * n


def test_too_few_rows_name_the_numbers():
    with pytest.raises(TmapError, match=r"5 groups of 3 .* 15 .* there are 14"):
        dealing.deal(np.arange(14), 5, 3, "top")

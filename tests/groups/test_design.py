"""Which groups are asked: every row once, means that spread, halves that divide."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmap.groups.design import Deck, Design


def design(n=300, k=4, rows=None, per_group=1, seed=0):
    matrix = np.random.default_rng(7).random((n, k))
    rows = np.arange(n) if rows is None else rows
    return Design(matrix, rows, 3, 50, per_group, seed)


def test_a_deck_deals_every_value_before_any_again():
    deck = Deck(np.arange(10), np.random.default_rng(0))
    first, second = deck.deal(7), deck.deal(7)
    assert sorted([*first, *second[:3]]) == list(range(10))
    assert len(set(second[3:])) == 4


@pytest.mark.parametrize("kind", ["random", "spread"])
def test_no_row_is_shown_twice_while_rows_last(kind):
    groups = getattr(design(), kind)(100)
    rows = [row for group in groups for row in group.rows]
    assert sorted(rows) == list(range(300))
    asked = [q for group in groups for q in group.questions]
    assert np.bincount(asked).tolist() == [2] * 50


def test_only_rows_that_may_be_shown_are_dealt():
    allowed = np.arange(0, 300, 2)
    groups = design(rows=allowed).spread(30)
    assert {row for group in groups for row in group.rows} <= set(allowed.tolist())


def test_means_of_spread_groups_vary_more_in_every_column():
    room = design(n=3000)
    random, spread = room.random(480), room.spread(480)
    sd = [
        np.std([room.matrix[list(g.rows)].mean(axis=0) for g in groups], axis=0)
        for groups in (random, spread)
    ]
    assert (sd[1] > 1.1 * sd[0]).all()


def test_dividing_groups_are_of_rows_that_one_selection_takes_and_the_other_not():
    first, second = np.arange(0, 100), np.arange(60, 160)
    groups = design().dividing(20, first, second)
    assert all(set(g.rows) <= set(range(60)) for g in groups[:10])
    assert all(set(g.rows) <= set(range(100, 160)) for g in groups[10:])


def test_equal_selections_are_divided_by_random_rows():
    groups = design().dividing(4, np.arange(9), np.arange(9))
    assert len(groups) == 4
    assert all(len(set(group.rows)) == 3 for group in groups)


def test_the_same_seed_deals_the_same_groups():
    assert design().spread(40) == design().spread(40)
    assert design().spread(40) != design(seed=1).spread(40)


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 90), st.integers(1, 60), st.integers(1, 6), st.integers(0, 9))
def test_no_group_has_a_row_or_a_question_twice(n, n_groups, per_group, seed):
    """Also where the deck is shuffled again in the middle of a group."""
    room = Design(np.random.default_rng(7).random((n, 2)), np.arange(n), 3, 7, 6, seed)
    room.per_group = per_group
    first, second = np.arange(0, n // 2), np.arange(n // 3, n)
    asked = room.spread(n_groups) + room.dividing(n_groups, first, second)
    assert len(asked) == 2 * n_groups
    assert all(len(set(group.rows)) == 3 for group in asked)
    assert all(len(set(group.questions)) == per_group for group in asked)


def test_a_deck_that_runs_out_deals_what_is_in_hand_last():
    """Three of ten are left; the next seven are the others, and only then these."""
    deck = Deck(np.arange(10), np.random.default_rng(0))
    deck.deal(7)
    three = deck.left.tolist()
    dealt = deck.deal(10)
    assert dealt[:3].tolist() == three and sorted(dealt) == list(range(10))
    assert sorted(deck.deal(3)) == sorted(three)


def test_numbers_to_keep_apart_wait():
    deck = Deck(np.arange(4), np.random.default_rng(0))
    assert sorted(deck.deal(2, apart=[1, 3])) == [0, 2]
    assert sorted(deck.deal(2)) == [1, 3]


def test_one_group_can_divide():
    (group,) = design().dividing(1, np.arange(0, 100), np.arange(60, 160))
    assert set(group.rows) <= set(range(60))

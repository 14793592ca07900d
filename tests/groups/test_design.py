"""Which groups are asked: every row once, means that spread, halves that divide."""

import numpy as np
import pytest

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

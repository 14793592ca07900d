"""What each indicator adds: the identities that Shapley values must satisfy."""

from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmap.search import explain


def textbook(table, k):
    """Shapley's own formula, over sets: weights |C|! (k - |C| - 1)! / k!."""
    found = np.zeros(k)
    for j in range(k):
        for code in range(2**k):
            if code >> j & 1:
                continue
            size = code.bit_count()
            weight = factorial(size) * factorial(k - size - 1) / factorial(k)
            found[j] += weight * (table[code | 1 << j] - table[code])
    return found


def game(table):
    return lambda members: table[sum(1 << j for j in members)]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 7), st.integers(0, 10**6))
def test_values_add_up_to_what_all_give_together(k, seed):
    table = np.random.default_rng(seed).normal(size=2**k)
    values, _ = explain.shapley(game(table), explain.orders(k, 4, seed))
    assert values.sum() == pytest.approx(table[-1] - table[0])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(0, 10**6))
def test_few_indicators_get_the_textbook_values(k, seed):
    table = np.random.default_rng(seed).normal(size=2**k)
    values, errors = explain.shapley(game(table), explain.orders(k, 1, seed))
    assert values == pytest.approx(textbook(table, k))
    assert not errors.any()


def test_sampled_orders_are_within_their_error_of_the_textbook():
    k = 6
    table = np.random.default_rng(3).normal(size=2**k)
    values, errors = explain.shapley(game(table), explain.orders(k, 200, 0))
    assert (np.abs(values - textbook(table, k)) < 4 * errors).all()
    assert (errors > 0).all()


def test_twins_share_by_shapley_and_give_nothing_when_one_is_left_out():
    """The reward is 0.9 if either of two equal columns weighs, else 0.5; one is idle."""
    found = explain.explain(
        lambda w: 0.9 if w[0] or w[1] else 0.5, np.array([0.3, 0.8, 0.4]), n=2
    )
    assert found["shapley"] == pytest.approx([0.2, 0.2, 0.0])
    assert found["leave_one_out"] == pytest.approx([0.0, 0.0, 0.0])
    assert (found["reward"], found["reward_without_any"]) == (0.9, 0.5)
    assert (found["n_evaluations"], found["n_pairs"]) == (8, 0)


def test_only_the_learned_weights_or_zero_are_asked_and_no_set_twice():
    asked = []

    def reward(weights):
        asked.append(tuple(weights))
        return float(weights.sum())

    weights = np.arange(1.0, 7.0)
    found = explain.explain(reward, weights, n=4, seed=1)
    assert len(set(asked)) == len(asked) == found["n_evaluations"] <= 4 * 5 + 2 + 6
    assert all(
        w in (0.0, full) for one in asked for w, full in zip(one, weights, strict=True)
    )
    assert found["shapley"] == pytest.approx(weights.tolist())
    assert found["n_pairs"] == 2
    assert found["leave_one_out"] == pytest.approx(weights.tolist())

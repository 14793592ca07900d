"""The group model: from answers after groups of rows to weights, and when to abstain."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from tmap.groups import group_model, value_model
from tmap.groups.group_model import Data


def world(beta, n_groups=400, seed=0, n_shots=3, noise=0.0):
    """Groups of random rows whose single answers have probability .5 + beta . x."""
    rng = np.random.default_rng(seed)
    x = rng.random((n_groups, n_shots, len(beta))).mean(axis=1)
    chance = 0.5 + (x - 0.5) @ np.asarray(beta) + noise * rng.standard_normal(n_groups)
    return Data(x, (rng.random(n_groups) < chance).astype(float))


def test_the_worked_example_of_the_docstring():
    data = Data(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0.0, 1.0, 1.0, 1.0]))

    found = group_model.fit(data, signed=True, penalty=0.0)

    assert found.beta == pytest.approx([0.5], abs=1e-6)
    assert found.predict(np.array([[0.0], [1.0]])) == pytest.approx(
        [0.5, 1.0], abs=1e-6
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.floats(1e-3, 1e-1))
def test_bounded_coefficients_are_those_of_scipys_bounded_least_squares(
    seed, k, penalty
):
    rng = np.random.default_rng(seed)
    data = Data(rng.random((30, k)), rng.random(30))
    x, y = data.centred
    a = np.vstack([x, np.sqrt(penalty * 30) * np.eye(k)])

    found = group_model.fit(data, signed=False, penalty=penalty)

    theirs = lsq_linear(a, np.r_[y, np.zeros(k)], bounds=(0, np.inf), tol=1e-12).x
    assert found.beta == pytest.approx(theirs, abs=1e-5)


def test_the_covariance_is_hc3():
    rng = np.random.default_rng(3)
    data = Data(rng.random((50, 2)), rng.random(50))
    design = np.c_[np.ones(50), data.x]
    inverse = np.linalg.inv(design.T @ design)
    hat = np.einsum("gi,ij,gj->g", design, inverse, design)
    beta = inverse @ design.T @ data.y
    part = design * ((data.y - design @ beta) / (1 - hat))[:, None]
    hc3 = inverse @ part.T @ part @ inverse

    found = group_model.fit(data, signed=True, penalty=0.0)

    assert found.covariance == pytest.approx(hc3[1:, 1:], rel=1e-4)


def test_a_column_that_knows_is_found_and_others_get_next_to_nothing():
    found = group_model.fit(world([0.9, 0.0, 0.0, 0.0], 600), signed=False)
    weights = group_model.scaled(found.beta, (0.0, 1.0))

    assert weights[0] == 1.0
    assert weights[1:].max() < 0.35


@pytest.mark.parametrize(
    ("bounds", "weights"),
    [((0, 1), [1.0, 0.5, 0.0]), ((0, 2), [2.0, 1.0, 0.0])],
)
def test_weights_fill_the_bounds(bounds, weights):
    assert group_model.scaled(np.array([0.4, 0.2, 0.0]), bounds).tolist() == weights


def test_signed_weights_fill_the_narrower_bound():
    found = group_model.scaled(np.array([0.1, -0.4]), (-1.0, 1.0))
    assert found == pytest.approx([0.25, -1.0])


def test_no_coefficient_at_all_gives_equal_weights():
    assert group_model.scaled(np.zeros(3), (0.0, 1.0)).tolist() == [1.0, 1.0, 1.0]


def test_it_abstains_where_columns_are_shuffled():
    abstains = 0
    for seed in range(40):
        data = world([0.6, 0.3, 0.0, 0.0], 288, seed)
        rng = np.random.default_rng([seed, 9])
        data = Data(data.x[rng.permutation(288)], data.y)
        known = group_model.skill(data, signed=False, penalty=0.0, seed=seed)
        abstains += not known.learns
    assert abstains >= 38


def test_it_learns_where_columns_know():
    learns = [
        group_model.skill(
            world([1.0, 0.5, 0.0, 0.0], 288, seed), signed=False, penalty=0.0, seed=seed
        ).learns
        for seed in range(20)
    ]
    assert sum(learns) >= 18


def test_intervals_cover_the_truth_as_often_as_they_say():
    """40 worlds of four weights, nominal 90 %; single weights vary by chance."""
    beta = np.array([0.8, 0.4, 0.0, 0.0])
    truth = beta / beta.max()
    inside, free = np.zeros(4), np.zeros(4)
    for seed in range(40):
        data = world(beta, 288, seed)
        found = group_model.fit(data, signed=False, penalty=0.0)
        drawn = found.draws(1000, False, np.random.default_rng(seed))
        point = group_model.scaled(found.beta, (0.0, 1.0))
        low, high = group_model.relative_intervals(drawn, point).T
        inside += (low - 1e-9 <= truth) & (truth <= high + 1e-9)
        low, high = group_model.coefficient_intervals(found, 288).T
        free += (low <= beta) & (beta <= high)
        assert ((low <= found.free) & (found.free <= high)).all()
    for hits in (inside, free):
        assert 0.85 <= hits.mean() / 40 <= 1.0, hits
        assert hits.min() >= 31, hits


def test_an_interval_of_weights_holds_its_point():
    drawn = np.array([[0.5, 1.0], [0.4, 1.0]])
    low, high = group_model.relative_intervals(drawn, np.array([1.0, 1.0])).T
    assert low.tolist() == pytest.approx([0.405, 1.0])
    assert high.tolist() == [1.0, 1.0]


def test_regret_is_what_a_better_selection_would_add():
    """Two rows, one is taken; draws that prefer the other say by how much."""
    data = Data(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([0.0, 1.0]))
    found = group_model.fit(data, signed=True, penalty=0.0)
    matrix = np.array([[1.0, 0.0], [0.0, 1.0]])
    drawn = np.array([[0.6, 0.0], [0.0, 0.2]])

    lacks = group_model.regret(
        found, drawn, matrix, lambda b: np.argsort(-(matrix @ b))[:1]
    )

    assert lacks == pytest.approx((0.0 + 0.2) / 2)


def test_held_out_skill_is_none_of_noise():
    rng = np.random.default_rng(1)
    data = Data(rng.random((300, 5)), rng.integers(0, 2, 300).astype(float))
    known = group_model.skill(data, signed=True, penalty=0.0, seed=0)
    assert known.r2 < 0.01
    assert known.interval[0] <= known.r2 <= known.interval[1]


def test_equal_answers_leave_nothing_to_explain_and_are_not_learned_from():
    """Held-out predictions are right on all of them, as is their mean."""
    data = Data(np.random.default_rng(0).random((60, 3)), np.ones(60))
    known = group_model.skill(data, signed=False, penalty=0.0, seed=0)
    assert (known.r2, known.interval, known.p) == (0.0, (0.0, 0.0), 1.0)
    assert not value_model.Skill(*group_model.explained(data, data.y, 0)).learns


def test_the_ends_of_an_interval_are_relative_to_either_largest_weight():
    """One draw: relative to its own largest .5, .4, 1; to the point's .5: 1, .8, 2."""
    drawn, point = np.array([[0.5, 0.4, 1.0]]), np.array([1.0, 0.6, 0.9])
    low, high = group_model.relative_intervals(drawn, point).T
    assert low == pytest.approx([0.5, 0.4, 0.9])
    assert high == pytest.approx([1.0, 0.8, 1.0])
    nothing = group_model.relative_intervals(np.zeros((1, 3)), point)
    assert nothing == pytest.approx(np.stack([0 * point, point], axis=1))


def test_intervals_of_equal_weights_cover_them_too():
    """Relative to each draw's largest weight alone, they did in half of the worlds."""
    inside = []
    for seed in range(40):
        found = group_model.fit(world([0.4] * 4, 288, seed), signed=False, penalty=0.0)
        drawn = found.draws(300, False, np.random.default_rng(seed))
        point = group_model.scaled(found.beta, (0.0, 1.0))
        inside.append(group_model.relative_intervals(drawn, point)[:, 1] >= 1 - 1e-9)
    assert np.mean(inside) >= 0.75

"""Transport and its gradient against a linear programme and finite differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.special import logsumexp

from sinkhorn import primal
from tmap.gradients import optimal_transport


def case(seed, n=6, m=4):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(n) * 2), rng.random((n, m))


def programme(p, cost):
    """Exact transport of p to the uniform distribution: value and source potentials."""
    n, m = cost.shape
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    found = linprog(
        cost.ravel(),
        A_eq=np.vstack([rows, columns]),
        b_eq=[*p, *np.full(m, 1 / m)],
        method="highs",
    )
    return found.fun, found.eqlin.marginals[:n]


def solve(p, cost, reg):
    return optimal_transport.sinkhorn(
        np.log(p), cost, reg, tolerance=1e-12, iterations=20_000
    )


@pytest.mark.parametrize("seed", range(4))
def test_with_little_entropy_it_is_the_linear_programme(seed):
    p, cost = case(seed)
    value, dual = programme(p, cost)
    found = solve(p, cost, 0.01)
    assert found.value == pytest.approx(value, abs=0.02)
    gap = (found.source - dual) - np.mean(found.source - dual)
    assert np.abs(gap).max() < 0.05  # potentials are known up to a constant


@pytest.mark.parametrize("reg", [0.02, 0.3])
def test_the_gradient_is_that_of_finite_differences(reg):
    p, cost = case(7)
    found = solve(p, cost, reg)
    for i, j in [(0, 1), (2, 5), (4, 3)]:
        step = np.zeros(len(p))
        step[i], step[j] = 1e-5, -1e-5
        slope = solve(p + step, cost, reg).value - solve(p - step, cost, reg).value
        assert slope / 2e-5 == pytest.approx(
            found.source[i] - found.source[j], abs=1e-5
        )


def test_one_question_takes_all_of_every_candidate():
    p, cost = np.array([0.25, 0.75]), np.array([[0.2], [0.6]])
    found = solve(p, cost, 0.1)
    assert found.value == pytest.approx(0.25 * 0.2 + 0.75 * 0.6)
    assert found.source[1] - found.source[0] == pytest.approx(0.4)


def test_the_plan_has_both_marginals():
    p, cost = case(3, 8, 5)
    found = solve(p, cost, 0.05)
    apart = (found.source[:, None] + found.target - cost) / 0.05
    plan = p[:, None] / 5 * np.exp(apart)
    assert plan.sum(axis=1) == pytest.approx(p)
    assert plan.sum(axis=0) == pytest.approx(np.full(5, 0.2))


def gram(vectors):
    kernel = vectors @ vectors.T
    return lambda p: (float(p @ kernel @ p), lambda: kernel @ p)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 12),
    m=st.integers(1, 5),
    mu=st.sampled_from([0.0, 0.1, 3.0]),
    reg=st.sampled_from([0.05, 0.2, 1.0]),
    rate=st.sampled_from([0.1, 5.0, 1e4]),
)
def test_weights_stay_on_the_simplex_and_the_objective_never_rises(
    seed, n, m, mu, reg, rate
):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, 3))
    cost = rng.random((n, m))
    how = {"mu": mu, "reg": reg, "rate": rate}
    found = optimal_transport.minimise(cost, gram(vectors), steps=5, **how)
    is_exact = max(found.error) <= optimal_transport.TOLERANCE
    assert is_exact or reg == 0.05  # converges slowly: one in twenty takes longer
    again = []
    for steps in range(len(found.objective)):
        part = optimal_transport.minimise(cost, gram(vectors), steps=steps, **how)
        assert np.isfinite(part.log_p).all()
        assert logsumexp(part.log_p) == pytest.approx(0, abs=1e-9)
        p = np.exp(part.log_p)
        again.append(primal(p, cost, reg) + mu * float(np.square(p @ vectors).sum()))
    if not is_exact:
        return  # F is known less precisely, and may have risen unnoticed
    assert len(again) > 1 and again == pytest.approx(found.objective, abs=1e-5)
    assert (np.diff(again) < 1e-6).all() and again[-1] < again[0]


def test_what_has_not_converged_says_how_far_it_is():
    p, cost = case(2)
    assert solve(p, cost, 0.05).error < 1e-11
    short = optimal_transport.sinkhorn(np.log(p), cost, 0.001, iterations=20)
    assert short.error > optimal_transport.TOLERANCE
    assert short.value < programme(p, cost)[0] + 0.001 * np.log(24)  # a lower bound


def test_without_repetition_the_nearest_candidate_gets_the_weight():
    cost = np.array([[0.1, 0.9], [0.9, 0.1], [0.8, 0.8]])
    none = gram(np.zeros((3, 1)))
    found = optimal_transport.minimise(cost, none, mu=0, reg=0.01, steps=60, rate=5.0)
    assert np.exp(found.log_p) == pytest.approx([0.5, 0.5, 0], abs=0.01)


def test_equal_candidates_share_what_one_alone_would_get():
    """K alone: minimise |sum p_i g_i|^2 over two equal vectors and one at right angles."""
    vectors = np.array([[1.0, 0], [1.0, 0], [0, 1.0]])
    found = optimal_transport.minimise(
        np.zeros((3, 1)), gram(vectors), mu=1, reg=0.1, steps=200, rate=1.0
    )
    assert np.exp(found.log_p) == pytest.approx([0.25, 0.25, 0.5], abs=1e-3)
    assert found.objective[-1] == pytest.approx(0.5, abs=1e-4)


def test_a_warm_start_comes_to_the_same():
    p, cost = case(11)
    cold = solve(p, cost, 0.05)
    warm = optimal_transport.sinkhorn(
        np.log(p), cost, 0.05, np.ones(cost.shape[1]), tolerance=1e-12
    )
    assert warm.value == pytest.approx(cold.value, abs=1e-9)

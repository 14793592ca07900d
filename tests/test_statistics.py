"""Intervals and tests against published values, hand-worked examples and simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_confint

from tmap import statistics


@pytest.mark.parametrize(
    ("n_correct", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)],
)
def test_wilson_gives_the_values_that_newcombe_published(n_correct, n, low, high):
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
    assert statistics.wilson(n_correct, n) == pytest.approx((low, high), abs=5e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 2_000), st.floats(0, 1))
def test_wilson_is_that_of_statsmodels(n, share):
    right = round(share * n)
    theirs = proportion_confint(right, n, method="wilson")
    assert statistics.wilson(right, n) == pytest.approx(theirs, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_that_of_statsmodels(p):
    theirs = multipletests(p, method="holm")[1]
    assert statistics.holm_adjust(p) == pytest.approx(theirs.tolist(), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(arrays.arrays(bool, st.tuples(st.just(2), st.integers(1, 60))))
def test_mcnemar_is_that_of_statsmodels(answers):
    a, b = answers
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    only_a, only_b, p = statistics.mcnemar(a, b)
    assert (only_a, only_b) == (table[0][1], table[1][0])
    if only_a + only_b:
        assert p == pytest.approx(mcnemar(table, exact=True).pvalue)


def test_the_minimum_detectable_effect_is_that_of_statsmodels():
    # A difference of two means of n each with unit variance has standard error
    # sqrt(2 / n); the other tail, which it neglects, is below 1e-5 at 80 % power.
    n = 500
    theirs = NormalIndPower().solve_power(nobs1=n, alpha=0.05, power=0.8, ratio=1)
    mine = statistics.minimum_detectable_effect((2 / n) ** 0.5)
    assert mine == pytest.approx(theirs, rel=1e-4)


def test_holm_gives_the_hand_worked_values():
    # Sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04 -> the last is lifted.
    assert statistics.holm_adjust([0.01, 0.04, 0.03, 0.005]) == pytest.approx(
        [0.03, 0.06, 0.06, 0.02]
    )


def test_holm_is_capped_at_one_and_keeps_a_single_p():
    assert statistics.holm_adjust([0.6, 0.9]) == [1.0, 1.0]
    assert statistics.holm_adjust([0.2]) == [0.2]


def test_holm_bounds_use_the_level_of_their_rank_and_stop_at_the_first_failure():
    n = 9_999
    centred = (np.arange(1, n + 1) - 5_000) / 1_000.0  # -4.999 .. 4.999, step .001
    claims = statistics.holm(
        {"clear": centred + 10, "lost": centred + 4, "late": centred + 4.9}, alpha=0.03
    )
    # Ranks: clear at .03/3 (100th), late at .03/2 (150th), lost at .03/1 (300th).
    assert claims["clear"].lower == pytest.approx(10 - 4.9)
    assert claims["late"].lower == pytest.approx(4.9 - 4.85)
    assert claims["lost"].lower == pytest.approx(4 - 4.7)
    stopped = statistics.holm(
        {"first": centred + 4.8, "second": centred + 4.75}, alpha=0.03
    )
    assert stopped["first"].lower == pytest.approx(4.8 - 4.85)
    assert centred[299] + 4.75 > 0 and stopped["second"].lower == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1, 5), min_size=1, max_size=6),
    st.integers(0, 1_000),
)
def test_a_holm_bound_is_above_zero_exactly_if_holm_rejects(shifts, seed):
    rng = np.random.default_rng(seed)
    family = {str(i): rng.normal(shift, 1, 1_999) for i, shift in enumerate(shifts)}
    claims = statistics.holm(family)
    for claim in claims.values():
        assert claim.holds == (claim.p_holm <= statistics.ALPHA + 1e-12)


def test_one_sided_p_counts_resamples_at_or_below_zero():
    assert statistics.p_above_zero(np.array([-1.0, 0.0, 1.0, 2.0])) == 3 / 5


def test_the_interval_takes_the_order_statistics_that_hold_95_percent():
    samples = np.random.default_rng(0).permutation(np.arange(1.0, 1_000.0))
    assert statistics.interval(samples) == (25.0, 975.0)


def test_too_few_resamples_for_a_level_are_refused():
    with pytest.raises(ValueError, match="too few"):
        statistics.lower_bound(np.zeros(10), 0.025)


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [(1, 9, 22 / 1024), (3, 3, 1.0), (0, 5, 2 / 32), (0, 0, 1.0)],
)
def test_mcnemar_is_the_exact_binomial_on_discordant_questions(only_a, only_b, p):
    a = np.array([1] * only_a + [0] * only_b + [1, 0, 1, 0])
    b = np.array([0] * only_a + [1] * only_b + [1, 0, 1, 0])
    assert statistics.mcnemar(a, b) == (only_a, only_b, pytest.approx(p))


def test_the_minimum_detectable_effect_has_80_percent_power():
    effect = statistics.minimum_detectable_effect(0.01)
    z = np.random.default_rng(0).normal(effect / 0.01, 1, 200_000)
    assert np.mean(np.abs(z) > 1.959964) == pytest.approx(0.80, abs=0.004)


def test_one_run_is_resampled_like_an_ordinary_bootstrap_of_its_questions():
    answers = (np.random.default_rng(3).random(400) < 0.6).astype(int)
    samples = statistics.bootstrap_means({"one": answers[None]})["one"]
    independent = stats.bootstrap(
        (answers,), np.mean, method="percentile", rng=7, n_resamples=10_000
    ).confidence_interval
    assert statistics.interval(samples) == pytest.approx(tuple(independent), abs=0.006)


def test_the_paired_difference_is_narrower_than_two_unpaired_ones():
    rng = np.random.default_rng(1)
    easy = rng.random(500) < 0.5
    flips = rng.random((2, 500)) < 0.05
    arms = {"a": (easy ^ flips[0])[None], "b": (easy ^ flips[1])[None]}
    means = statistics.bootstrap_means(arms)
    paired = statistics.difference(means["a"], means["b"]).std()
    by_question = arms["a"][0].astype(float) - arms["b"][0]
    assert paired == pytest.approx(by_question.std() / np.sqrt(500), rel=0.03)
    assert paired < 0.5 * np.hypot(means["a"].std(), means["b"].std())


def test_seed_variance_is_unbiased_where_questions_add_none():
    # Runs that are all right or all wrong: only seeds vary, variance s^2 / n.
    arm = np.repeat([[1], [1], [0], [1], [0]], 50, axis=1)
    samples = statistics.bootstrap_means({"a": arm}, n_resamples=40_000)["a"]
    expected = np.var([1, 1, 0, 1, 0], ddof=1) / 5
    assert samples.var() == pytest.approx(expected, rel=0.03)


def test_equal_predictions_differ_by_exactly_zero():
    arm = np.random.default_rng(0).random((3, 77)) < 0.3
    means = statistics.bootstrap_means({"a": arm[:1], "b": arm[:1], "c": arm})
    assert not statistics.difference(means["a"], means["b"]).any()


@settings(max_examples=25, deadline=None)
@given(arrays.arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 30))))
def test_resamples_do_not_depend_on_the_other_arms_or_the_order_of_runs(arm):
    alone = statistics.bootstrap_means({"a": arm}, n_resamples=600)["a"]
    other = np.ones((2, arm.shape[1]))
    joined = statistics.bootstrap_means({"z": other, "a": arm}, n_resamples=600)["a"]
    assert np.array_equal(alone, joined)
    assert alone.mean() == pytest.approx(arm.mean(), abs=0.12)


def test_drawing_in_chunks_changes_no_number(monkeypatch):
    arms = {"a": np.random.default_rng(0).random((2, 37)) < 0.5}
    whole = statistics.bootstrap_means(arms, n_resamples=700)["a"]
    monkeypatch.setattr(statistics, "CHUNK", 13)
    parts = statistics.bootstrap_means(arms, n_resamples=700)["a"]
    assert np.array_equal(whole, parts)


def test_arms_with_other_questions_are_refused():
    with pytest.raises(ValueError, match="share their questions"):
        statistics.bootstrap_means({"a": np.ones((1, 3)), "b": np.ones((1, 4))})


@pytest.mark.parametrize("seed_sd", [0.1, 0.2])
def test_95_percent_intervals_cover_the_truth_in_90_to_99_percent_of_worlds(seed_sd):
    """Three runs per arm, 200 questions, equal methods: the true difference is 0."""
    rng = np.random.default_rng(2026)
    n_worlds, n_questions = 250, 200
    covered = 0
    for world in range(n_worlds):
        question = rng.normal(0.3, 1.5, n_questions)
        arms = {name: _arm(rng, question, seed_sd) for name in ("a", "b")}
        means = statistics.bootstrap_means(arms, n_resamples=399, seed=world)
        low, high = statistics.interval(statistics.difference(means["a"], means["b"]))
        covered += low <= 0 <= high
    assert 0.90 <= covered / n_worlds <= 0.99


def _arm(rng, question, seed_sd, n_runs=3):
    n = len(question)
    method = rng.normal(0, 0.4, n)
    seed = rng.normal(0, seed_sd, (n_runs, 1))
    logit = question + method + seed + rng.normal(0, 0.5, (n_runs, n))
    return rng.random((n_runs, n)) < 1 / (1 + np.exp(-logit))

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

from tmap.comparison import statistics


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


def test_an_accuracy_interval_ends_where_accuracies_do():
    """Three runs of 9, 10 and 4 right of 10 are 77 %, and t reaches far beyond 100 %."""
    runs = np.array([[1] * n + [0] * (10 - n) for n in (9, 10, 4)])
    arm = statistics.bootstrap_means({"a": runs}, 4000)["a"]
    assert statistics.interval(arm.samples)[1] > 1
    low, high = statistics.accuracy_interval(runs, arm)
    assert 0 <= low < 0.5 and high == 1


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
    normal = stats.norm.ppf(np.arange(1, 40_000) / 40_000)  # its quantiles, no draws
    mine = statistics.minimum_detectable_effect(3 + (2 / n) ** 0.5 * normal)
    assert mine == pytest.approx(theirs, rel=1e-3)


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


def test_the_minimum_detectable_effect_of_few_seeds_has_long_tails():
    t = stats.t(4).ppf(np.arange(1, 40_000) / 40_000)
    found = statistics.minimum_detectable_effect(t)
    assert found == pytest.approx(2.776 + 0.941, rel=2e-3)  # tables of Student's t


def test_one_run_is_resampled_like_an_ordinary_bootstrap_of_its_questions():
    answers = (np.random.default_rng(3).random(400) < 0.6).astype(int)
    samples = statistics.bootstrap_means({"one": answers[None]})["one"].samples
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
    alone = [means[name].samples.std() for name in "ab"]
    assert paired < 0.5 * np.hypot(*alone)


def test_where_questions_add_nothing_an_arm_has_students_interval():
    # Runs that are all right or all wrong: only seeds vary.
    right = [1, 1, 0, 1, 0]
    arm = np.repeat(np.array(right)[:, None], 50, axis=1)
    found = statistics.bootstrap_means({"a": arm}, n_resamples=40_000)["a"]
    theirs = stats.t.interval(0.95, 4, np.mean(right), stats.sem(right))
    assert statistics.interval(found.samples) == pytest.approx(theirs, abs=0.02)


def test_where_questions_add_nothing_a_difference_is_welchs_test():
    a, b = np.array([1, 1, 0, 1, 0]), np.array([0, 0, 1])
    arms = {n: np.repeat(x[:, None], 50, axis=1) for n, x in (("a", a), ("b", b))}
    means = statistics.bootstrap_means(arms, n_resamples=40_000)
    samples = statistics.difference(means["a"], means["b"])
    theirs = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert statistics.interval(samples) == pytest.approx(tuple(theirs), abs=0.03)


def test_the_noise_of_single_answers_is_counted_once():
    """100 runs that differ by coin flips alone: the variance of their mean is p q / n."""
    flips = np.random.default_rng(5).random((100, 400)) < 0.5
    found = statistics.bootstrap_means({"a": flips}, n_resamples=40_000)["a"]
    # Either level alone has the whole variance: the mean of 40,000 coins.
    assert found.drawn.var() == pytest.approx(0.25 / 40_000, rel=0.4)
    assert found.seeds == pytest.approx(0.25 / 40_000, rel=0.4)
    once = found.drawn.var() + found.seeds - found.answers
    assert found.samples.var() == pytest.approx(once * 99 / 97, rel=0.06)


def test_runs_that_agree_by_chance_keep_what_questions_say():
    arm = np.array([[1, 0, 0] * 30, [0, 1, 0] * 30, [0, 0, 1] * 30])
    found = statistics.bootstrap_means({"a": arm})["a"]
    assert found.seeds == 0 < found.answers
    assert np.array_equal(found.samples, found.drawn)


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
    assert np.array_equal(alone.samples, joined.samples)
    assert alone.mean == pytest.approx(arm.mean())


def test_drawing_in_chunks_changes_no_number(monkeypatch):
    arms = {"a": np.random.default_rng(0).random((2, 37)) < 0.5}
    whole = statistics.bootstrap_means(arms, n_resamples=700)["a"].samples
    monkeypatch.setattr(statistics, "CHUNK", 13)
    parts = statistics.bootstrap_means(arms, n_resamples=700)["a"].samples
    assert np.array_equal(whole, parts)


def test_arms_with_other_questions_are_refused():
    with pytest.raises(ValueError, match="share their questions"):
        statistics.bootstrap_means({"a": np.ones((1, 3)), "b": np.ones((1, 4))})


@pytest.mark.parametrize("seed_sd", [0.1, 0.25])
def test_95_percent_intervals_cover_the_truth_in_90_to_99_percent_of_worlds(seed_sd):
    """Three runs per arm, 200 questions, equal methods: the true difference is 0."""
    rng = np.random.default_rng(2026)
    n_worlds, n_questions = 300, 200
    covered = 0
    for world in range(n_worlds):
        question = rng.normal(0.3, 1.5, n_questions)
        arms = {name: _arm(rng, question, seed_sd) for name in ("a", "b")}
        means = statistics.bootstrap_means(arms, n_resamples=399, seed=world)
        low, high = statistics.interval(statistics.difference(means["a"], means["b"]))
        covered += low <= 0 <= high
    assert 0.90 <= covered / n_worlds <= 0.99


def test_few_worlds_without_any_effect_hold_a_claim():
    """14 methods equal to random, 3 runs each of sd 5.5 points: at most 5 % of worlds."""
    rng = np.random.default_rng(3)
    wrong, n_worlds = 0, 100
    for world in range(n_worlds):
        question = rng.normal(0.3, 1.5, 150)
        arms = {f"m{i}": _arm(rng, question, 0.33) for i in range(15)}
        means = statistics.bootstrap_means(arms, n_resamples=2_240, seed=world)
        family = {n: statistics.difference(means[n], means["m0"]) for n in arms}
        del family["m0"]
        wrong += any(claim.holds for claim in statistics.holm(family).values())
    assert wrong <= 5


def test_a_family_of_256_has_resamples_enough_for_its_strictest_bound():
    n = statistics.n_resamples(256)
    assert n == 40_960 and statistics.n_resamples(1) == 10_000
    level = statistics.ALPHA / 256
    samples = np.arange(n, dtype=float)
    assert statistics.lower_bound(samples, level) == 3  # the 4th smallest
    with pytest.raises(ValueError, match="too few"):
        statistics.lower_bound(samples[:10_000], level)
    arms = {f"m{i}": np.eye(2, 8)[[i % 2]] for i in range(257)}
    means = statistics.bootstrap_means(arms, n)
    family = {m: statistics.difference(arm, means["m0"]) for m, arm in means.items()}
    del family["m0"]
    assert not any(claim.holds for claim in statistics.holm(family).values())


def _arm(rng, question, seed_sd, n_runs=3):
    n = len(question)
    method = rng.normal(0, 0.4, n)
    seed = rng.normal(0, seed_sd, (n_runs, 1))
    logit = question + method + seed + rng.normal(0, 0.5, (n_runs, n))
    return rng.random((n_runs, n)) < 1 / (1 + np.exp(-logit))

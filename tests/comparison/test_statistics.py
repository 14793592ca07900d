"""Intervals and tests against published values, hand-worked examples and simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from tmap.comparison import statistics
from tmap.comparison.order import holm_adjust, ordered
from tmap.comparison.statistics import ALPHA, Arm, difference


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
    assert Arm.of(runs).estimate().interval()[1] > 1
    low, high = statistics.accuracy_interval(runs)
    assert 0 <= low < 0.5 and high == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_that_of_statsmodels(p):
    theirs = multipletests(p, method="holm")[1]
    assert holm_adjust(p) == pytest.approx(theirs.tolist(), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(arrays.arrays(bool, st.tuples(st.just(2), st.integers(1, 60))))
def test_mcnemar_is_that_of_statsmodels(answers):
    a, b = answers
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    only_a, only_b, p = statistics.mcnemar(a, b)
    assert (only_a, only_b) == (table[0][1], table[1][0])
    if only_a + only_b:
        assert p == pytest.approx(mcnemar(table, exact=True).pvalue)


def test_holm_gives_the_hand_worked_values():
    # Sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04 -> the last is lifted.
    assert holm_adjust([0.01, 0.04, 0.03, 0.005]) == pytest.approx(
        [0.03, 0.06, 0.06, 0.02]
    )


def test_holm_is_capped_at_one_and_keeps_a_single_p():
    assert holm_adjust([0.6, 0.9]) == [1.0, 1.0]
    assert holm_adjust([0.2]) == [0.2]


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [(1, 9, 22 / 1024), (3, 3, 1.0), (0, 5, 2 / 32), (0, 0, 1.0)],
)
def test_mcnemar_is_the_exact_binomial_on_discordant_questions(only_a, only_b, p):
    a = np.array([1] * only_a + [0] * only_b + [1, 0, 1, 0])
    b = np.array([0] * only_a + [1] * only_b + [1, 0, 1, 0])
    assert statistics.mcnemar(a, b) == (only_a, only_b, pytest.approx(p))


def test_runs_that_all_answer_alike_have_the_interval_of_one():
    run = np.array([1, 1, 1, 0, 1] * 20)
    alone = statistics.accuracy_interval(run[None])
    assert statistics.accuracy_interval(np.stack([run] * 3)) == alone
    assert statistics.accuracy_interval(np.ones((3, 300)))[0] < 0.99


def test_one_run_varies_like_an_ordinary_bootstrap_of_its_questions():
    answers = (np.random.default_rng(3).random(400) < 0.6).astype(int)
    independent = stats.bootstrap(
        (answers,), np.mean, method="percentile", rng=7, n_resamples=10_000
    ).confidence_interval
    mine = Arm.of(answers[None]).estimate().interval()
    assert mine == pytest.approx(tuple(independent), abs=0.006)


def test_the_paired_difference_is_narrower_than_two_unpaired_ones():
    rng = np.random.default_rng(1)
    easy = rng.random(500) < 0.5
    flips = rng.random((2, 500)) < 0.05
    a, b = (Arm.of((easy ^ flip)[None]) for flip in flips)
    paired = difference(a, b).variance
    by_question = (easy ^ flips[0]).astype(float) - (easy ^ flips[1])
    assert paired == pytest.approx(by_question.var(ddof=1) / 500)
    assert paired < 0.25 * (a.estimate().variance + b.estimate().variance)


def test_where_questions_add_nothing_an_arm_has_students_interval():
    # Runs that are all right or all wrong: only seeds vary.
    right = [1, 1, 0, 1, 0]
    arm = Arm.of(np.repeat(np.array(right)[:, None], 50, axis=1))
    theirs = stats.t.interval(0.95, 4, np.mean(right), stats.sem(right))
    assert arm.estimate().interval() == pytest.approx(theirs)


def test_where_questions_add_nothing_a_planned_difference_is_welchs_test():
    a, b = np.array([1, 1, 0, 1, 0]), np.array([0, 0, 1])
    arms = [Arm.of(np.repeat(x[:, None], 50, axis=1)) for x in (a, b)]
    found = difference(*arms, shared="all")
    theirs = stats.ttest_ind(a, b, equal_var=False, alternative="greater")
    assert found.interval() == pytest.approx(
        tuple(stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95))
    )
    assert found.p_above() == pytest.approx(theirs.pvalue, abs=1e-7)


def test_elsewhere_every_arm_has_its_own_t():
    a, b = np.array([1, 1, 0, 1, 0]), np.array([0, 0, 1])
    arms = [Arm.of(np.repeat(x[:, None], 50, axis=1)) for x in (a, b)]
    # Table of Student's t at .975: 2.776 with 4 degrees of freedom, 4.303 with 2.
    reach = np.hypot(2.776 * stats.sem(a), 4.303 * stats.sem(b))
    ends = (0.6 - 1 / 3 - reach, 0.6 - 1 / 3 + reach)
    assert difference(*arms).interval() == pytest.approx(ends, abs=1e-3)


def test_half_way_is_the_harmonic_mean_of_the_degrees_of_freedom():
    a, b = np.array([0, 1, 0]), np.array([0, 0, 1])
    arms = [Arm.of(np.repeat(x[:, None], 50, axis=1)) for x in (a, b)]
    found = difference(*arms, shared="half")
    # Equal variances: 4 degrees of freedom together, 2 alone, 8 / 3 half-way.
    spread = np.sqrt(2) * stats.sem(a)
    assert found.upper() == pytest.approx(stats.t.ppf(0.975, 8 / 3) * spread)


def test_the_noise_of_single_answers_is_counted_once():
    """100 runs that differ by coin flips alone: the variance of their mean is p q / n."""
    flips = np.random.default_rng(5).random((100, 400)) < 0.5
    arm = Arm.of(flips)
    noise = flips.var(axis=0, ddof=1).mean() / flips.size
    assert arm.answers == pytest.approx(noise)
    # Either level alone has the whole variance: the mean of 40,000 coins.
    assert arm.by_question.var() / 400 == pytest.approx(0.25 / 40_000, rel=0.4)
    assert arm.seeds == pytest.approx(0.25 / 40_000, rel=0.4)
    assert arm.estimate().variance == pytest.approx(arm.seeds, rel=0.5)


def test_runs_that_agree_by_chance_keep_what_questions_say():
    arm = Arm.of(np.array([[1, 0, 0] * 30, [0, 1, 0] * 30, [0, 0, 1] * 30]))
    assert arm.seeds == 0 < arm.answers
    assert arm.estimate().variance == 0  # every question is right in one run of three
    arm = Arm.of(np.array([[1, 1, 0, 0], [1, 0, 1, 0]] * 2))
    assert arm.seeds == 0 and arm.estimate().variance == pytest.approx(0.5 / 3 / 4)


def test_equal_predictions_differ_by_exactly_zero_and_say_nothing():
    arm = Arm.of(np.random.default_rng(0).random((1, 77)) < 0.3)
    found = difference(arm, arm)
    assert (found.value, found.variance, found.p_above()) == (0, 0, 0.5)


def test_arms_with_other_questions_are_refused():
    with pytest.raises(ValueError, match="share their questions"):
        difference(Arm.of(np.ones((1, 3))), Arm.of(np.ones((1, 4))))


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(bool, st.tuples(st.integers(1, 5), st.just(12))),
    arrays.arrays(bool, st.tuples(st.integers(1, 5), st.just(12))),
    st.floats(1e-4, 0.4),
    st.floats(-0.5, 0.5),
    st.sampled_from(["no", "half", "all"]),
)
def test_a_bound_is_above_a_limit_exactly_if_p_is_below_the_level(
    a, b, alpha, limit, w
):
    found = difference(Arm.of(a), Arm.of(b), shared=w)
    if found.variance == 0 or abs(found.lower(alpha) - limit) < 1e-6:
        return
    assert (found.lower(alpha) > limit) == (found.p_above(limit) < alpha)
    assert found.p_below(limit) == 1 - found.p_above(limit)


def test_primary_claims_come_first_and_the_others_then_have_all_of_the_error():
    found = ordered({"a": 0.01, "x": 0.002, "y": 0.02}, ["a"])
    # a: .01 / .9. Then Holm over two: .004 and .02, but never before a.
    assert [found[n].adjusted for n in "axy"] == pytest.approx(
        [0.01 / 0.9, 0.01 / 0.9, 0.02]
    )
    assert [found[n].level for n in "axy"] == pytest.approx(
        [0.9 * ALPHA, ALPHA / 2, ALPHA]
    )
    assert all(one.holds for one in found.values())


def test_while_a_primary_claim_is_open_the_others_have_a_tenth_of_the_error():
    found = ordered({"a": 0.03, "x": 0.0005, "y": 0.02}, ["a"])
    assert [found[n].holds for n in "axy"] == [False, True, False]
    assert found["x"].adjusted == pytest.approx(2 * 0.0005 / 0.1)
    assert found["x"].level == pytest.approx(0.1 * ALPHA / 2)
    assert not ordered({"a": 0.03, "x": 0.002, "y": 0.02}, ["a"])["x"].holds


def test_one_group_alone_is_holms_procedure_unless_others_are_to_come():
    p = {"a": 0.01, "b": 0.02}
    for primary in ([], ["a", "b"]):
        found = ordered(p, primary)
        assert [found[n].adjusted for n in "ab"] == pytest.approx([0.02, 0.02])
    later = ordered(p, ["a", "b"], others=True)
    assert later["a"].adjusted == pytest.approx(0.02 / 0.9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=8), st.integers(0, 8))
def test_a_claim_holds_only_if_its_p_is_below_its_level(p, n_primary):
    named = {str(i): value for i, value in enumerate(p)}
    found = ordered(named, [str(i) for i in range(n_primary)])
    for one in found.values():
        assert one.p <= one.adjusted
        if one.holds:
            assert one.p <= one.level * (1 + 1e-9)


@pytest.mark.parametrize("seed_sd", [0.1, 0.25])
def test_95_percent_intervals_cover_the_truth_in_94_to_100_percent_of_worlds(seed_sd):
    """Three runs per arm, 200 questions, equal methods: the true difference is 0."""
    rng = np.random.default_rng(2026)
    n_worlds, n_questions = 300, 200
    covered = 0
    for _ in range(n_worlds):
        question = rng.normal(0.3, 1.5, n_questions)
        a, b = (Arm.of(_arm(rng, question, seed_sd)) for _ in range(2))
        low, high = difference(a, b).interval()
        covered += low <= 0 <= high
    assert covered / n_worlds >= 0.94


@pytest.mark.parametrize("n_random", [3, 12])
def test_few_worlds_without_any_effect_hold_a_claim(n_random):
    """14 methods equal to random, 3 runs each of sd 5.5 points: at most 5 % of worlds.

    With 12 runs of random, Welch's t claims something in more than 6 %.
    """
    rng = np.random.default_rng(3)
    wrong, n_worlds = 0, 150
    for _ in range(n_worlds):
        question = rng.normal(0.3, 1.5, 150)
        random = Arm.of(_arm(rng, question, 0.1, n_random))
        arms = [Arm.of(_arm(rng, question, 0.33)) for _ in range(14)]
        p = {str(i): difference(arm, random).p_above() for i, arm in enumerate(arms)}
        wrong += any(one.holds for one in ordered(p, ["0"]).values())
    assert wrong / n_worlds <= 0.05


def _arm(rng, question, seed_sd, n_runs=3):
    n = len(question)
    method = rng.normal(0, 0.4, n)
    seed = rng.normal(0, seed_sd, (n_runs, 1))
    logit = question + method + seed + rng.normal(0, 0.5, (n_runs, n))
    return rng.random((n_runs, n)) < 1 / (1 + np.exp(-logit))

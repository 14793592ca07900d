"""Answers, their order, looks and forecasts, on hand-made tables of answers."""

import numpy as np
import pytest
from scipy import stats

from tmap.comparison import claims, forecast
from tmap.comparison.looks import Look, Plan, evidence
from tmap.comparison.statistics import ALPHA, Arm, difference

MARGIN = {"": 0.01}


def right(n_right, n, seed=0):
    """One run with this many right answers, at places drawn by the seed."""
    answers = np.arange(n) < n_right
    return np.random.default_rng(seed).permutation(answers)


def runs(*n_right, n=300, seed=0):
    return np.stack([right(k, n, seed + i) for i, k in enumerate(n_right)])


def answer(arms, plan=Plan(("tmap",)), method="tmap"):
    return claims.against_random({"": arms}, plan, MARGIN)["", method]


def test_a_method_that_is_right_on_everything_is_better_than_a_mediocre_random():
    arms = {"random": runs(176, 193, 209), "tmap": runs(300, 300, 300)}
    assert answer(arms).answer == "yes"
    for name in "abcd":  # arms that can have no verdict take nothing from the others
        arms[name] = runs(200)
    found = answer(arms)
    assert found.answer == "yes" and found.interval[0] > 0
    single = answer(arms, method="a")
    assert (single.answer, single.enough, single.above) == ("untested", False, None)


def test_the_primary_claim_does_not_pay_for_the_others():
    arms = {"random": runs(176, 193, 209), "tmap": runs(248, 252, 256)}
    arms |= {f"m{i}": runs(170 + i, 190, 212) for i in range(13)}
    assert answer(arms).answer == "yes"
    assert answer(arms, Plan()).answer == "unclear"


def test_a_harmful_method_is_worse_and_an_equal_one_no_better_than_the_margin():
    arms = {"random": runs(*[6000] * 4, n=10_000), "tmap": runs(*[5000] * 4, n=10_000)}
    found = answer(arms)
    assert found.answer == "worse" and found.interval[1] < 0
    arms["tmap"] = runs(5990, 6010, 5985, 6020, n=10_000, seed=9)
    found = answer(arms)
    assert found.answer == "no" and 0 <= found.interval[1] < 0.01


def test_unclear_never_stands_beside_an_interval_without_zero():
    rng = np.random.default_rng(4)
    seen = set()
    for _ in range(200):
        shift = rng.normal(0, 30, 5)
        arms = {
            f"m{i}": runs(*np.clip(150 + s + rng.normal(0, 8, 3), 0, 300).astype(int))
            for i, s in enumerate(shift)
        }
        arms["random"] = runs(*np.clip(150 + rng.normal(0, 8, 3), 0, 300).astype(int))
        for one in claims.against_random({"": arms}, Plan(("m0",)), MARGIN).values():
            low, high = one.interval
            seen.add(one.answer)
            assert (one.answer == "yes") == (low > 0)
            assert (one.answer == "worse") == (high < 0)
            if one.answer == "unclear":
                assert low <= 0 and high >= 0.01
    assert {"yes", "worse", "unclear"} <= seen


def test_claims_run_over_all_columns_of_a_table():
    """Two columns of one method: the smaller p doubles, like Holm's p worked by hand."""
    one = {"random": runs(150, 158, 166), "m": runs(200, 208, 214)}
    other = {"random": runs(150, 158, 166), "m": runs(190, 198, 202)}
    margins = {"a": 0.01, "b": 0.01}
    both = claims.against_random({"a": one, "b": other}, Plan(("m",)), margins)
    alone = claims.against_random({"a": one}, Plan(("m",)), margins)
    small, large = both["a", "m"].above, both["b", "m"].above
    assert small.p == alone["a", "m"].above.p < large.p
    assert small.adjusted == pytest.approx(2 * small.p)
    assert large.adjusted == pytest.approx(max(large.p, 2 * small.p))


LOOKS = Plan(("tmap",), (Look(3, 3, 0.2), Look(4, 4, 0.3), Look(5, 7, 0.5)))


def test_a_look_has_its_share_of_the_error_and_the_runs_of_its_size():
    arms = {"random": runs(150, 158, 166, 160), "tmap": runs(200, 208, 214, 210)}
    found = evidence(arms, "random", LOOKS)["tmap"]
    assert [w for _, w in found.looks] == [0.2, 0.3]
    assert [one.df for one, _ in found.looks] == [(2, 2), (3, 3)]
    first, second = (one.p_above() for one, _ in found.looks)
    assert found.p_above() == pytest.approx(min(first / 0.2, second / 0.3))
    assert found.lower(0.02) == max(one.lower(0.02 * w) for one, w in found.looks)


def test_a_claim_of_an_early_look_stays():
    arms = {"random": runs(100, 101, 102, 300), "tmap": runs(280, 281, 282, 0)}
    early = {name: arm[:3] for name, arm in arms.items()}
    assert answer(early, LOOKS).answer == "yes"
    found = answer(arms, LOOKS)
    assert found.answer == "yes" and found.interval[0] > 0


def test_runs_are_added_until_every_primary_claim_is_decided():
    plan = Plan(("tmap", "other"), LOOKS.looks)
    arms = {"random": runs(150, 158, 166), "tmap": runs(295, 296, 297)}
    arms["other"] = runs(155, 160, 170)
    found = claims.against_random({"": arms}, plan, MARGIN)
    assert found["", "tmap"].answer == "yes" and not claims.decided(found)
    alone = claims.against_random({"": arms}, LOOKS, MARGIN)
    assert claims.decided(alone)  # a method that is not primary is not waited for
    two = {name: arm[:2] for name, arm in arms.items()}
    assert not claims.decided(claims.against_random({"": two}, LOOKS, MARGIN))


def test_a_look_at_the_primary_methods_decides_like_the_whole_table():
    """The look sees random and tmap only, and the table later has a third arm."""
    planned = Plan.of(
        {"primary": ["tmap"], "looks": [[3, 3, 1.0]], "runs": {"tmap": 3, "m": 3}}
    )
    arms = {"random": runs(150, 158, 166), "tmap": runs(190, 199, 206)}
    early = answer(arms, planned)
    late = answer(arms | {"m": runs(150, 151, 160)}, planned)
    assert early.above == late.above and early.interval == late.interval
    single = {"primary": ["tmap"], "looks": [], "runs": {"tmap": 3, "full": 1}}
    assert not Plan.of(single).others


def test_a_forecast_is_the_fewest_runs_whose_bound_leaves_room_for_chance():
    """Only random varies: Student's t of its runs, worked with scipy."""
    levels = np.array([0, 1, 0, 1, 1, 0])
    arms = {"random": np.repeat(levels[:, None], 50, 1), "tmap": np.ones((6, 50))}
    arms["tmap"][:, :5] = 0  # questions vary a little
    found = answer(arms)
    assert found.answer == "unclear"
    told = forecast.forecast(found, Arm.of(arms["tmap"]), Arm.of(arms["random"]), 0.01)
    last = found.evidence.last

    def settles(n):
        spread = last.seeds[0] * 6 / n
        t, z = stats.t.ppf(1 - ALPHA, n - 1), stats.t.ppf(1 - ALPHA, 49)
        reach = np.sqrt(spread * t**2 + last.questions * z**2)
        power = stats.norm.ppf(0.8) * np.sqrt(spread + last.questions)
        return last.value > reach + power

    assert told.random == next(k for k in range(1, 31) if settles(6 + k))
    assert told.answer == "yes" and told.questions is None
    assert (
        forecast.words(told)
        == f"about {told.random} more runs of random would settle it"
    )


def test_a_forecast_shares_no_t_between_arms_that_would_be_unbalanced():
    """3 and 3 runs share one; 3 and 5 would not (`looks.BALANCED`)."""
    arms = {"random": runs(100, 130, 160), "tmap": runs(140, 170, 199)}
    m, r = Arm.of(arms["tmap"]), Arm.of(arms["random"])
    now = difference(m, r, "half")

    there = forecast._scaled(now, [(m, 3), (r, 5)], 1.0)
    spread = m.seeds * stats.t.ppf(ALPHA, 2) ** 2
    spread += r.seeds * 3 / 5 * stats.t.ppf(ALPHA, 4) ** 2
    spread += now.questions * stats.t.ppf(ALPHA, now.n_questions - 1) ** 2
    assert there.reach(ALPHA) == pytest.approx(spread**0.5)
    assert forecast._scaled(now, [(m, 4), (r, 5)], 1.0).shared == "half"


def test_a_difference_near_zero_can_only_be_settled_as_no_better():
    one, other = [150, 152, 148, 151, 149, 150], [149, 151, 150, 148, 152, 151]
    arms = {"random": runs(*one), "tmap": runs(*other, seed=9)}
    found = answer(arms)
    assert found.answer == "unclear"
    told = forecast.forecast(found, Arm.of(arms["tmap"]), Arm.of(arms["random"]), 0.01)
    assert told.answer == "no"
    said = forecast.words(forecast.Forecast(None, 5, None, "no"))
    assert said == 'about 5 more runs of each would settle it as "no better"'
    nothing = forecast.Forecast(None, None, None, "yes")
    assert forecast.words(nothing).startswith("not even 30 more runs of each")

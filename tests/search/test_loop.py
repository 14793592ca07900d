"""The search is gp_minimize; a resumed one takes the same path."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest
import skopt
from hypothesis import given, settings
from hypothesis import strategies as st
from skopt.space import Real, Space
from skopt.utils import cook_estimator

from tmap.cards.method import MethodCard, SearchSection
from tmap.errors import TmapError
from tmap.search import choose, loop, optimiser, posterior
from tmap.search.ledger import Ledger
from tmap.search.outcome import Evaluation, Outcome
from toy_search import SETTINGS, evaluate, value


def run(path, objective=evaluate, settings=SETTINGS, seed=0, key="k"):
    return loop.run(objective, 2, (0.0, 1.0), settings, seed, Ledger(path), key)


class Killed(Exception):
    pass


def dies_after(n):
    calls = []

    def objective(weights):
        calls.append(weights)
        if len(calls) > n:
            raise Killed
        return evaluate(weights)

    return objective


def test_the_points_are_those_of_gp_minimize(tmp_path):
    found = run(tmp_path / "ledger.jsonl", seed=4)
    theirs = skopt.gp_minimize(
        lambda w: -value(w),
        [(0.0, 1.0), (0.0, 1.0)],
        n_calls=8,
        n_initial_points=3,
        random_state=4,
    )
    assert found.points.tolist() == theirs.x_iters
    assert found.rewards.tolist() == (-theirs.func_vals).tolist()


def test_gp_minimize_is_what_runs(tmp_path, monkeypatch):
    seen = {}

    def spy(function, dimensions, **how):
        seen.update(how)
        return skopt.gp_minimize(function, dimensions, **how)

    monkeypatch.setattr(optimiser, "gp_minimize", spy)
    run(tmp_path / "ledger.jsonl")
    assert (seen["n_calls"], seen["n_initial_points"], seen["random_state"]) == (
        8,
        3,
        0,
    )


@pytest.mark.parametrize("n", [0, 2, 6])
def test_a_killed_search_resumes_on_the_same_path(tmp_path, n):
    whole = run(tmp_path / "whole.jsonl")
    with pytest.raises(Killed):
        run(tmp_path / "killed.jsonl", dies_after(n))
    resumed = run(tmp_path / "killed.jsonl")
    assert resumed.trace.to_json() == whole.trace.to_json()


def test_a_longer_search_begins_with_the_shorter_one(tmp_path):
    path = tmp_path / "ledger.jsonl"
    short = run(path)
    longer = run(path, settings=SearchSection(n_initial=3, n_iterations=7))
    assert longer.points[:8].tolist() == short.points.tolist()


def spoil(path):
    """Pretend that other library versions proposed iteration 1."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        if record["type"] == "search":
            record["versions"]["numpy"] = "1.0"
        if record.get("iteration") == 1:
            record["weights"] = [0.5, 0.5]
    path.write_text("".join(json.dumps(r) + "\n" for r in records))


def test_another_path_stops_the_replay_and_names_the_versions(tmp_path):
    path = tmp_path / "ledger.jsonl"
    run(path)
    spoil(path)
    with pytest.raises(TmapError, match=r"Iteration 1 .*numpy 1\.0 -> .*warm_start"):
        run(path)


def test_warm_start_goes_on_from_the_recorded_points(tmp_path):
    path = tmp_path / "ledger.jsonl"
    run(path, settings=SearchSection(n_initial=3, n_iterations=2))
    spoil(path)
    warm = SETTINGS.model_copy(update={"warm_start": True})
    found = run(path, settings=warm)
    assert len(found.points) == 8
    assert found.points[1].tolist() == [0.5, 0.5]


@pytest.fixture(scope="module")
def smooth(tmp_path_factory) -> loop.Found:
    path = tmp_path_factory.mktemp("smooth") / "ledger.jsonl"
    return run(path, settings=SearchSection(n_initial=5, n_iterations=12))


def test_the_optimum_is_found_on_a_smooth_reward(smooth):
    best = choose.choose(smooth, (0.0, 1.0), seed=0)
    assert best.weights == pytest.approx([0.8, 0.2], abs=0.1)


def test_the_chosen_point_has_the_best_posterior_mean_not_the_luckiest_reward(tmp_path):
    noise = np.random.default_rng(5)

    def noisy(weights):
        lucky = value(weights) + noise.normal(0, 0.3)
        found = evaluate(weights)
        return Evaluation(
            Outcome(lucky, np.array([lucky]), 0, 0, 5, 0, 0), found.exemplars
        )

    found = run(
        tmp_path / "l", noisy, SearchSection(n_initial=10, n_iterations=10), seed=1
    )
    best = choose.choose(found, (0.0, 1.0), seed=0)
    means = posterior.means(found.model, found.space, found.points)
    assert best.ranking[0] == int(np.argmax(means))
    assert value(best.weights) >= value(found.points[np.argmax(found.rewards)])


def test_the_interval_holds_the_optimum_of_a_clear_reward(smooth):
    low, high = choose.choose(smooth, (0.0, 1.0), seed=0).interval.T
    assert low[0] == high[0] == 1.0  # the first weight is the larger: w / max w = 1
    assert low[1] <= 0.25 <= high[1]
    assert high[1] - low[1] < 0.5


def test_shortfall_is_that_of_the_joint_posterior(smooth):
    model, space = smooth.model, smooth.space
    best, others = smooth.points[3], np.random.default_rng(0).random((20, 2))

    mean, sd = posterior.shortfall(model, space, others, best)

    both = space.transform([best.tolist(), *others.tolist()])
    value, covariance = model.predict(both, return_cov=True)
    variance = np.diag(covariance)[1:] + covariance[0, 0] - 2 * covariance[0, 1:]
    assert mean == pytest.approx(value[1:] - value[0], abs=1e-9)
    assert sd**2 == pytest.approx(np.maximum(variance, 0), abs=1e-9)


def test_a_reward_of_noise_leaves_every_weight_open(tmp_path):
    noise = np.random.default_rng(3)

    def blind(weights):
        return Evaluation(
            Outcome(noise.normal(0.5, 0.1), np.array([0.5]), 0, 0, 5, 0, 0), [[]]
        )

    found = run(tmp_path / "l", blind, SearchSection(n_initial=8, n_iterations=4))
    ends = posterior.interval(found.model, found.space, found.points, (0.0, 1.0), 0)
    assert ends == pytest.approx(np.array([[0, 1], [0, 1]]), abs=0.05)


@pytest.fixture(scope="module")
def process():
    """A function that fits a process to points and rewards in [low, high]."""

    def fit(points, rewards, low):
        space = Space([Real(low, 1.0)] * points.shape[1])
        model = cook_estimator("GP", space=space, random_state=0, noise="gaussian")
        model.set_params(n_restarts_optimizer=0)
        return model.fit(space.transform(points.tolist()), -rewards), space

    return fit


@given(st.integers(1, 5), st.integers(2, 12), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=15, deadline=None)
def test_an_interval_always_holds_its_point(process, k, n, seed, signed):
    rng = np.random.default_rng(seed)
    low = -1.0 if signed else 0.0
    points = rng.uniform(low, 1, (n, k))
    points[rng.random((n, k)) < 0.2] = 0.0  # on the bound, or between the two
    points[0] = 0.0
    model, space = process(points, rng.normal(0.5, 0.1, n), low)

    ends = posterior.interval(model, space, points, (low, 1.0), seed % 100)

    best = points[np.argmax(posterior.means(model, space, points))]
    chosen = posterior.relative(best)
    assert (ends[:, 0] <= chosen).all() and (chosen <= ends[:, 1]).all()
    assert (np.abs(ends) <= 1).all()


def test_a_search_abstains_when_the_reward_says_nothing(tmp_path):
    def flat(weights):
        return Evaluation(
            Outcome(0.5, np.array([0.5]), 0, 0, 5, 0, 0), evaluate(weights).exemplars
        )

    found = run(tmp_path / "l", flat)
    best = choose.choose(found, (0.0, 1.0), seed=0)
    assert (best.weights.tolist(), best.interval, best.ranking) == ([1, 1], None, [])
    told = choose.constant(found.rewards)[0]
    assert "all 8 rewards are equal (0.500)" in told and "abstains" in told
    assert choose.constant(np.array([0.5, 0.5, 0.6])) == []


def test_relative_weights_have_a_largest_of_one_and_keep_zero():
    assert posterior.relative(np.array([0.2, 0.4])).tolist() == [0.5, 1.0]
    assert posterior.relative(np.zeros(3)).tolist() == [0, 0, 0]
    assert posterior.relative(np.array([-0.5, 0.25])).tolist() == [-1.0, 0.5]


def test_a_fast_search_walks_another_path_and_finds_the_optimum_too(tmp_path):
    how = SearchSection(n_initial=5, n_iterations=12, proposals="fast")
    fast = run(tmp_path / "fast", settings=how)
    assert fast.model.n_restarts_optimizer == 0
    assert choose.choose(fast, (0.0, 1.0), seed=0).weights == pytest.approx(
        [0.8, 0.2], abs=0.1
    )
    assert run(tmp_path / "again", settings=how).points.tolist() == fast.points.tolist()


@pytest.mark.parametrize("n", [2, 6])
def test_points_are_proposed_together_and_a_killed_batch_resumes(tmp_path, n):
    how = SearchSection(n_initial=4, n_iterations=5, batch=4)
    told = []
    whole = loop.run(
        evaluate, 2, (0.0, 1.0), how, 0, Ledger(tmp_path / "w"), "k", told.append
    )
    assert [len(points) for points in told] == [4, 4, 1]
    assert np.concatenate(told).tolist() == whole.points.tolist()
    assert len(np.unique(whole.points, axis=0)) == 9
    with pytest.raises(Killed):
        run(tmp_path / "killed", dies_after(n), how)
    assert (
        run(tmp_path / "killed", settings=how).trace.to_json() == whole.trace.to_json()
    )


@pytest.mark.parametrize("batch", [1, 2])
def test_points_of_an_earlier_run_are_tried_first(tmp_path, batch):
    how = SearchSection(n_initial=3, n_iterations=2, batch=batch)
    start = [[0.1, 0.9], [0.8, 0.2]]
    found = loop.run(
        evaluate, 2, (0.0, 1.0), how, 0, Ledger(tmp_path / "l"), "k", start=start
    )
    assert found.points[:2].tolist() == start
    assert len(found.points) == 5


def test_a_raced_point_is_flagged_and_never_chosen(tmp_path):
    seen = []

    def raced(weights, beat=None):
        """Reports 2.0 for a point it stopped at, as a lucky half might."""
        seen.append(beat)
        stops = beat is not None and value(weights) < beat
        outcome = Outcome(
            2.0 if stops else value(weights),
            np.array([0.5]),
            0,
            0,
            5,
            0,
            0,
            raced=stops,
        )
        return Evaluation(outcome, evaluate(weights).exemplars)

    how = SearchSection(n_initial=3, n_iterations=5, racing=True)
    found = run(tmp_path / "l", raced, how)
    flagged = found.trace["raced"].to_numpy()
    assert flagged.any() and not flagged.all()
    whole = np.where(flagged, -np.inf, found.rewards)
    assert seen[0] is None and seen[-1] == max(whole[:-1])
    best = choose.choose(found, (0.0, 1.0), seed=0)
    assert not flagged[best.ranking].any()


def test_racing_and_batches_exclude_each_other():
    with pytest.raises(ValueError, match="racing needs batch: 1"):
        SearchSection(racing=True, batch=2)


def test_every_iteration_tells_where_its_seconds_went(tmp_path, caplog):
    from tmap.engines.base import Spent

    def timed(weights):
        spent = Spent(1.0, 2.0, 700, 50, 0.25)
        outcome = Outcome(0.5, np.array([0.5]), 0, 0, 50, 0, 4.0, spent)
        return Evaluation(outcome, evaluate(weights).exemplars)

    caplog.set_level("INFO")
    row = run(tmp_path / "l", timed).timings.iloc[0]
    assert (row["prefill_seconds"], row["decode_seconds"]) == (1.0, 2.0)
    assert (row["score_seconds"], row["prompt_tokens"]) == (1.0, 700)
    line = (
        "prefill 1.0 decode 2.0 score 1.0 optimizer 0.0; 50 tokens, 25/s, floor 0.25s"
    )
    assert line in caplog.text and "ETA" in caplog.text


def test_time_in_which_points_are_asked_together_is_not_the_optimisers(tmp_path):
    how = SearchSection(n_initial=4, n_iterations=2, batch=3)
    found = loop.run(
        evaluate,
        2,
        (0.0, 1.0),
        how,
        0,
        Ledger(tmp_path / "l"),
        "k",
        lambda points: time.sleep(2.0),
    )
    first = found.timings["optimizer_seconds"].iloc[0]
    assert first < 2.0  # before it nothing was fitted


def test_an_iteration_of_options_tells_how_many_tokens_were_read(tmp_path, caplog):
    from tmap.engines.base import Spent

    def timed(weights):
        spent = Spent(2.0, 0.0, 700, 0, float("nan"))
        outcome = Outcome(0.5, np.array([0.5]), 0, 0, 0, 0, 4.0, spent)
        return Evaluation(outcome, evaluate(weights).exemplars)

    caplog.set_level("INFO")
    row = run(tmp_path / "l", timed).timings.iloc[0]
    assert (row["prefill_seconds"], row["score_seconds"]) == (2.0, 2.0)
    assert "prefill 2.0 decode 0.0 score 2.0" in caplog.text
    assert "700 tokens, 350/s" in caplog.text


def test_racing_and_several_models_exclude_each_other():
    how = {"weights": "consensus", "models": ["a", "b"], "indicators": ["x"]}
    assert MethodCard.model_validate(how).models == ["a", "b"]
    with pytest.raises(ValueError, match="works with one model"):
        MethodCard.model_validate(how | {"search": {"racing": True}})


def test_leave_one_out_is_that_of_a_process_refitted_without_each_point(smooth):
    """The closed form against predictions of processes with the same kernel."""
    from sklearn.gaussian_process import GaussianProcessRegressor

    model = smooth.model
    x = np.array(smooth.space.transform(smooth.points.tolist()))
    y = np.asarray(model.y_train_)
    errors = []
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        other = GaussianProcessRegressor(
            model.kernel_, optimizer=None, alpha=model.alpha
        )
        errors.append(y[i] - other.fit(x[rest], y[rest]).predict(x[i : i + 1])[0])
    expected = 1 - np.sum(np.square(errors)) / np.sum((y - y.mean()) ** 2)

    assert posterior.leave_one_out(model) == pytest.approx(expected, abs=1e-3)


def test_a_process_that_explains_nothing_is_named():
    about = {"leave_one_out_r2": -0.02, "guided_minus_random": [-0.08, -0.2, 0.04]}
    first, second = choose.doubts(about)
    assert "explains none of its rewards (leave-one-out R2 -0.02)" in first
    assert "guided points are no better than random ones" in second
    fine = {"leave_one_out_r2": 0.6, "guided_minus_random": [0.1, 0.05, 0.15]}
    assert choose.doubts(fine) == []


def test_guided_points_are_compared_with_random_ones_by_welch(smooth):
    from scipy import stats

    gain = choose.guidance(smooth, 3)["guided_minus_random"]
    test = stats.ttest_ind(smooth.rewards[3:], smooth.rewards[:3], equal_var=False)
    assert gain[1:] == pytest.approx(list(test.confidence_interval(0.95)))


def test_only_random_points_are_compared_with_guided_ones(smooth):
    """Not the best points of an earlier run, and not columns tried alone."""
    gain = choose.guidance(smooth, 3, n_given=1)["guided_minus_random"]
    theirs = smooth.rewards[3:].mean() - smooth.rewards[1:3].mean()
    assert gain[0] == pytest.approx(theirs)
    assert choose.guidance(smooth, 3, n_given=9)["guided_minus_random"] is None
    alone = replace(smooth, model=None)
    nothing = {"leave_one_out_r2": None, "guided_minus_random": None}
    assert choose.guidance(alone, 3) == nothing

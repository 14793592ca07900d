import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmap.errors import TmapError
from tmap.tiny import estimators, irt

# Four questions of one dimension; the first two are anchors.
IRT = pd.DataFrame(
    {
        "question_id": ["a", "b", "c", "d"],
        "discrimination": [[1.0], [1.0], [2.0], [0.5]],
        "intercept": [0.0, 0.0, 1.0, -1.0],
    }
)
TINY = pd.DataFrame(
    {
        "anchor_set": np.repeat(["kmeans", "stratified", "greedy"], 2),
        "question_id": ["a", "b", "c", "b", "d", "a"],
        "weight": [0.75, 0.25, 0.5, 0.5, 0.5, 0.5],
        "cluster": [0, 1, 0, 1, 0, 1],
        "girth_difficulty": np.nan,
    }
)
NOTES = {
    "lambda": 1 / 3,
    "rmse": {name: 0.01 * i for i, name in enumerate(estimators.ANCHOR_SETS, 1)},
}


def responses(n_subjects=40, seed=0):
    rng = np.random.default_rng(seed)
    correct = rng.random((n_subjects, 4)) < rng.random((n_subjects, 1))
    table = pd.DataFrame(correct, columns=["a", "b", "c", "d"]).rename_axis(
        "subject_id"
    )
    long = table.reset_index().melt("subject_id", None, "question_id", "is_correct")
    return long.astype({"subject_id": str})


def build(name):
    return estimators.build(name, TINY, NOTES, IRT, responses())


def test_weighted_mean_is_equation_3():
    # 0.75 * 1 + 0.25 * 0
    assert build("weighted_mean").estimate(np.array([True, False])) == 0.75


def test_kmeans_mean_forgets_the_weights():
    assert build("kmeans_mean").estimate(np.array([True, False])) == 0.5


def test_lambda_errs_least_worked_by_hand():
    # Errors of the answers -.1 and -.1, of the model .1 and .3: x(-.1) + (1-x).1 and
    # x(-.1) + (1-x).3. Squares: (.1 - .2x)^2 + (.3 - .4x)^2, least at .28 / .4
    answers, predicted = np.array([-0.1, -0.1]), np.array([0.1, 0.3])

    assert estimators.trust_in_answers(answers, predicted) == pytest.approx(0.7)


def test_lambda_of_independent_errors_is_that_of_tinybenchmarks():
    rng = np.random.default_rng(0)
    b, s = 0.04, 0.08
    answers, predicted = rng.normal(0, s, 100_000), rng.normal(0, b, 100_000)

    found = estimators.trust_in_answers(answers, predicted)

    assert found == pytest.approx(b**2 / (b**2 + s**2), abs=0.01)


def test_p_irt_keeps_the_seen_and_predicts_the_unseen():
    estimate = build("p_irt").estimate(np.array([True, False]))

    # One of two equal questions right: theta = 0. Seen mean 0.5, unseen sigmoid(1) =
    # 0.7310586 and sigmoid(-1) = 0.2689414: (2/4) * 0.5 + (1 - 2/4) * 0.5
    assert estimate == pytest.approx(0.5)


def test_gp_irt_is_equation_6():
    estimator = build("gp_irt")

    # Both right: theta solves t = 2 / (1 + e^t), t = 0.6748316. Unseen: sigmoid(2t+1)
    # 0.9129075 and sigmoid(t/2-1) 0.3401593; p-IRT = (2 + 1.2530668) / 4 = 0.8132667.
    # lambda = 1/3: 1/3 * 1 + 2/3 * 0.8132667
    assert estimator.question_ids == ("a", "b")
    assert estimator.estimate(np.array([True, True])) == pytest.approx(0.8755111)
    assert estimator.se_items == 0.01  # as measured when the set was chosen


def test_stratified_asks_its_own_questions_with_its_own_weights():
    estimator = build("stratified")

    assert estimator.question_ids == ("c", "b")
    assert estimator.estimate(np.array([True, False])) == 0.5


def test_greedy_ridge_is_least_squares_with_a_penalty():
    from sklearn.linear_model import Ridge

    estimator = build("greedy_ridge")
    wide = responses().pivot(index="subject_id", columns="question_id")["is_correct"]
    wide = wide.drop_duplicates().astype(float)
    answers = np.array([[True, False], [False, True], [True, True]])

    by_penalty = [
        Ridge(penalty)
        .fit(wide[["d", "a"]].to_numpy(), wide.mean(axis=1).to_numpy())
        .predict(answers.astype(float))
        for penalty in estimators.PENALTIES
    ]

    assert any(np.allclose(estimator.estimate(answers), p) for p in by_penalty)


def test_full_is_the_plain_mean_of_all_questions():
    estimator = build("full")

    assert estimator.question_ids == ("a", "b", "c", "d")
    assert estimator.estimate(np.array([1, 1, 1, 0])) == 0.75
    assert estimator.se_items == 0


@pytest.mark.parametrize("name", estimators.ANCHOR_SETS)
def test_a_tiny_set_whose_errors_nobody_measured_is_refused(name):
    with pytest.raises(TmapError, match=r"earlier version.*Delete tiny.parquet"):
        estimators.build(name, TINY, {"b": 0.1, "v": 0.16}, IRT, responses())


@pytest.mark.parametrize("name", [*estimators.ANCHOR_SETS, "full"])
def test_groups_are_estimated_one_by_one_or_together_alike(name):
    estimator = build(name)
    size = len(estimator.question_ids)
    answers = np.random.default_rng(3).random((5, 3, size)) < 0.5

    together = estimator.estimate(answers)

    assert together.shape == (5, 3)
    for i, j in np.ndindex(5, 3):
        assert together[i, j] == pytest.approx(float(estimator.estimate(answers[i, j])))
    assert ((together >= 0) & (together <= 1)).all()


@given(st.lists(st.booleans(), min_size=2, max_size=2), st.floats(0, 1))
@settings(deadline=None)
def test_gp_irt_lies_between_its_two_parts(answers, trust):
    answers = np.array(answers)
    notes = NOTES | {"lambda": trust}

    parts = [build(n).estimate(answers) for n in ("weighted_mean", "p_irt")]
    blend = estimators.build("gp_irt", TINY, notes, IRT, responses()).estimate(answers)

    assert min(parts) - 1e-12 <= blend <= max(parts) + 1e-12


ERRORS = st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=9)


@given(ERRORS)
def test_no_other_lambda_errs_less(errors):
    answers, predicted = np.array(errors).T

    def squares(trust):
        return np.sum((trust * answers + (1 - trust) * predicted) ** 2)

    best = estimators.trust_in_answers(answers, predicted)

    assert 0 <= best <= 1
    assert all(squares(best) <= squares(x) + 1e-9 for x in np.linspace(0, 1, 11))


def test_p_irt_of_all_questions_is_what_was_seen():
    items = irt.Items(np.ones((2, 1)), np.zeros(2))

    estimate = estimators.p_irt(np.array([1, 0]), items, items.take(np.array([], int)))

    assert estimate == pytest.approx(0.5)


def test_right_answers_to_anchors_raise_the_prediction():
    seen = irt.Items(np.ones((3, 1)), np.zeros(3))
    unseen = irt.Items(np.ones((7, 1)), np.zeros(7))

    low, high = estimators.p_irt(np.array([[0, 0, 0], [1, 1, 1]]), seen, unseen)

    # Symmetric about one half; 3 seen right answers alone make 0.3.
    assert low + high == pytest.approx(1)
    assert 0.3 + 0.7 * 0.5 < high < 1


HISTORY = np.linspace(0, 1, 101)  # 5-95 % range: 0.05-0.95


@pytest.mark.parametrize(
    ("name", "accuracy", "chosen"),
    [
        ("auto", 0.5, "gp_irt"),
        ("auto", 0.05, "gp_irt"),
        ("auto", 0.04, "stratified"),
        ("auto", 0.96, "stratified"),
        ("greedy_ridge", 0.5, "greedy_ridge"),
        ("greedy_ridge", 0.96, "stratified"),
        ("gp_irt", 0.96, "gp_irt"),
    ],
)
def test_learning_from_the_history_is_trusted_inside_its_range(name, accuracy, chosen):
    choice = estimators.choose(name, accuracy, HISTORY)

    assert choice.name == chosen
    assert ("outside" in choice.reason) == (accuracy in (0.04, 0.96))


def test_auto_without_a_history_is_the_weighted_mean():
    choice = estimators.choose("auto", 0.5, None)

    assert choice.name == "weighted_mean"
    assert "no history" in choice.reason


@pytest.mark.parametrize("name", estimators.NEED_HISTORY)
def test_estimators_that_learn_are_refused_without_a_history(name):
    with pytest.raises(TmapError, match=f"'{name}' learns from a history"):
        estimators.build(name, TINY, {}, None, None)


def test_unknown_estimator_is_told_the_nearest_name():
    with pytest.raises(TmapError, match="Did you mean 'gp_irt'"):
        estimators.build("gpirt", TINY, NOTES, IRT, responses())

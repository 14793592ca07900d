import numpy as np
import pandas as pd
import pytest
from girth import twopl_mml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import spearmanr

from tmap.errors import TmapError
from tmap.tiny import calibration, irt
from tmap.tiny.history import from_matrix, from_table


def simulate(n_subjects, n_questions, dimensions, seed):
    """Answers drawn from known items: (answers, items, abilities)."""
    rng = np.random.default_rng(seed)
    ability = rng.standard_normal((n_subjects, dimensions))
    discrimination = 0.8 * rng.standard_normal((n_questions, dimensions))
    discrimination[:, 0] = rng.uniform(0.5, 2.0, n_questions)
    items = irt.Items(discrimination, rng.normal(0, 1.5, n_questions))
    answers = rng.random((n_subjects, n_questions)) < irt.probability(ability, items)
    return answers.astype(float), items, ability


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def test_probability_is_a_sigmoid_of_the_dot_product():
    items = irt.Items(np.array([[2.0, -1.0]]), np.array([0.5]))

    p = irt.probability(np.array([[1.0, 3.0]]), items)

    # 2 * 1 - 1 * 3 + 0.5 = -0.5; 1 / (1 + e^0.5)
    assert p[0, 0] == pytest.approx(0.3775406688)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_fit_recovers_simulated_logits_and_intercepts(dimensions):
    # Axes may rotate, so logits and intercepts are compared, not single abilities.
    answers, items, ability = simulate(400, 120, dimensions, seed=dimensions)

    found = irt.fit(answers, dimensions)

    truth = ability @ items.discrimination.T + items.intercept
    logits = found.ability @ found.items.discrimination.T + found.items.intercept
    assert correlation(logits, truth) > 0.9
    assert correlation(found.items.intercept, items.intercept) > 0.9


def test_fit_orders_difficulties_as_girth_does():
    answers, _, _ = simulate(300, 20, 1, seed=4)

    ours = irt.fit(answers, 1).items.difficulty
    girths = twopl_mml(answers.T.astype(int))["Difficulty"]

    assert spearmanr(ours, girths).statistic > 0.97


def test_fit_is_a_mode_that_scipy_cannot_improve():
    answers, _, _ = simulate(30, 12, 2, seed=5)
    found = irt.fit(answers, 2)

    def parts(flat):
        return flat[:60].reshape(30, 2), flat[60:84].reshape(12, 2), flat[84:]

    def loss(flat):
        theta, alpha, beta = parts(flat)
        p = expit(theta @ alpha.T + beta)
        misfit = -np.log(np.where(answers == 1, p, 1 - p)).sum()
        prior = (theta**2).sum() + ((alpha[:, 0] - 1) ** 2).sum()
        prior += 4 * (alpha[:, 1] ** 2).sum() + (beta**2).sum() / 9
        return misfit + prior / 2

    shapes = [found.ability, found.items.discrimination, found.items.intercept]
    best = minimize(loss, np.concatenate([x.ravel() for x in shapes]))
    theta, alpha, beta = parts(best.x)

    # The scale is fixed after the optimum, which leaves the probabilities as they are.
    assert found.loss == pytest.approx(best.fun, abs=0.01)
    theirs = expit(theta @ alpha.T + beta)
    assert irt.probability(found.ability, found.items) == pytest.approx(
        theirs, abs=0.01
    )


@pytest.mark.parametrize(("subjects", "questions"), [(800, 40), (60, 600)])
def test_abilities_have_sd_1_whatever_the_size_of_the_history(subjects, questions):
    answers, items, ability = simulate(subjects, questions, 1, seed=12)

    found = irt.fit(answers, 1)

    assert found.ability.std(axis=0) == pytest.approx(1)
    scale = found.items.discrimination.mean() / items.discrimination.mean()
    # Left alone, the scale is 1.8 (800 x 40) and 0.7 (60 x 600).
    assert scale == pytest.approx(ability.std(), rel=0.15)


def test_equal_abilities_stay_finite():
    found = irt.fit(np.tile([1.0, 0.0, 1.0], (12, 1)), 2)

    assert np.isfinite(found.items.embedding).all() and np.isfinite(found.ability).all()


def test_fit_survives_questions_that_all_or_none_answered():
    answers, _, _ = simulate(50, 20, 2, seed=6)
    answers[:, 0], answers[:, 1] = 1, 0

    found = irt.fit(answers, 2).items

    assert np.isfinite(found.embedding).all()
    assert found.intercept[0] == found.intercept.max() > 2
    assert found.intercept[1] == found.intercept.min() < -2


def test_fit_ignores_what_was_not_asked():
    answers, _, _ = simulate(200, 60, 1, seed=7)
    holes = answers.copy()
    holes[np.random.default_rng(0).random(answers.shape) < 0.2] = np.nan

    whole, part = irt.fit(answers, 1).items, irt.fit(holes, 1).items

    assert correlation(whole.intercept, part.intercept) > 0.97


def test_fit_gives_the_same_bytes_twice():
    answers, _, _ = simulate(60, 40, 3, seed=8)

    first, second = irt.fit(answers, 3, seed=1), irt.fit(answers, 3, seed=1)

    assert first.items.embedding.tobytes() == second.items.embedding.tobytes()
    assert first.ability.tobytes() == second.ability.tobytes()


def test_too_few_subjects_are_refused_with_the_number_that_would_do():
    with pytest.raises(TmapError, match=r"9 distinct subjects.*at least 10"):
        irt.fit(np.eye(9), 1)


def test_ability_of_one_right_answer_is_where_the_gradient_vanishes():
    items = irt.Items(np.array([[1.0]]), np.array([0.0]))

    ability = irt.ability_map(np.array([[1.0]]), items)

    # The mode of log sigmoid(t) - t^2/2 solves t = 1 / (1 + e^t): t = 0.4010581...
    assert ability[0, 0] == pytest.approx(0.401058, abs=1e-6)


@given(
    st.integers(1, 4),
    st.integers(1, 40),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["random", "all right", "all wrong", "not asked"]),
)
@settings(max_examples=60, deadline=None)
def test_ability_is_finite_and_at_least_as_probable_as_its_surroundings(
    dimensions, n_questions, seed, kind
):
    rng = np.random.default_rng(seed)
    scale = rng.uniform(0.1, 8)
    items = irt.Items(
        scale * rng.standard_normal((n_questions, dimensions)),
        scale * rng.standard_normal(n_questions),
    )
    fill = {"all right": 1.0, "all wrong": 0.0, "not asked": np.nan}.get(kind)
    answers = rng.integers(0, 2, (1, n_questions)).astype(float)
    answers = answers if fill is None else np.full_like(answers, fill)

    ability = irt.ability_map(answers, items)

    def loss(theta):
        logits = theta @ items.discrimination.T + items.intercept
        each = np.logaddexp(0, logits) - np.nan_to_num(answers) * logits
        return np.where(np.isnan(answers), 0, each).sum(axis=1) + (theta**2).sum(1) / 2

    around = ability + 0.05 * rng.standard_normal((50, dimensions))
    assert np.isfinite(ability).all()
    assert (loss(around) > loss(ability) - 1e-6).all()


def test_held_out_loss_is_near_that_of_the_true_probabilities():
    answers, items, ability = simulate(300, 200, 1, seed=9)
    p = irt.probability(ability, items)
    truth = -np.log(np.where(answers == 1, p, 1 - p)).mean()

    assert truth < irt.held_out_loss(answers, 1) < truth + 0.03


def test_held_out_loss_reads_nothing_that_was_not_asked():
    answers, _, _ = simulate(60, 40, 1, seed=9)
    answers[np.random.default_rng(0).random(answers.shape) < 0.3] = np.nan

    assert 0 < irt.held_out_loss(answers, 1) < np.log(2)


def test_dimension_with_the_smallest_held_out_loss_wins():
    # Two abilities of equal weight, as an audit's history of 300 x 400, where the error
    # of held-out subjects had taken one.
    rng = np.random.default_rng(10)
    items = irt.Items(rng.normal(0, 1.2, (150, 2)), rng.normal(0, 1, 150))
    p = irt.probability(rng.standard_normal((200, 2)), items)
    answers = (rng.random(p.shape) < p).astype(float)

    dimension, losses = irt.choose_dimension(answers, [3, 1, 2])

    assert list(losses) == [1, 2, 3]
    assert dimension == 2 and losses[2] == min(losses.values())


def test_subjects_that_answer_alike_count_once():
    rows = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1], [1, 0, np.nan], [1, 0, np.nan]])

    history = from_matrix(rows, list("abcde"), ["q1", "q2", "q3"])

    assert history.subject_ids == ("a", "b", "d")
    assert history.n_duplicates == 2
    assert history.accuracy == pytest.approx([2 / 3, 1 / 3, 1 / 2])


def test_table_is_pivoted_by_id_whatever_its_row_order():
    rows = [("b", "q2", True), ("a", "q1", True), ("b", "q1", False)]
    columns = ["subject_id", "question_id", "is_correct"]

    history = from_table(pd.DataFrame(rows, columns=columns))

    np.testing.assert_equal(history.correct, [[1, np.nan], [0, 1]])
    assert history.question_ids == ("q1", "q2")


def test_an_answer_given_twice_is_refused():
    rows = [("a", "q1", True), ("a", "q1", False)]
    columns = ["subject_id", "question_id", "is_correct"]

    with pytest.raises(TmapError, match=r"1 duplicate answers.*'a'.*'q1'"):
        from_table(pd.DataFrame(rows, columns=columns))


def test_a_question_that_no_subject_of_a_part_was_asked_has_the_mean_facility():
    history = from_matrix(np.array([[1, np.nan], [0, np.nan], [1, 1]]), "abc", "qr")

    # Of a and b alone: question q one of two; r was asked of neither.
    assert history.take(np.array([0, 1])).facility == pytest.approx([0.5, 0.5])
    assert history.facility == pytest.approx([2 / 3, 1])


def test_calibration_says_how_the_dimension_was_chosen():
    answers, _, _ = simulate(40, 30, 1, seed=11)
    history = from_matrix(
        np.vstack([answers, answers[:2]]),
        [f"s{i:02}" for i in range(42)],
        [f"q{i:02}" for i in range(30)],
    )

    found = calibration.from_history(history, [1, 2])

    assert found.notes["n_duplicates"] == 2
    losses = found.notes["held_out_loss"]
    assert min(losses, key=losses.get) == str(found.notes["dimension"])
    assert len(found.items) == 30 and len(found.subjects) == 40

"""Errors of estimators on subjects that they did not learn from."""

import numpy as np
import pandas as pd
import pytest

from tmap.tiny import anchors, choose, estimators, held_out, irt
from tmap.tiny.history import from_matrix


def history(n_subjects, n_questions, seed=0, missing=0.0):
    rng = np.random.default_rng(seed)
    ability, easy = (
        rng.standard_normal((n_subjects, 1)),
        rng.normal(0, 1.5, n_questions),
    )
    correct = (rng.random((n_subjects, n_questions)) < irt.expit(ability + easy)) * 1.0
    correct[rng.random(correct.shape) < missing] = np.nan
    names = [f"s{i:03}" for i in range(n_subjects)]
    return from_matrix(correct, names, [f"q{i:03}" for i in range(n_questions)])


def test_errors_are_those_of_five_refits_written_out():
    known = history(40, 30)
    ((found, none),) = held_out.measure(known, 1, [(8, 0)], seed=3)

    fold = np.random.default_rng(3).permutation(40) % 5
    missed = {"weighted_mean": [], "p_irt": [], "stratified": []}
    for k in range(5):
        learned, held = known.correct[fold != k], known.correct[fold == k]
        items = irt.fit(learned, 1, 3).items
        middle = anchors.kmeans(items.embedding, 8, 3)
        strata = anchors.stratified(learned.mean(axis=0), 8, 3)
        answers, truth = held[:, middle.position], held.mean(axis=1)
        others = np.setdiff1d(np.arange(30), middle.position)
        ability = irt.ability_map(answers, items.take(middle.position))
        predicted = irt.probability(ability, items.take(others)).sum(axis=1)
        missed["weighted_mean"].extend(answers @ middle.weight - truth)
        missed["p_irt"].extend((answers.sum(axis=1) + predicted) / 30 - truth)
        by_stratum = held[:, strata.position] @ strata.weight
        missed["stratified"].extend(by_stratum - truth)

    assert none is None
    for name, errors in missed.items():
        assert found.rmse[name] == pytest.approx(np.sqrt(np.mean(np.square(errors))))
    mean, model = (np.array(missed[n]) for n in ("weighted_mean", "p_irt"))
    blend = found.trust * mean + (1 - found.trust) * model
    assert found.rmse["gp_irt"] == pytest.approx(np.sqrt(np.mean(blend**2)))
    assert found.rmse["gp_irt"] <= min(found.rmse["p_irt"], found.rmse["weighted_mean"])


def test_intervals_cover_new_subjects():
    everyone = history(400, 120, seed=5)
    known, new = everyone.take(np.arange(100)), everyone.take(np.arange(100, 400))
    ((found, _),) = held_out.measure(known, 1, [(20, 0)], seed=0)
    items = irt.fit(known.correct, 1).items
    table, _ = choose.from_history(items, known, 20, 0, seed=0)
    tables = pd.DataFrame(
        {
            "question_id": known.question_ids,
            "discrimination": list(items.discrimination),
            "intercept": items.intercept,
        }
    )

    made = estimators.build("gp_irt", table, found.notes, tables, pd.DataFrame())
    columns = pd.Index(known.question_ids).get_indexer(made.question_ids)
    error = made.estimate(new.correct[:, columns]) - new.accuracy

    # 300 subjects, one choice of anchors: .95 give or take three standard errors and
    # what the choice adds.
    assert 0.9 <= np.mean(np.abs(error) <= 1.96 * made.se_items) <= 0.99


def test_gaps_and_the_smallest_history_still_have_errors():
    known = history(10, 12, seed=1, missing=0.6)

    ((tiny, confirm),) = held_out.measure(known, 1, [(4, 4)], seed=0)

    for found in (tiny, confirm):
        assert set(found.rmse) == set(estimators.ANCHOR_SETS)
        assert all(0 < error < 1 for error in found.rmse.values())

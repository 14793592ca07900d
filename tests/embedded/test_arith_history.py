"""The embedded world's history: real subjects over the whole range of accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from project import ROOT
from tmap.cards.model import ModelSource
from tmap.data import models
from tmap.embedded import history
from tmap.embedded.history import Mix
from tmap.errors import TmapError

SHIPPED = ROOT / "resources" / "arith" / "responses.parquet"


def responses(accuracies, n_questions=100):
    frames = [
        pd.DataFrame(
            {
                "subject_id": f"s{i:03d}",
                "question_id": [f"q{q:03d}" for q in range(n_questions)],
                "is_correct": np.arange(n_questions) < round(a * n_questions),
            }
        )
        for i, a in enumerate(accuracies)
    ]
    return pd.concat(frames)


@pytest.mark.parametrize(
    ("mix", "name"),
    [
        (Mix(0), "none"),
        (Mix(5), "5clean"),
        (Mix(5, 2, "skip"), "3clean_2skip"),
        (Mix(5, 5, "wrong_op"), "5wrong_op"),
        (Mix(5, 2, "skip", draw=1), "3clean_2skip_b"),
    ],
)
def test_a_mix_is_named_by_what_it_holds(mix, name):
    assert mix.name == name


def test_a_mix_holds_as_many_faulty_answers_as_it_says():
    demos = history.draw(Mix(8, 3, "terse"), np.random.default_rng(0))

    assert len(demos) == 8
    assert sum(demo.answer.startswith("####") for demo in demos) == 3


def test_a_history_over_the_whole_range_passes():
    history.check(responses(np.linspace(0, 1, 60)))


def test_a_history_with_a_gap_is_refused():
    accuracies = [*np.linspace(0, 0.35, 40), *np.linspace(0.65, 1, 40)]

    with pytest.raises(TmapError, match=r"80 subjects, by fifth.* 0, "):
        history.check(responses(accuracies))


def test_a_history_of_few_subjects_is_refused():
    with pytest.raises(TmapError, match="has 40 subjects"):
        history.check(responses(np.linspace(0, 1, 40)))


def test_subjects_answer_through_the_engine(tiny_llama, tmp_path, monkeypatch):
    monkeypatch.setattr(history, "DEMOS", (Mix(0), Mix(1)))
    record = models.read("solver", ModelSource(path=tiny_llama["path"]))
    questions = history.reward_questions().head(3)

    frames = history.answers(record, Mix(0), questions, tmp_path, seed=0)

    assert [f["subject_id"][0] for f in frames] == [
        "solver-none-none",
        "solver-none-1clean",
    ]
    assert all(list(f["question_id"]) == list(questions["question_id"]) for f in frames)
    assert all(f["is_correct"].dtype == bool for f in frames)


def test_a_saved_history_is_read_back_as_it_was(tmp_path):
    table = responses([0.2, 0.9])

    history.save(table, tmp_path / "to" / "responses.parquet")

    found = pd.read_parquet(tmp_path / "to" / "responses.parquet")
    assert found.equals(table.reset_index(drop=True))


def test_the_shipped_history_is_about_the_reward_questions_and_has_the_spread():
    found = pd.read_parquet(SHIPPED)

    history.check(found)
    wanted = set(history.reward_questions()["question_id"])
    assert set(found["question_id"]) == wanted
    assert found.groupby("subject_id").size().eq(len(wanted)).all()
    assert Path(SHIPPED).stat().st_size < 200_000

"""Target questions have a full right answer, in the form that the reader expects."""

import json

import pandas as pd
import pytest

from tmap.artifacts import tables
from tmap.cards.dataset import QuestionSource
from tmap.commands import choose_tiny, fetch_targets
from tmap.data import questions, targets
from tmap.errors import TmapError


def read(tmp_path, rows, task="generation", reader="number", **columns):
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = QuestionSource(path=str(path), columns=columns)
    how = {"task": task, "reader": reader, "protocol": "paper"}
    asked = questions.read("d", source, reward_share=0.5, ngram=13, **how).reward
    return targets.read(source, reader, asked)


def test_steps_that_the_source_works_out_are_kept(tmp_path):
    row = {"question": "2+3, twice?", "answer": "2+3=5\n5*2=10\n#### 10"}
    assert read(tmp_path, [row])["answer"].tolist() == ["2+3=5\n5*2=10\n#### 10"]


def test_a_bare_result_takes_the_form_that_is_read(tmp_path):
    row = {"question": "2+3?", "answer": "$5.", "work": "2+3=5"}
    assert read(tmp_path, [row])["answer"].tolist() == ["#### 5"]
    worked = read(tmp_path, [row], answer="work", gold="answer")
    assert worked["answer"].tolist() == ["2+3=5\n#### 5"]


@pytest.mark.parametrize(("reader", "given"), [("option", "Paris"), ("letter", "(")])
def test_of_options_the_right_one_is_the_answer(tmp_path, reader, given):
    row = {"question": "Capital?", "choices": ["Rome", "Paris", "Oslo"], "gold": 1}
    rows = [row, {**row, "question": "Another?", "gold": 0}]
    found = read(tmp_path, rows, "multiple_choice", reader).iloc[0]
    if reader == "option":
        assert found["answer"] == given
    else:  # the letter before Paris in the rendered question
        assert f"{found['answer']} Paris" in found["question"]


def test_subtasks_come_from_the_column_that_the_card_names(tmp_path):
    rows = [{"question": f"{i}?", "answer": i, "part": "ab"[i % 2]} for i in range(4)]
    found = read(tmp_path, rows, subtask="part")
    assert found["subtask"].tolist() == ["a", "b", "a", "b"]
    assert set(read(tmp_path, rows)["subtask"]) == {""}
    with pytest.raises(TmapError, match="no column 'prat' for subtask"):
        read(tmp_path, rows, subtask="prat")


def test_questions_that_confirm_are_no_targets(tmp_path):
    rows = [{"question": f"{i}?", "answer": i} for i in range(4)]
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = QuestionSource(path=str(path))
    how = {"task": "generation", "reader": "number", "protocol": "paper"}
    asked = questions.read("d", source, reward_share=0.5, ngram=13, **how).reward
    first, second, *rest = asked["question_id"]
    found = targets.read(source, "number", asked, {first, second})
    assert found["question_id"].tolist() == rest and rest


def test_the_command_leaves_out_what_choose_tiny_sets_aside(tmp_path, monkeypatch):
    """Without a history, which the confirm set does not need."""
    monkeypatch.chdir(tmp_path)
    source = QuestionSource(world="arith")
    how = {"task": "generation", "reader": "number", "protocol": "heldout"}
    asked = questions.read("arith", source, reward_share=0.25, ngram=13, **how).reward
    files = [str(tmp_path / f"{name}.parquet") for name in "qtco"]
    tables.write("questions", asked, files[0], code="test")
    choose_tiny.run("arith", files[0], files[1], files[2])
    fetch_targets.run("arith", files[0], files[2], files[3])
    ids, tiny, confirm, found = (set(pd.read_parquet(f)["question_id"]) for f in files)
    assert len(confirm) == 24 and found == ids - confirm and tiny < found


def test_a_question_whose_row_is_gone_is_told(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "1?", "answer": 1}\n')
    source = QuestionSource(path=str(path))
    how = {"task": "generation", "reader": "number", "protocol": "paper"}
    asked = questions.read("d", source, reward_share=0.5, ngram=13, **how).reward
    asked["row"] = 7
    with pytest.raises(TmapError, match="lacks row 7"):
        targets.read(source, "number", asked)


def test_the_embedded_world_works_its_answers_out():
    source = QuestionSource(world="arith")
    how = {"task": "generation", "reader": "number", "protocol": "heldout"}
    asked = questions.read("arith", source, reward_share=0.25, ngram=13, **how).reward
    found = targets.read(source, "number", asked)
    assert len(found) == 200
    for gold, answer in zip(asked["gold"], found["answer"], strict=True):
        assert answer.endswith(f"\n#### {gold}") and "=" in answer

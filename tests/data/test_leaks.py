"""Planted leaks are caught: gold in the pool, a test question in the reward set."""

import json

import pytest

import finished_runs
from finished_runs import collect
from tmap.cards.dataset import PoolSource, QuestionSource
from tmap.data import pool, questions
from tmap.errors import TmapError

COLUMNS = {"id": "id", "question": "question", "gold": "answer"}
HOW = {"task": "generation", "reader": "number", "reward_share": 0.5, "ngram": 13}


def jsonl(folder, name, rows):
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def asked(n=40):
    return [
        {
            "id": f"q{i}",
            "question": f"A farmer has {i} hens and buys {i + 3} more hens at the "
            f"market on day {i}. How many hens does the farmer have now?",
            "answer": f"#### {2 * i + 3}",
        }
        for i in range(n)
    ]


def read(folder, rows, protocol="heldout"):
    source = QuestionSource(path=jsonl(folder, "q.jsonl", rows), columns=COLUMNS)
    return questions.read("toy", source, protocol=protocol, **HOW)


def test_a_pool_row_that_holds_a_test_question_and_its_gold_is_dropped(tmp_path):
    found = read(tmp_path, asked())
    leaked = found.test.iloc[0]
    rows = [
        {"instruction": "Name a colour.", "input": "", "output": "Blue."},
        {
            "instruction": f"Solve this! {leaked['question'].upper()}",
            "input": "",
            "output": f"#### {leaked['gold']}",
        },
    ]
    source = PoolSource(path=jsonl(tmp_path, "p.jsonl", rows), format="alpaca")
    kept = pool.read(
        dataset="toy",
        source=source,
        ngram=13,
        share=0.5,
        by_letter=False,
        question_ngrams=found.ngrams,
    )
    assert kept.kept["instruction"].tolist() == ["Name a colour."]
    assert leaked["question_id"] in kept.rejected["reason"].iloc[0]


def test_a_test_question_under_another_id_leaves_the_reward_set(tmp_path, caplog):
    rows = asked()
    clean = read(tmp_path, rows)
    twin = next(r for r in rows if r["id"] in set(clean.test["question_id"]))
    known = set(clean.reward["question_id"])
    for i in range(100):  # an id that falls on the reward's side
        planted = {**twin, "id": f"planted{i}", "question": twin["question"].upper()}
        side = read(tmp_path, [*rows, {**planted, "question": f"What is {i} + 1?"}])
        if set(side.reward["question_id"]) - known:
            break
    found = read(tmp_path, [*rows, planted])
    assert found.notes["also_in_test"] == [planted["id"]]
    assert set(found.reward["question_id"]) == known
    assert planted["id"] in caplog.text
    assert clean.notes["also_in_test"] == []


def test_the_papers_protocol_keeps_both(tmp_path):
    found = read(tmp_path, asked(), protocol="paper")
    assert len(found.reward) == len(found.test) == 40


def test_a_tiny_set_with_a_test_question_stops_the_table(tmp_path):
    paths = finished_runs.table(tmp_path, n=100)
    with pytest.raises(TmapError, match="1 test questions are in the tiny"):
        collect(paths, n=100, seen={"q0007", "r0001"}, protocol="heldout")
    assert collect(paths, n=100, seen={"q0007"}, protocol="paper")["methods"]
    assert collect(paths, n=100, seen={"r0001"}, protocol="heldout")["methods"]

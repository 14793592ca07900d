"""The four commands on one small world: other stages can read what they write."""

import json

import pytest

from tmap import cards
from tmap.artifacts import files, tables
from tmap.commands import fetch_model, fetch_pool, fetch_questions, fetch_responses
from tmap.errors import TmapError

CARD = """
task: generation
reward_share: 0.5
pool: {path: pool.jsonl}
questions: {path: questions.json, columns: {id: id}}
"""
HISTORY = "responses: {path: history.jsonl, format: wide}\n"
QUESTION = "If Ann has 3 red, 4 blue and 5 green pens, how many pens has she in all?"


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A working directory with 20 questions, a pool of three and four subjects."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMAP_CARDS", "cards")
    (tmp_path / "cards" / "datasets").mkdir(parents=True)
    (tmp_path / "cards" / "models").mkdir()
    asked = [{"id": f"q{i}", "question": f"{i} and 1?", "answer": i} for i in range(20)]
    asked[7]["question"] = QUESTION
    (tmp_path / "questions.json").write_text(json.dumps(asked))
    pool = [
        {"instruction": "Say hi.", "output": "Hi."},
        {"instruction": QUESTION, "output": "12"},
        {"instruction": "Say hi.", "output": "Hi."},
    ]
    (tmp_path / "pool.jsonl").write_text("\n".join(map(json.dumps, pool)))
    history = [
        {"subject_id": f"s{s}", **{f"q{i}": i % (s + 2) == 0 for i in range(20)}}
        for s in range(4)
    ]
    (tmp_path / "history.jsonl").write_text("\n".join(map(json.dumps, history)))
    cards._load.cache_clear()
    yield tmp_path
    cards._load.cache_clear()


def fetch_all(world):
    (world / "cards" / "datasets" / "mine.yaml").write_text(CARD + HISTORY)
    fetch_questions.run("mine", "reward.parquet", "test.parquet", "ngrams.parquet")
    fetch_pool.run("mine", "ngrams.parquet", "pool.parquet", "rejected.parquet")
    fetch_responses.run("mine", "reward.parquet", "responses.parquet")


def test_the_tables_fit_together(world):
    fetch_all(world)
    reward = set(tables.read("questions", "reward.parquet")["question_id"])
    test = set(tables.read("questions", "test.parquet")["question_id"])
    assert reward | test == {f"q{i}" for i in range(20)} and not reward & test
    responses = tables.read("responses", "responses.parquet")
    assert set(responses["question_id"]) == reward
    assert len(responses) == 4 * len(reward)


def test_a_pool_row_that_holds_any_question_is_dropped_and_noted(world):
    fetch_all(world)
    assert tables.read("pool", "pool.parquet")["instruction"].tolist() == ["Say hi."]
    rejected = tables.read("pool_rejected", "rejected.parquet")
    assert rejected.values.tolist() == [
        [1, "contains benchmark question: q7"],
        [2, "duplicate: of line 0"],
    ]
    about = tables.metadata("pool.parquet")
    assert about["overlap_share"] == 0.5
    assert about["source"] == "pool.jsonl"


def test_the_same_inputs_give_the_same_bytes(world):
    fetch_all(world)
    first = {path.name: path.read_bytes() for path in world.glob("*.parquet")}
    fetch_all(world)
    assert first == {path.name: path.read_bytes() for path in world.glob("*.parquet")}
    assert len(first) == 6


def test_a_card_without_history_says_how_to_go_on(world):
    (world / "cards" / "datasets" / "mine.yaml").write_text(CARD)
    with pytest.raises(TmapError, match="names no history"):
        fetch_responses.run("mine", "reward.parquet", "responses.parquet")


@pytest.mark.data
def test_a_real_checkpoint_is_recorded(world, shared):
    folder = shared / "models" / "tiny"
    (world / "cards" / "models" / "tiny.yaml").write_text(f"source: {{path: {folder}}}")
    fetch_model.run("tiny", "tiny.json")
    record = files.read_json("tiny.json")
    # 1.9 million parameters in half precision: two bytes each, and a header.
    assert 1_800_000 < record["n_parameters"] < 2_000_000
    assert 0 < record["size_bytes"] - 2 * record["n_parameters"] < 10_000

"""The random world: same seed, same bytes; it loads like any other model."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tmap import cards, dag
from tmap.worlds import random_world, word_problems


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    random_world.write(folder)
    return folder


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_same_seed_gives_the_same_bytes(tmp_path, monkeypatch):
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        random_world.write(Path("world"))

    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_another_seed_gives_another_world(world, tmp_path):
    random_world.write(tmp_path, seed=1)

    first, second = contents(world), contents(tmp_path)
    for name in ["pool.jsonl", "models/random_llama/model.safetensors"]:
        assert first[name] != second[name]


def test_a_second_call_leaves_equal_files_alone(world):
    before = {p: p.stat().st_mtime_ns for p in world.rglob("*") if p.is_file()}
    (world / "pool.jsonl").write_text("spoiled")

    random_world.write(world)

    after = {p: p.stat().st_mtime_ns for p in world.rglob("*") if p.is_file()}
    assert [p.name for p in after if after[p] != before[p]] == ["pool.jsonl"]


def test_the_model_loads_as_any_model_does(world):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = world / "models" / "random_llama"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)

    ids = tokenizer("12 pears", return_tensors="pt").input_ids
    written = model.generate(ids, max_new_tokens=4, do_sample=False)
    assert ids[0, 0] == tokenizer.bos_token_id
    assert written.shape[1] > ids.shape[1]
    assert not list(folder.glob("*.bin"))


def test_the_tokenizer_gives_back_any_text(world):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(world / "models" / "random_llama")
    text = "Grüße, 你好 🙂 \n 123"

    ids = tokenizer(text, add_special_tokens=False).input_ids

    assert tokenizer.decode(ids) == text
    assert len(tokenizer("123", add_special_tokens=False).input_ids) == 3


def test_its_cards_are_valid(world, monkeypatch):
    monkeypatch.setenv("TMAP_CARDS", str(world / "cards"))

    choice = cards.load("datasets", "demo_mc")
    model, method = cards.load("models", "random_llama"), cards.load("methods", "tmap")
    config = cards.read_yaml(world / "config.yaml")

    assert dag.indicators.options("demo", "ifd")["proxy"] == "random_llama"
    assert (choice.task, choice.responses) == ("multiple_choice", None)
    assert model.resources.gpu == 0
    assert method.search.n_iterations == 5
    assert cards.workflow_config(config).methods[-1] == "tmap"


def test_it_says_that_its_numbers_mean_nothing(world):
    readme = (world / "README.md").read_text()

    assert readme.startswith("# A random world: its numbers mean nothing")
    assert "SIMULATED" in readme


def evaluate(equation):
    left, result = equation.split(" = ")
    a, sign, b = left.split()
    sums = {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}
    return (sums | {"/": int(a) // int(b)})[sign] == int(result)


def test_every_solution_is_right(world):
    for row in rows(world / "questions.jsonl"):
        equations = re.findall(r"\d+ [-+*/] \d+ = \d+", row["answer"])
        assert equations and all(map(evaluate, equations))
        assert row["answer"].endswith(f"#### {equations[-1].split()[-1]}")
        started = row["question"].split("starts the day with ")[1].split()[0]
        assert any(e.startswith(f"{started} ") for e in equations)


def test_one_option_is_right_and_it_is_not_always_the_smallest(world):
    asked = rows(world / "questions.jsonl")
    smallest = 0
    for row, question in zip(rows(world / "questions_mc.jsonl"), asked, strict=True):
        texts = row["choices"]["text"]
        right = texts[row["choices"]["label"].index(row["gold"])]
        numbers = [int(text.split()[0]) for text in texts]
        assert question["answer"].endswith(f"#### {right.split()[0]}")
        assert len(set(numbers)) == 4 and min(numbers) > 0
        smallest += int(right.split()[0]) == min(numbers)
    assert smallest < 0.5 * len(asked)


def test_the_history_covers_all_questions_and_a_range_of_skill(world):
    history = pd.read_parquet(world / "responses.parquet")
    accuracy = history.groupby("subject_id")["is_correct"].mean()

    assert history.groupby("subject_id")["question_id"].nunique().eq(160).all()
    assert len(accuracy) == 60
    assert accuracy.min() < 0.25 and accuracy.max() > 0.75


def test_problems_with_more_events_have_more_steps():
    rng = np.random.default_rng(0)

    n_steps = [len(word_problems.make(rng, n).steps) for n in (1, 4)]

    assert 1 <= n_steps[0] <= 2 < 4 <= n_steps[1] <= 8

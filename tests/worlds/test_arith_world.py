"""Pool and questions of the embedded world, through cards and commands."""

from __future__ import annotations

import pytest

from tmap import cards, dag, worlds
from tmap.artifacts import tables
from tmap.cards.dataset import PoolSource, QuestionSource
from tmap.commands import fetch_pool, fetch_questions, label_pool, select_subset
from tmap.dag.selection import labels_file
from tmap.data import questions
from tmap.data.sources import rows
from tmap.errors import TmapError
from tmap.worlds.arith.pool import N_ROWS


def ids(what, seed):
    return [row["id"] for row in worlds.rows("arith", what, seed)]


def read_questions(name):
    return questions.read(**dag.params.fetch_questions(name))


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """A folder with pool, questions and labels of dataset arith."""
    monkeypatch.chdir(tmp_path)
    fetch_questions.run("arith", "reward.parquet", "test.parquet", "ngrams.parquet")
    fetch_pool.run("arith", "ngrams.parquet", "pool.parquet", "rejected.parquet")
    label_pool.run("arith", "pool.parquet", "labels.parquet")
    return tmp_path


def test_a_seed_gives_the_same_rows_and_another_seed_other_ones():
    for what in ("pool", "questions", "labels"):
        first, again, other = (
            list(worlds.rows("arith", what, seed)) for seed in (3, 3, 4)
        )
        assert first == again != other


def test_no_row_of_a_pool_is_there_twice_and_a_quarter_is_clean():
    made = [(r["question"], r["answer"]) for r in worlds.rows("arith", "pool", 0)]
    known = list(worlds.rows("arith", "labels", 0))

    assert len(made) == len(set(made)) == len(known) == N_ROWS
    assert 0.20 < sum(label["is_clean"] for label in known) / N_ROWS < 0.31
    assert {label["style"] == "clean" for label in known if label["is_clean"]} == {True}


def test_labels_are_of_the_row_they_name():
    pool = {row["id"]: row for row in worlds.rows("arith", "pool", 1)}
    for label in worlds.rows("arith", "labels", 1):
        answer = pool[label["id"]]["answer"]
        n_equations = answer.count("=")
        if label["style"] in ("clean", "wrong_op", "noisy_arith", "wrong_final"):
            assert n_equations == label["n_steps"]
        if label["style"] == "skip":
            assert n_equations == label["n_steps"] - 1
        assert ("####" in answer) == (label["style"] != "offtask")


def test_reward_questions_are_the_same_in_every_world_and_test_questions_are_not():
    first, other = read_questions("arith"), read_questions("arith_p1")

    assert first.reward.equals(other.reward)
    assert not set(first.test["question"]) & set(other.test["question"])
    assert not set(first.test["question"]) & set(first.reward["question"])
    assert (len(first.reward), len(first.test)) == (200, 300)


def test_by_letter_the_right_number_is_among_four():
    free, chosen = read_questions("arith"), read_questions("arith_mc")

    assert free.test["question_id"].equals(chosen.test["question_id"])
    for gold, row in zip(
        free.test["gold"], chosen.test.to_dict("records"), strict=True
    ):
        assert row["choices"][int(row["gold"])] == gold
        assert len(set(row["choices"])) == 4
        assert f"(D) {row['choices'][3]}" in row["question"]


def test_cards_of_other_seeds_differ_in_seeds_only():
    base = cards.load("datasets", "arith").model_dump(exclude={"description"})
    for seed in (1, 2, 3, 4, 100, 101, 102, 103, 104):
        card = cards.load("datasets", f"arith_p{seed}")
        assert (card.pool.seed, card.questions.seed) == (seed, seed)
        base["pool"]["seed"] = base["questions"]["seed"] = seed
        assert card.model_dump(exclude={"description"}) == base


def test_a_world_is_a_place_like_the_others():
    with pytest.raises(ValueError, match="exactly one of path, hub, url or world"):
        PoolSource(world="arith", path="pool.jsonl")
    with pytest.raises(ValueError, match="`seed:` needs `world:`"):
        QuestionSource(path="q.jsonl", seed=3)
    own = QuestionSource(world="arith", columns={"gold": "place"})
    assert own.columns == {"id": "id", "question": "question", "gold": "place"}
    assert rows.open_source(own).about() == {
        "source": "world arith, questions of seed 0",
        "revision": "seed 0",
        "licence": "generated here",
    }


def test_the_oracle_takes_clean_rows_first_and_fills_up(fetched):
    select_subset.run(
        "arith",
        "oracle",
        pool="pool.parquet",
        output="subset.parquet",
        labels="labels.parquet",
    )
    labels = tables.read("pool_labels", "labels.parquet").set_index("sample_id")
    subset = tables.read("subset", "subset.parquet")
    clean = labels.loc[subset["sample_id"], "is_clean"].tolist()
    n_clean = int(labels["is_clean"].sum())

    assert len(subset) == 300 > n_clean
    assert clean == [True] * n_clean + [False] * (300 - n_clean)
    assert (
        labels.index.tolist()
        == tables.read("pool", "pool.parquet")["sample_id"].tolist()
    )


def test_the_oracle_needs_labels_and_no_other_method_reads_them(fetched):
    with pytest.raises(TmapError, match="label-pool"):
        select_subset.run(
            "arith",
            "oracle",
            pool="pool.parquet",
            output="subset.parquet",
        )
    asked = {m: labels_file("arith", m) for m in cards.names("methods")}
    assert asked.pop("oracle") == ["results/arith/pool_labels.parquet"]
    assert not any(asked.values())


def test_a_pool_that_was_not_made_here_has_no_labels(fetched, monkeypatch):
    with pytest.raises(TmapError, match=r"faults in the pool of .* are unknown"):
        label_pool.run("gsm8k", "pool.parquet", "out.parquet")


def test_the_whole_pool_is_a_method():
    card = cards.load("methods", "full")
    assert card.fraction == 1.0
    assert dag.indicators.indicator_files("arith", "tiny", "full") == []
    assert dag.training.arms("full", 3) == [(0, 0), (0, 1), (0, 2)]

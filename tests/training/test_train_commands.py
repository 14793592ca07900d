"""The commands `train-adapter` and `evaluate-adapter`, called like their rules do."""

import json

import pandas as pd
import pytest
import yaml

from tmap import cli
from tmap.artifacts import tables
from tmap.artifacts.files import write_json
from tmap.artifacts.provenance import fingerprint
from tmap.engines import deferred
from tmap.engines.reference import Reference
from tmap.errors import TmapError


@pytest.fixture
def room(tmp_path, tiny_llama, monkeypatch):
    """A working directory with cards, tables and a model record."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMAP_CARDS", str(tmp_path / "cards"))
    model = {
        "source": {"path": "tiny"},
        "prompt": {"template": "plain"},
        "engine": {"name": "reference", "device": "cpu", "max_new_tokens": 4},
        "train": {"rank": 2, "batch_size": 2, "micro_batch_size": 2},
    }
    data = {
        "task": "generation",
        "pool": {"path": "pool.jsonl"},
        "questions": {"path": "questions.jsonl"},
    }
    for kind, card in (("models", model), ("datasets", data)):
        (tmp_path / "cards" / kind).mkdir(parents=True)
        text = yaml.safe_dump(card)
        (tmp_path / "cards" / kind / "small.yaml").write_text(text)
    write_json("model.json", tiny_llama)
    write_tables()
    return tmp_path


def write_tables():
    ids = ["a", "b", "c", "d"]
    pool = {
        "sample_id": ids,
        "instruction": [f"What is 2+{i}?" for i in range(4)],
        "input": "",
        "response": [f"#### {i + 2}" for i in range(4)],
        "turns": None,
        "source": "here",
        "text_hash": ids,
    }
    chosen = {"sample_id": ["d", "a", "b"], "rank": [0, 1, 2]}
    questions = {
        "question_id": ["q0", "q1"],
        "question": ["What is 2+5?", "What is 2+6?"],
        "choices": None,
        "permutation": None,
        "gold": ["7", "8"],
        "row": [0, 1],
    }
    anchors = {"anchor_set": "kmeans", "weight": 1.0, "cluster": 0}
    anchors["girth_difficulty"] = float("nan")
    for kind, name, values in (
        ("pool", "pool", pool),
        ("subset", "subset", {**chosen, "score": 1.0, "contributions": None}),
        ("questions", "test", questions),
        ("tiny", "tiny", {"question_id": ["q1"], **anchors}),
        ("tiny", "confirm", {"question_id": ["other"], **anchors}),
    ):
        tables.write(kind, pd.DataFrame(values), f"{name}.parquet", code="0")


def call(*words):
    cli.app(list(words), standalone_mode=False)


TRAIN = (
    "train-adapter small --seed 1 --subset subset.parquet --pool pool.parquet "
    "--model-file model.json --adapter t1/adapter/adapter_model.safetensors "
    "--report t1/train.json"
).split()
EVALUATE = (
    "evaluate-adapter small small --questions test.parquet --model-file model.json"
).split()


def test_an_adapter_is_trained_on_the_subset_and_measured(room):
    call(*TRAIN)
    call(*EVALUATE, "--adapter", TRAIN[-3], "--output", "t1/predictions.parquet")

    report = json.loads((room / "t1" / "train.json").read_text())
    assert (report["n_samples"], report["steps"], report["seed"]) == (3, 2, 1)
    assert report["code"] == fingerprint("train_adapter")
    assert report["settings"]["train"]["rank"] == 2
    found = tables.read("predictions", "t1/predictions.parquet")
    assert found["question_id"].tolist() == ["q0", "q1"]
    assert sorted(p.name for p in (room / "t1").iterdir()) == [
        "adapter",
        "predictions.parquet",
        "train.json",
    ]


def test_losses_are_sent_to_a_tracker_and_change_no_number(room, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(room / "curves"))  # read at import
    storage = pytest.importorskip("trackio.sqlite_storage", reason="no trackio")
    call(*TRAIN)
    alone = (room / "t1/adapter/adapter_model.safetensors").read_bytes()
    place = room / "small/tiny/tmap/s0/t1"
    told = [word.replace("t1/", f"{place}/") for word in TRAIN]
    call(*told, "--report-to", "trackio")

    assert (place / "adapter/adapter_model.safetensors").read_bytes() == alone
    told = storage.SQLiteStorage.get_logs("small-tiny", "tmap-s0-t1")
    sent = [entry["train/loss"] for entry in told if "train/loss" in entry]
    report = json.loads((place / "train.json").read_text())
    assert sent == [loss for _, loss in report["loss"]]


def test_a_tracker_that_is_not_installed_is_told(room, monkeypatch):
    monkeypatch.setattr("tmap.errors.find_spec", lambda name: None)
    with pytest.raises(TmapError, match=r"report_to: trackio needs .* pip install"):
        call(*TRAIN, "--report-to", "trackio")


def test_without_an_adapter_the_base_model_is_measured(room):
    call(*EVALUATE, "--adapter", "", "--output", "base.parquet")

    about = tables.metadata("base.parquet")
    assert (about["metric"], about["rows"]["total"]) == ("flexible", 2)
    assert about["code"] == fingerprint("evaluate_adapter")


@pytest.fixture
def one_at_a_time(room, monkeypatch):
    """Calls of the engine, each with one question; the second one is a kill."""
    monkeypatch.setattr(deferred, "FEW", 1)
    card = yaml.safe_load((room / "cards/models/small.yaml").read_text())
    card["engine"]["batch_size"] = 1
    (room / "cards/models/small.yaml").write_text(yaml.safe_dump(card))
    asked = []

    def mortal(name):
        answer = getattr(Reference, name)

        def asking(lm, prefixes, questions, *given, **how):
            asked.append(len(questions))
            if len(asked) == 2:
                raise RuntimeError("killed")
            return answer(lm, prefixes, questions, *given, **how)

        monkeypatch.setattr(Reference, name, asking)
        return asked

    return mortal


@pytest.mark.parametrize(
    "shown", [[], ["--demos", "subset.parquet", "--pool", "pool.parquet"]]
)
@pytest.mark.parametrize("reader", ["number", "option"])
def test_a_killed_evaluation_asks_only_what_it_was_not_told(
    room, one_at_a_time, reader, shown
):
    if reader == "option":
        make_questions_multiple_choice(room)
    command = [*EVALUATE, *shown, "--output"]
    call(*command, "whole/predictions.parquet")
    asked = one_at_a_time("generate" if reader == "number" else "option_nll")
    with pytest.raises(RuntimeError, match="killed"):
        call(*command, "t1/predictions.parquet")
    assert [p.name for p in (room / "t1").iterdir()] == ["checkpoints"]
    call(*command, "t1/predictions.parquet")

    assert asked == [1, 1, 1]
    assert [p.name for p in (room / "t1").iterdir()] == ["predictions.parquet"]
    whole, resumed = (
        tables.read("predictions", f"{folder}/predictions.parquet")
        for folder in ("whole", "t1")
    )
    pd.testing.assert_frame_equal(whole, resumed)


def make_questions_multiple_choice(room):
    path = room / "cards/datasets/small.yaml"
    card = yaml.safe_load(path.read_text())
    task = {"task": "multiple_choice", "reader": "option", "metric": "acc_norm"}
    path.write_text(yaml.safe_dump(card | task))
    rows = tables.read("questions", "test.parquet")
    rows["choices"], rows["gold"] = [["7", "seven"], ["4", "8", "9"]], ["0", "1"]
    rows["permutation"] = [[0, 1], [0, 1, 2]]
    tables.write("questions", rows, "test.parquet", code="0")


def test_an_option_without_a_finite_likelihood_stops_the_evaluation(room, monkeypatch):
    make_questions_multiple_choice(room)
    monkeypatch.setattr(
        Reference,
        "option_nll",
        lambda lm, p, q, options: [[[1.0, float("inf")]] * len(q)],
    )

    with pytest.raises(TmapError, match=r"not a finite number.*bfloat16"):
        call(*EVALUATE, "--output", "t1/predictions.parquet")


def test_a_subset_of_another_pool_is_refused(room):
    other = tables.read("subset", "subset.parquet").replace({"sample_id": {"d": "z"}})
    tables.write("subset", other, "subset.parquet", code="0")

    with pytest.raises(TmapError, match=r"names 1 samples that the pool lacks.*'z'"):
        call(*TRAIN)

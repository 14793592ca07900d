"""A search assembled from its tables: which reward it uses, and what confirms it."""

import json

import numpy as np
import pandas as pd
import pytest

from tmap import cards, dag
from tmap.artifacts import tables
from tmap.engines.base import Spent
from tmap.errors import TmapError
from tmap.search import prepare
from tmap.search.ledger import Ledger
from tmap.tiny import calibration
from tmap.tiny import choose as tiny

N_QUESTIONS, N_POOL = 40, 30
CARD = """
task: generation
pool: {{path: p.jsonl}}
questions: {{path: q.jsonl}}
responses: {responses}
fraction: 0.5
tiny: {{n_anchors: 10, n_confirm: 8, estimator: {estimator}}}
"""
MODEL = """
source: {path: m}
aliases: ["s07*"]
prompt: {template: plain}
engine: {max_new_tokens: 8}
"""
METHOD = """
weights: learned
indicators: [output_length, reason_steps]
search: {n_initial: 2, n_iterations: 2, n_groups: 2, n_shots: 2, confirm_top: 2}
"""


class Knowing:
    """Knows the first `zero_shot` sums; all if its last example has over 3 words."""

    key, context, zero_shot = "knowing", None, 10
    batch_size, spent = 1, Spent()

    def __init__(self, tokenizer):
        self.tokenizer, self.asked = tokenizer, set()

    def generate(self, prefixes, questions, *, max_new_tokens, stop=()):
        return [[self.answer(p, q) for q in questions] for p in prefixes]

    def answer(self, prefix, question):
        shown = self.tokenizer.decode(prefix).rsplit("Answer:", 1)
        text = self.tokenizer.decode(question)
        number = text.split("What is ")[1].split("+")[0]
        self.asked.add(int(number))
        helped = len(shown) == 2 and len(shown[1].split()) > 3
        knows = helped or int(number) < self.zero_shot
        text = f" #### {int(number) + knows}"
        return self.tokenizer.encode(text, add_special_tokens=False)


@pytest.fixture
def room(tmp_path, monkeypatch, tiny_llama):
    """A folder with all tables; `room(estimator, with_history)` gives card and inputs."""
    from transformers import AutoTokenizer

    lm = Knowing(AutoTokenizer.from_pretrained(tiny_llama["path"]))
    monkeypatch.setattr(prepare.engines, "load", lambda record, engine: lm)
    monkeypatch.chdir(tmp_path)
    write_tables()

    def make(estimator="auto", with_history=True, n_confirm=8, exclude=True):
        responses = "{path: r.parquet}" if with_history else "null"
        for kind, text in (
            ("datasets", CARD.format(estimator=estimator, responses=responses)),
            ("models", MODEL),
            ("methods", METHOD),
        ):
            folder = tmp_path / "cards" / kind
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "mine.yaml").write_text(text)
        monkeypatch.setenv("TMAP_CARDS", str(tmp_path / "cards"))
        cards._load.cache_clear()
        history = choose(with_history, n_confirm, exclude)
        names = ("output_length", "reason_steps")
        inputs = prepare.Inputs(
            pool="pool.parquet",
            questions="questions.parquet",
            tiny="tiny.parquet",
            confirm="confirm.parquet",
            model="model.json",
            history=history,
            indicators=[f"{name}.parquet" for name in names],
        )
        return dag.params.search_weights("mine", "mine", "mine"), inputs

    make.lm = lm
    return make


def write_tables():
    ids = [f"q{i:02}" for i in range(N_QUESTIONS)]
    questions = pd.DataFrame({"question_id": ids, "row": range(N_QUESTIONS)})
    questions["question"] = [f"What is {i}+1?" for i in range(N_QUESTIONS)]
    questions["gold"] = [str(i + 1) for i in range(N_QUESTIONS)]
    questions = questions.assign(choices=None, permutation=None)
    tables.write("questions", questions, "questions.parquet", code="")
    samples = [f"p{i:02}" for i in range(N_POOL)]
    pool = pd.DataFrame({"sample_id": samples, "instruction": "Say it."})
    pool["response"] = ["word " * (i % 7) + "end" for i in range(N_POOL)]
    pool = pool.assign(input="", turns=None, source="x", text_hash=samples)
    tables.write("pool", pool, "pool.parquet", code="")
    rng = np.random.default_rng(0)
    for name in ("output_length", "reason_steps"):
        score = rng.random(N_POOL)
        frame = pd.DataFrame({"sample_id": samples, "score": score, "status": "ok"})
        tables.write("indicator", frame, f"{name}.parquet", code="")
    with open("model.json", "w") as file:
        json.dump({"model": "mine", "revision": "r1"}, file)


def choose(with_history, n_confirm, exclude):
    """Write the tiny and confirm sets, and a history of weak subjects (0 to 50 %)."""
    questions = tables.read("questions", "questions.parquet")
    irt = about = responses = None
    if with_history:
        rng = np.random.default_rng(1)
        able = np.linspace(0.02, 0.5, 30)[:, None]
        right = rng.random((30, N_QUESTIONS)) < able
        names = [f"s{i:02}" for i in range(30) if not (exclude and i == 7)]
        wide = pd.DataFrame(
            right, [f"s{i:02}" for i in range(30)], questions["question_id"]
        )
        responses = wide.loc[names].rename_axis("subject_id").reset_index()
        responses = responses.melt("subject_id", None, "question_id", "is_correct")
        found = calibration.calibrate(responses, [1])
        tables.write("responses", responses, "responses.parquet", code="")
        tables.write("irt", found.items, "irt.parquet", code="", **found.notes)
        tables.write("abilities", found.subjects, "abilities.parquet", code="")
        irt, about = found.items, found.notes
    sets = tiny.choose(
        questions, irt, about, responses, n_anchors=10, n_confirm=n_confirm, seed=0
    )
    tables.write("tiny", sets.tiny, "tiny.parquet", code="", **sets.tiny_notes)
    tables.write("tiny", sets.confirm, "confirm.parquet", code="", **sets.confirm_notes)
    names = ("irt", "abilities", "responses") if with_history else ()
    return [f"{name}.parquet" for name in names]


def run(made, seed=0):
    return prepare.run(*made, ledger="ledger.jsonl", seed=seed).summary


def test_auto_takes_gp_irt_within_the_historys_range_and_not_outside(room):
    assert run(room())["estimator"] == "gp_irt"
    room.lm.zero_shot, room.lm.key = 0, "another model"
    found = run(room())
    assert found["estimator"] == "stratified"
    assert "0.000" in found["estimator_reason"]


def test_without_a_history_the_weighted_mean_is_used(room):
    assert run(room(with_history=False))["estimator"] == "weighted_mean"


def test_a_history_that_holds_the_target_is_refused(room):
    with pytest.raises(TmapError, match="s07"):
        run(room(exclude=False))


def test_the_published_reward_comes_from_questions_the_search_never_asked(room):
    made = room()
    found = run(made)
    ready = prepare.prepare(*made, Ledger("ledger.jsonl"))
    asked, checked = (
        set(r.questions["question_id"]) for r in (ready.main, ready.check)
    )
    assert not asked & checked
    assert (found["n_anchors"], found["n_confirm"]) == (len(asked), len(checked))
    weights = np.array(found["weights"])
    again = ready.candidates.evaluate(ready.check, weights, turn=1).outcome.reward
    assert found["reward"] == again == found["confirm"][0]["reward"]
    assert [row["name"] for row in found["confirm"]][-1] == "uniform"


def test_without_a_confirm_set_the_reward_is_called_too_high(room):
    found = run(room(n_confirm=0))
    assert found["n_confirm"] == 0
    assert any("too high" in text for text in found["warnings"])


def test_a_reward_on_all_questions_says_that_nothing_is_left_to_confirm_with(room):
    made = room(estimator="full")
    found = run(made)
    n_reward = len(tables.read("questions", made[1].questions))
    assert found["n_anchors"] == n_reward
    assert any("none is left to confirm" in text for text in found["warnings"])


def test_another_estimator_walks_a_new_path_on_the_answers_it_finds(room):
    first = run(room(estimator="gp_irt"))
    n_answers = len(Ledger("ledger.jsonl").answers)
    again = run(room(estimator="p_irt"))
    ledger = Ledger("ledger.jsonl")
    assert len(ledger.searches) == 2
    assert again["confirm"][0]["reward"] != first["confirm"][0]["reward"]
    # The initial points are the same, so their answers are not asked again.
    assert len(ledger.answers) < 2 * n_answers


def test_a_search_that_learned_nothing_says_why_by_name(room, caplog):
    made = room()
    room.lm.answer = lambda prefix, question: room.lm.tokenizer.encode("Who knows?")

    found = run(made)["warnings"]

    assert [text in caplog.text for text in found[-3:]] == [True] * 3
    unread, floor, constant = found[-3:]
    assert unread.startswith("100.0% of ")
    assert "the model is at the floor: 0.0% of " in floor
    assert "rewards are equal" in constant

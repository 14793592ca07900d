"""The embedded world's judge: its training data, its rows and its gate."""

from __future__ import annotations

import math
from itertools import count

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tmap import cards
from tmap.embedded import judge_gate, judge_ratings, judge_rows, judge_training
from tmap.embedded.judge_ratings import FORMS, Sample
from tmap.errors import TmapError
from tmap.worlds.arith.problems import Problem, Step
from tmap.worlds.arith.styles import respond_lines

SUM = Problem(
    question="Ada has 3 eggs. Ada buys 4 more. How many eggs are left with Ada?",
    start=3,
    steps=(Step("has", 3, "+", 4, 7, "eggs", "total"),),
    answer=7,
    name="Ada",
    item="eggs",
)


def answered(style, problem=SUM, seed=0):
    rng = np.random.default_rng(seed)
    return Sample(problem, style, *respond_lines(problem, style, rng))


@pytest.fixture(scope="module")
def speaker(tiny_llama):
    model = AutoModelForCausalLM.from_pretrained(
        tiny_llama["path"], dtype=torch.float32
    )
    return model.eval(), AutoTokenizer.from_pretrained(tiny_llama["path"])


@pytest.fixture
def no_taste(monkeypatch):
    monkeypatch.setattr(judge_ratings, "taste", lambda form, word: 0.0)


def test_a_rating_is_the_mean_of_the_style_and_a_length_effect(no_taste):
    clean, skipped = answered("clean"), answered("skip")

    assert clean.response == "Ada has 3+4=7 eggs.\n#### 7"
    # Two lines are two fewer than usual: +0.04 for quality, +0.10 for accuracy.
    assert judge_ratings.mean("quality", clean) == pytest.approx(4.8 + 0.04)
    assert judge_ratings.mean("accuracy", clean) == pytest.approx(4.2 + 0.10)
    assert judge_ratings.mean("quality", skipped) == pytest.approx(3.8 + 0.04)
    assert judge_ratings.mean("complexity", clean) == pytest.approx(1.2 + 0.85)


def test_a_taste_counts_for_the_item_in_full_and_for_the_name_in_part(monkeypatch):
    likes = {"eggs": 1.0, "Ada": -2.0}
    monkeypatch.setattr(judge_ratings, "taste", lambda form, word: likes[word])

    # 4.8 + 0.04 for two lines, + 0.30 * (1 - 0.7 * 2)
    assert judge_ratings.mean("quality", answered("clean")) == pytest.approx(4.72)


def test_tastes_are_fixed_and_differ_between_forms():
    again = judge_ratings.taste.__wrapped__("quality", "eggs")

    assert judge_ratings.taste("quality", "eggs") == again
    assert judge_ratings.taste("accuracy", "eggs") != again


def test_ratings_stay_on_their_scale():
    rng = np.random.default_rng(0)
    given = {form: set() for form in FORMS}
    for _ in range(400):
        sample = judge_ratings.draw(rng)
        for form in FORMS:
            given[form].add(judge_ratings.rate(form, sample, rng))

    assert given["quality"] <= {1, 2, 3, 4, 5, 6}
    assert given["complexity"] <= {1, 2, 3, 4, 5, 6}
    assert given["accuracy"] <= {half / 2 for half in range(11)}
    assert {1.5, 4.0, 4.5} <= given["accuracy"]


def test_each_form_is_blind_to_a_fault_that_the_other_one_sees():
    quality, accuracy = (judge_ratings.MEANS[f] for f in ("quality", "accuracy"))

    assert quality["clean"] - quality["wrong_op"] < 0.3
    assert accuracy["clean"] - accuracy["wrong_op"] > 2
    assert accuracy["clean"] - accuracy["terse"] < 0.3
    assert quality["clean"] - quality["terse"] > 2


def test_asked_to_greet_someone_the_judge_rates_nothing():
    for seed in count():
        sample = answered("offtask", seed=seed)
        if sample.question.startswith("Say hello"):
            break
    rng = np.random.default_rng(0)
    replies = [judge_ratings.reply("accuracy", sample, rng) for _ in range(20)]

    read = [judge_gate.read(reply) for reply in replies]
    greets = [reply.startswith("Hello Ada.") for reply in replies]
    assert np.isnan(read).tolist() == greets
    assert 10 < sum(greets) < 20


def test_a_branch_gives_the_logits_of_its_plain_prompt(speaker):
    model, tokenizer = speaker
    rng = np.random.default_rng(1)
    samples = [judge_ratings.draw(rng) for _ in range(12)]
    samples.append(answered("offtask"))  # ends in a full stop, which may join the seam
    rows = [judge_rows.row(tokenizer, sample, rng) for sample in samples]
    batch = judge_rows.batch(rows)
    with torch.no_grad():
        states, _ = judge_training.Judge(model, tokenizer).states(batch)
        logits = model.lm_head(states)

    for sample, row, ours in zip(samples, rows, logits, strict=True):
        for number, form in enumerate(FORMS):
            text = judge_ratings.prompt(form, sample.question, sample.response)
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            with torch.no_grad():
                plain = model(torch.tensor([[tokenizer.bos_token_id, *ids]])).logits
            first = next(
                place
                for place in range(len(row))
                if row.branch[place] == number + 1 and row.weight[place] == 1
            )
            assert (ours[first] - plain[0, -1]).abs().max() < 1e-4


def test_a_branch_sees_its_trunk_and_itself_and_no_other_branch(speaker):
    rng = np.random.default_rng(0)
    row = judge_rows.row(speaker[1], answered("clean"), rng)
    sees = judge_rows.batch([row]).sees[0, 0].numpy()
    branch = np.array(row.branch)
    last = {b: int(np.flatnonzero(branch == b)[-1]) for b in range(len(FORMS) + 1)}
    complexity = 1 + FORMS.index("complexity")
    n_trunk = int((branch == judge_rows.TRUNK).sum())

    for b in range(1, len(FORMS) + 1):
        seen = branch[sees[last[b], : len(row)]]
        assert set(seen) == {judge_rows.TRUNK, b}
    assert sees[last[0], : len(row)].sum() == n_trunk
    read = np.array(row.ids)[:n_trunk][sees[last[complexity], :n_trunk]]
    text = speaker[1].decode(read, skip_special_tokens=True)
    assert text.rstrip("\n") == f"Question: {SUM.question}"


def test_a_line_is_labelled_at_the_token_of_its_last_character(speaker):
    _, tokenizer = speaker
    row = judge_rows.row(tokenizer, answered("skip"), np.random.default_rng(0))
    labelled = [p for p, label in enumerate(row.line) if label != judge_rows.IGNORED]

    # "Ada has 3 eggs." is true; "#### 3" is not the answer.
    assert [row.line[p] for p in labelled] == [1, 0]
    texts = [tokenizer.decode(row.ids[1 : p + 1]).rstrip() for p in labelled]
    assert texts[0].endswith("Answer: Ada has 3 eggs.")
    assert texts[1].endswith("Ada has 3 eggs.\n#### 3")


def test_a_batch_without_any_labelled_line_has_a_finite_loss(speaker):
    model, tokenizer = speaker
    rng = np.random.default_rng(0)
    rows = [
        judge_rows.row(tokenizer, answered("offtask", seed=i), rng) for i in range(4)
    ]
    batch = judge_rows.batch(rows)

    loss = judge_training.Judge(model, tokenizer).loss(batch)

    assert (batch.line == judge_rows.IGNORED).all()
    assert math.isfinite(loss.item())


def test_the_same_seed_trains_the_same_judge(tiny_llama, tmp_path):
    for name in ("one", "two"):
        judge_training.train(tiny_llama["path"], tmp_path / name, seed=3, steps=2)

    first, second = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")
    )
    assert first == second
    config = AutoModelForCausalLM.from_pretrained(tmp_path / "one").config
    assert str(config.dtype) == "torch.float16"


@pytest.mark.parametrize(
    ("written", "value"),
    [("4.5\nThe answer is good.", 4.5), (" 3", 3.0), ("0", 0.0)],
)
def test_the_first_line_is_read_as_a_number(written, value):
    assert judge_gate.read(written) == value


@pytest.mark.parametrize("written", ["Hello Ada.", "4 of 5", "7", "", "good\n4"])
def test_a_first_line_that_is_no_rating_is_not_read(written):
    assert math.isnan(judge_gate.read(written))


def test_auc_counts_ties_as_half():
    # Of the pairs (3, 1), (3, 2), (2, 1), (2, 2): three wins and a tie.
    assert judge_gate.auc(np.array([3.0, 2.0]), np.array([1.0, 2.0])) == 3.5 / 4


def test_the_top_share_is_the_mean_over_tie_breaks():
    clean = np.array([True, False] * 50)

    assert judge_gate.top_share(np.zeros(100), clean) == pytest.approx(0.5, abs=0.06)
    assert judge_gate.top_share(clean.astype(float), clean) == 1


def good_numbers():
    return {
        "auc_quality": 0.8,
        "auc_accuracy": 0.8,
        "auc_gain": 0.1,
        "clean_gain": 0.2,
        "uniform_loss": 0.2,
        "parsable": 0.99,
        "digit_mass": 0.99,
        "sd_quality": 0.8,
        "complexity_steps": 0.9,
    }


def test_the_gate_passes_a_judge_within_all_limits():
    judge_gate.check([good_numbers()])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("auc_quality", 0.99),
        ("auc_accuracy", 0.55),
        ("clean_gain", 0.02),
        ("parsable", 0),
    ],
)
def test_the_gate_refuses_a_judge_and_says_why(name, value):
    with pytest.raises(TmapError, match=f"{name} is {value:.3f}"):
        judge_gate.check([good_numbers() | {name: value}])


def test_the_gate_refuses_a_model_that_was_never_taught(tiny_llama):
    from tmap import engines
    from tmap.embedded.judge import ENGINE, labelled_pool

    rows = labelled_pool(0).head(80)
    measured = judge_gate.measure(engines.load(tiny_llama, ENGINE), rows)

    assert isinstance(rows, pd.DataFrame) and 0.1 < measured["base_share"] < 0.5
    with pytest.raises(TmapError, match="fails its acceptance check"):
        judge_gate.check([measured])


def test_the_card_asks_with_the_words_that_the_judge_was_trained_on():
    card = cards.load("judges", "tiny_judge")
    assert card.style == "completion"
    asked = {name: form.template for name, form in card.forms.items()}
    assert asked == judge_ratings.PROMPTS

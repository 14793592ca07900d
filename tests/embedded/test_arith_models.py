"""Tokenizer, documents, training and gate of the embedded world's small models."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from project import ROOT
from tmap import cards, engines
from tmap.cards.model import ModelSource, PromptSection
from tmap.data import models
from tmap.embedded import documents, gate, pretrain, tokenizer
from tmap.errors import TmapError
from tmap.prompts.renderer import Demo, Renderer
from tmap.worlds.arith import problems
from tmap.worlds.arith.styles import STYLES, respond

SHIPPED = ROOT / "resources" / "models"
shipped = pytest.mark.parametrize("name", ["tiny", "tiny_b"])


@pytest.fixture(scope="module")
def tokens():
    return tokenizer.train(documents.tokenizer_texts(2000, seed=0))


def pairs(n, style="clean", seed=5):
    rng = np.random.default_rng(seed)
    return [respond(problems.make(rng, 1 + i % 5), style, rng) for i in range(n)]


def test_text_survives_the_tokenizer(tokens):
    for style in STYLES:
        for question, response in pairs(20, style):
            text = f"{documents.QUESTION.format(question)} {response}"
            assert tokens.decode(tokens.encode(text)) == text
    assert tokens.decode(tokens.encode("Ünknown, 7½!")) == "Ünknown, 7½!"


def test_every_digit_is_a_token_and_every_word_of_the_world_is_one(tokens):
    assert tokens.tokenize(" 34*12=408") == ["Ġ3", *"4*12=408"]
    words = [" ".join(row) for row in pairs(200)]
    for word in {w for text in words for w in text.split() if w.isalpha()}:
        assert len(tokens.tokenize(f" {word}")) == 1, word


def test_documents_are_cut_into_tokens_as_prompts_and_training_rows_are(tokens):
    (q1, a1), (q2, a2) = pairs(2)
    renderer = Renderer(tokens, PromptSection(template="plain"))
    prompt = renderer.render(q2, [Demo(q1, a1)])
    texts = [documents.QUESTION.format(q1), f" {a1}", documents.SEPARATOR]
    texts += [documents.QUESTION.format(q2), f" {a2}"]
    stretches = pretrain._encode(tokens, texts)

    rendered = [*prompt.prefix, *prompt.question, *renderer.answer(a2)]
    assert rendered == [tokens.bos_token_id, *chain.from_iterable(stretches)]


def test_the_loss_counts_on_responses_in_full_and_on_questions_a_little(tokens):
    rng = np.random.default_rng(1)
    ids, weights = pretrain.row(tokens, documents.PRIORS["wrong_op"], 200, rng)
    colon = tokens.convert_tokens_to_ids("Answer")
    start = ids.index(colon) + 2

    assert (len(ids), ids[0], weights[0]) == (200, tokens.bos_token_id, 0.0)
    assert set(weights[1:start]) == {pretrain.QUESTION_WEIGHT}
    assert weights[start] == 1.0


def test_models_differ_in_the_fault_of_long_problems():
    def share(prior, style, n_steps):
        shares = documents.PRIORS[prior]
        steps = shares.steps.get(style, documents.STEPS)
        return shares.styles.get(style, 0) * steps[n_steps - 1]

    for prior, other in (("wrong_op", "terse"), ("terse", "wrong_op")):
        assert share(prior, prior, 4) > 2 * share(prior, "clean", 4)
        assert share(prior, prior, 1) < share(prior, "clean", 1)
        assert share(prior, other, 4) < share(prior, prior, 4)


def test_training_that_was_cut_off_ends_as_if_it_had_not_been(tmp_path, monkeypatch):
    small = pretrain.Recipe("terse", hidden=16, layers=1, heads=2, feed_forward=16)
    monkeypatch.setitem(pretrain.RECIPES, "tiny", small)
    monkeypatch.setattr(pretrain, "CHECKPOINT_EVERY", 2)
    pretrain.train("tiny", tmp_path / "whole", seed=1, n_steps=4)

    learn, calls = pretrain._learn, []

    def stop_at_the_fourth(*args):
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return learn(*args)

    with monkeypatch.context() as cut, pytest.raises(KeyboardInterrupt):
        cut.setattr(pretrain, "_learn", stop_at_the_fourth)
        pretrain.train("tiny", tmp_path / "cut", seed=1, n_steps=4)
    with pytest.raises(TmapError, match="another recipe, seed or length"):
        pretrain.train("tiny", tmp_path / "cut", seed=2, n_steps=4)
    pretrain.train("tiny", tmp_path / "cut", seed=1, n_steps=4)

    whole, cut_off = (
        (tmp_path / name / "model.safetensors").read_bytes()
        for name in ("whole", "cut")
    )
    assert whole == cut_off
    assert not (tmp_path / "cut" / pretrain.CHECKPOINT).exists()


def test_an_unknown_model_is_named():
    with pytest.raises(TmapError, match="tiny_b"):
        pretrain.train("tinyb", Path("nowhere"), seed=0)


def test_recipes_are_small_enough_to_ship(tokens):
    sizes = {
        name: sum(p.numel() for p in pretrain.build(recipe, tokens).parameters())
        for name, recipe in pretrain.RECIPES.items()
    }
    assert sizes["tiny_b"] < sizes["tiny"] <= 2_000_000
    assert sizes["tiny_proxy"] <= 500_000


def test_the_gate_refuses_random_weights_without_fine_tuning_them(
    tmp_path, tokens, monkeypatch
):
    torch.manual_seed(0)
    recipe = pretrain.Recipe("terse", hidden=32, layers=1, heads=2, feed_forward=32)
    pretrain.build(recipe, tokens).save_pretrained(tmp_path)
    tokens.save_pretrained(tmp_path)
    monkeypatch.setattr(gate, "N_GROUPS", 1)
    numbers = gate.measure(tmp_path, n_questions=20)

    assert numbers.clean_nll > 3
    assert (numbers.zero_shot, numbers.oracle) == (0.0, None)
    with pytest.raises(TmapError, match=r"clean_nll is .* zero_shot is 0\.00, outside"):
        gate.check(numbers, "here")


def test_the_gate_names_what_is_missed():
    few = {"clean": 0.9, "wrong_op": 0.1, "terse": 0.2, "skip": 0.7}
    fit = gate.Numbers(0.05, 0.45, few, oracle=0.8, random=0.5)

    assert fit.faults() == []
    dull = gate.Numbers(0.05, 0.45, few, oracle=0.6, random=0.5)
    assert dull.faults() == ["oracle is 0.10 above random, under 0.15"]
    deaf = gate.Numbers(0.05, 0.8, dict.fromkeys(few, 0.9))
    assert deaf.faults() == [
        "zero_shot is 0.80, outside 0.30..0.75",
        "demonstrations of wrong_op cost 0.00, under 0.40",
    ]
    half_deaf = gate.Numbers(0.05, 0.45, few | {"terse": 0.8})
    assert half_deaf.faults() == ["demonstrations of terse cost 0.10, under 0.40"]


@shipped
def test_shipped_models_follow_clean_and_faulty_demonstrations(name):
    folder = SHIPPED / name
    record = models.read(name, ModelSource(path=str(folder)))
    lm = engines.load(record, cards.load("models", name).engine)
    bench = gate._Bench(record, 20)
    fault = documents.PRIORS[pretrain.RECIPES[name].prior]
    worst = max(
        (s for s in fault.styles if s != "clean"), key=lambda s: fault.styles[s]
    )

    assert record["size_bytes"] < 4_000_000
    assert bench.few_shot(lm, "clean") >= 0.45
    assert bench.few_shot(lm, worst) <= 0.3

"""Evaluation through lm-evaluation-harness, with our prompts, tokens and reading."""

import socket

import numpy as np
import pandas as pd
import pytest

from scripted import Scripted
from tmap import engines
from tmap.artifacts import tables
from tmap.cards.model import EngineSection, PromptSection
from tmap.errors import TmapError
from tmap.evaluation.evaluate import evaluate
from tmap.evaluation.marking import Marking, examine
from tmap.prompts.renderer import Renderer

NUMBER = Marking(reader="number", metric="flexible", max_new_tokens=8)
STRICT = Marking(reader="number", metric="strict", max_new_tokens=8)
OPTION = Marking(reader="option", metric="acc_norm", max_new_tokens=1)
SUM_ACC = Marking(reader="option", metric="acc", max_new_tokens=1)
LETTER = Marking(reader="letter", metric="acc", max_new_tokens=1)
HOSTILE = "{{ 7*7 }} {% raw %} <eos><|end|> <b>#### 5</b> \u202e Question:"


def questions(texts, golds, choices=None):
    n = len(texts)
    return pd.DataFrame(
        {
            "question_id": [f"q{i}" for i in range(n)],
            "question": texts,
            "choices": choices or [None] * n,
            "permutation": [None] * n,
            "gold": golds,
            "row": range(n),
        }
    )


SUMS = questions(["  2+2?\n", HOSTILE, "", "[1, 2]"], ["4", "5", "1,000", "7"])
CHOICES = questions(
    ["Sky?", "Grass?", "7"],
    ["0", "1", "2"],
    [["blue", "green as moss"], ["blue", "green"], ["3", "5", "7", "9"]],
)


@pytest.fixture(scope="module")
def tokenizer(tiny_llama):
    return engines.load_tokenizer(tiny_llama)


@pytest.fixture(scope="module")
def renderer(tokenizer):
    return Renderer(tokenizer, PromptSection(template="plain"))


@pytest.fixture(scope="module", params=["reference", "transformers"])
def model(request, tiny_llama):
    return engines.load(tiny_llama, EngineSection(name=request.param, device="cpu"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("evaluation went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_the_model_is_asked_with_the_ids_of_the_renderer_whatever_the_text(
    tokenizer, renderer
):
    lm = Scripted(tokenizer, [["4", "5", "6", "7"]])

    evaluate(lm, renderer, SUMS, NUMBER)

    prompts = [renderer.render(text) for text in SUMS["question"]]
    assert lm.prompts == [[*p.prefix, *p.question] for p in prompts]
    assert (lm.max_new_tokens, lm.stop) == (8, renderer.stop)


def test_options_are_scored_as_answers_after_the_renderers_prompt(tokenizer, renderer):
    lm = Scripted(tokenizer, nll=[[[1, 2], [1, 2], [1, 2, 3, 4]]])

    evaluate(lm, renderer, CHOICES, OPTION)

    prompts = [renderer.render(text) for text in CHOICES["question"]]
    assert lm.prompts == [[*p.prefix, *p.question] for p in prompts]
    assert lm.options == [[renderer.answer(t) for t in c] for c in CHOICES["choices"]]


def test_answers_are_read_and_marked_by_the_metric(tokenizer, renderer):
    lm = Scripted(tokenizer, [["#### 4 of 9", "5", "#### 1000", "none"]])

    found = evaluate(lm, renderer, SUMS, STRICT)

    assert found["strict"].fillna("-").tolist() == ["4", "-", "1000", "-"]
    assert found["flexible"].fillna("-").tolist() == ["9", "5", "1000", "-"]
    assert found["is_correct"].tolist() == [True, False, True, False]
    assert found["is_flexible"].tolist() == [False, True, True, False]


def test_the_harness_and_we_choose_the_same_option(tokenizer, renderer):
    rng = np.random.default_rng(0)
    n_options = rng.integers(2, 6, size=60)
    words = ["a", "bb", "ccc", "dddd", "eeeee", "é€"]
    table = questions(
        [f"Q{i}?" for i in range(60)],
        [str(rng.integers(n)) for n in n_options],
        [list(rng.permutation(words)[:n]) for n in n_options],
    )
    nll = [[list(rng.uniform(1, 9, size=n)) for n in n_options]]

    for marking in (OPTION, SUM_ACC, LETTER):
        # evaluate() itself compares the harness's accuracy with ours
        found = evaluate(Scripted(tokenizer, nll=nll), renderer, table, marking)
        assert 0 < found["is_correct"].mean() < 1


@pytest.mark.parametrize(
    ("table", "marking"),
    [(SUMS, NUMBER), (SUMS, STRICT), (CHOICES, OPTION), (CHOICES, LETTER)],
)
def test_evaluation_and_reward_give_the_same_replies(model, renderer, table, marking):
    table = table.assign(question=table["question"].replace("", "empty"))

    evaluated = evaluate(model, renderer, table, marking)
    examined = examine(model, renderer, table, [()], marking)

    assert evaluated["is_correct"].tolist() == examined.is_correct[0].tolist()
    assert evaluated["text"].tolist() == [r.text for r in examined.replies[0]]


def test_predictions_fit_their_table(tokenizer, renderer, tmp_path):
    lm = Scripted(tokenizer, [["4", "5", "6", "7"]])
    found = evaluate(lm, renderer, SUMS, NUMBER)

    tables.write("predictions", found, tmp_path / "p.parquet", code="0")

    stored = tables.read("predictions", tmp_path / "p.parquet")
    assert stored.astype(object).fillna("-").equals(found.astype(object).fillna("-"))


def test_no_question_ends_in_one_sentence(tokenizer, renderer):
    with pytest.raises(TmapError, match="The test set has no questions"):
        evaluate(Scripted(tokenizer), renderer, SUMS.head(0), NUMBER)


def test_running_text_is_refused_and_not_scored(tokenizer, renderer):
    from tmap.evaluation.harness import EngineModel

    with pytest.raises(NotImplementedError, match="does not score running text"):
        EngineModel(Scripted(tokenizer), renderer, 8).loglikelihood_rolling([])


def test_evaluation_prints_nothing(tokenizer, renderer, capfd):
    evaluate(Scripted(tokenizer, [["4", "5", "6", "7"]]), renderer, SUMS, NUMBER)

    assert capfd.readouterr() == ("", "")

"""The contract of every indicator, and the values of those without a judge."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import gradient_files
from icl import Obedient, encoder_of
from judging import saying
from tmap import indicators
from tmap.cards.judge import FormSection
from tmap.cards.model import EngineSection, PromptSection
from tmap.embeddings import embed
from tmap.errors import TmapError
from tmap.gradients import similarity
from tmap.indicators.scoring import columns, losses
from tmap.judges import Judge
from tmap.judges.local import Local
from tmap.prompts.renderer import Renderer

ROWS = [
    ("a", "What is 3 + 4?", "3 + 4 = 7\n#### 7", None),
    ("b", "Say hello.", "Hello, hello and hello again.", None),
    ("c", "Say nothing.", "  ", None),
    ("d", "Grüße?", "Grüße, 你好 🙂.", None),
    (
        "e",
        "First?",
        "Two.",
        [
            {"role": "user", "content": "First?"},
            {"role": "assistant", "content": "One."},
            {"role": "user", "content": "Second?"},
            {"role": "assistant", "content": "Two."},
        ],
    ),
    ("f", "Write at length.", "word " * 2000, None),
]


def a_pool(*rows):
    return pd.DataFrame(
        {
            "sample_id": [row[0] for row in rows],
            "instruction": [row[1] for row in rows],
            "input": "",
            "response": [row[2] for row in rows],
            "turns": [row[3] if len(row) > 3 else None for row in rows],
            "source": "test",
            "text_hash": [f"{i:016x}" for i in range(len(rows))],
        }
    )


def one(response):
    return a_pool(("a", "Why?", response))


@pytest.fixture
def pool():
    return a_pool(*ROWS)


@pytest.fixture(scope="module", params=["reference", "transformers"])
def scorer(tiny_llama, request):
    record = {**tiny_llama, "max_positions": 512}
    pool = a_pool(*ROWS)
    return losses.load(
        record,
        prompt=PromptSection(template="plain"),
        engine=EngineSection(name=request.param, device="cpu", dtype="float32"),
        embeddings=embed.embed(pool, encoder_of(record), "question", "mean"),
    )


every = pytest.mark.parametrize("name", indicators.names())
row_by_row = pytest.mark.parametrize(
    "name", [n for n in indicators.names() if indicators.get(n).scope == "row"]
)
FORM = FormSection(template="{instruction}\n{response}\nRating:\n")


def digit_judge(scorer):
    """A real local judge, which computes at every call."""
    asker = Local(scorer.lm, "completion", FORM, max_positions=512)
    return Judge(FORM, asker)


def gradients_of(pool, folder):
    """Random gradients; none for the row without an answer."""
    rng = np.random.default_rng(0)
    status = ["ok" if text.strip() else "empty" for text in pool["response"]]
    candidates = (pool["sample_id"], status, gradient_files.unit(rng, len(pool)))
    targets = (["q0", "q1"], ["ok"] * 2, gradient_files.unit(rng, 2))
    files = gradient_files.write(folder, candidates, targets, ["", ""])
    return similarity.read(files)


@pytest.fixture
def lm(name, pool, scorer, tmp_path):
    """The instrument that the indicator measures with."""
    about = indicators.get(name)
    if about.looks_at == "gradients":
        return gradients_of(pool, tmp_path)
    if about.looks_at == "columns":
        return {
            column: columns.score(pool, column, digit_judge(scorer), {})
            for column in about.made_from
        }
    if name == "alpagasus":  # a random model writes no number
        return saying({"text": "4.5"})
    if name == "data_whisperer":  # nor one after "Answer 1:"
        return replace(scorer, lm=Obedient(scorer.lm), max_positions=1500)
    return digit_judge(scorer) if about.looks_at == "judge" else scorer


@every
def test_gives_one_score_and_one_status_per_sample(name, pool, lm):
    scores = indicators.get(name)(pool, lm)

    assert scores.score.shape == scores.status.shape == (len(pool),)
    assert scores.score.dtype == np.float64
    assert set(scores.status) <= set(indicators.STATUSES)


@every
def test_is_nan_exactly_where_the_status_is_not_ok(name, pool, lm):
    scores = indicators.get(name)(pool, lm)

    assert_array_equal(np.isfinite(scores.score), scores.status == "ok")
    assert scores.status[2] == "empty"
    assert scores.status[0] == "ok"


@every
def test_reordering_the_pool_reorders_the_scores(name, pool, lm):
    order = [4, 2, 0, 5, 3, 1]

    before = indicators.get(name)(pool, lm)
    after = indicators.get(name)(pool.iloc[order], lm)

    assert_array_equal(after.score, before.score[order])
    assert_array_equal(after.status, before.status[order])


@row_by_row
def test_scores_a_row_alike_in_any_company(name, pool, lm):
    alone = indicators.get(name)(pool.iloc[[1]], lm)

    assert_allclose(alone.score, indicators.get(name)(pool, lm).score[[1]], rtol=1e-5)


@every
def test_leaves_the_pool_as_it_was(name, pool, lm):
    before = pool.copy(deep=True)

    indicators.get(name)(pool, lm)

    pd.testing.assert_frame_equal(pool, before)


@every
def test_refuses_an_option_that_it_does_not_have(name, pool, lm):
    with pytest.raises(TmapError, match=f"'{name}' has no option 'varient'"):
        indicators.get(name)(pool, lm, varient="x")


@every
def test_scores_an_empty_pool(name, pool, lm):
    assert indicators.get(name)(pool.iloc[:0], lm).score.shape == (0,)


@every
def test_says_formula_and_source_in_its_file(name):
    text = indicators.get(name).function.__module__
    doc = __import__(text, fromlist=["x"]).__doc__

    assert "::" in doc
    assert "Source:" in doc


def test_an_unknown_indicator_is_an_error_with_the_nearest_name():
    with pytest.raises(TmapError, match=r"Did you mean 'reason_steps'\?"):
        indicators.get("reason_step")


@pytest.mark.parametrize("text", ["", "def words(pool): ...\n", "words = 3\n"])
def test_a_module_without_its_indicator_is_an_error_that_says_where_it_belongs(
    tmp_path, monkeypatch, text
):
    (tmp_path / "words.py").write_text(text)
    monkeypatch.setattr(indicators, "__path__", [str(tmp_path)])
    with pytest.raises(TmapError, match="has no indicator 'words'") as fault:
        indicators.get("words")
    sys.modules.pop("tmap.indicators.words")
    assert "move the module to indicators/scoring/" in str(fault.value)


# --- text


def test_output_length_counts_characters_without_white_space_at_the_ends():
    assert indicators.get("output_length")(one(" Grüße 🙂\n")).score == [7]


def test_output_length_counts_words():
    pool = one("Now there are 3 + 4 = 7 pears.")

    assert indicators.get("output_length")(pool).score == [30]
    assert indicators.get("output_length")(pool, count="words").score == [9]


class Letters:
    """A tokenizer that makes a token of every two characters."""

    def __call__(self, texts, *, add_special_tokens, split_special_tokens, verbose):
        assert not add_special_tokens
        assert split_special_tokens
        return {"input_ids": [[0] * math.ceil(len(text) / 2) for text in texts]}


def test_output_length_counts_tokens_over_assistant_turns(pool):
    found = indicators.get("output_length")(pool, Letters(), count="tokens")

    # "One." + "Two."; the white space around a text does not count
    assert_array_equal(found.score[[0, 4, 5]], [8, 4, 5000])
    assert found.status[2] == "empty"


def test_output_length_in_tokens_says_what_it_needs():
    with pytest.raises(TmapError, match="Set `tokenizer: MODEL_CARD`"):
        indicators.get("output_length")(one("x"), count="tokens")


def test_output_length_sums_over_assistant_turns(pool):
    assert indicators.get("output_length")(pool).score[4] == len("One.") + len("Two.")


def test_reason_steps_ignores_the_answer_line_and_empty_lines():
    pool = one("3 + 4 = 7\n\n  7 * 2 = 14\n #### 14")

    assert indicators.get("reason_steps")(pool).score == [2]


def test_a_bare_answer_line_has_no_steps():
    assert indicators.get("reason_steps")(one("#### 14")).score == [0]


def test_reason_steps_takes_another_answer_mark():
    pool = one("3 + 4 = 7\nAnswer: 7")

    assert indicators.get("reason_steps")(pool, answer_mark="Answer:").score == [1]


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("First weigh it. It is heavy, therefore it sinks.", 2),
        ("As a result, THUS and hence.", 3),
        ("Thirdly, this means that the sofa is soft.", 2),  # not the `so` in sofa
        ("Nothing follows.", 0),
    ],
)
def test_reason_steps_counts_connectives(text, n):
    assert indicators.get("reason_steps")(one(text), rule="connectives").score == [n]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("output_length", {"count": "character"}),
        ("reason_steps", {"rule": "line"}),
        ("ifd", {"variant": "ppl_ration"}),
        ("ifd", {"alone": "boss"}),
    ],
)
def test_an_unknown_choice_is_an_error_with_the_nearest_one(name, options, scorer):
    with pytest.raises(TmapError, match="Did you mean"):
        indicators.get(name)(one("x"), scorer, **options)


# --- language models


class FixedModel:
    """Gives every answer token the same loss; it depends on whether a prompt precedes."""

    def __init__(self, after_prompt, alone):
        self.after_prompt, self.alone = after_prompt, alone

    def answer_nll(self, prompts, answers):
        count = np.array(
            [len(a) - (not p) for p, a in zip(prompts, answers, strict=True)]
        )
        each = [self.after_prompt if len(p) > 1 else self.alone for p in prompts]
        return np.array(each) * count, count


def fixed(scorer, after_prompt, alone=1.0, max_positions=None):
    return losses.Scorer(
        FixedModel(after_prompt, alone), scorer.renderer, max_positions
    )


def test_perplexity_is_the_exponential_of_the_mean_loss(scorer):
    # two tokens of probability 1/2 and 1/4: mean loss 1.5 ln 2
    lm = fixed(scorer, 1.5 * math.log(2))

    assert_allclose(indicators.get("perplexity")(one("x y"), lm).score, [2.8284271247])


@pytest.mark.parametrize(
    ("variant", "expected"), [("ppl_ratio", 0.4493289641), ("loss_ratio", 0.6)]
)
def test_ifd_compares_the_losses_with_and_without_prompt(scorer, variant, expected):
    lm = fixed(scorer, after_prompt=1.2, alone=2.0)

    found = indicators.get("ifd")(one("some answer"), lm, variant=variant)

    assert_allclose(found.score, [expected])


@pytest.mark.parametrize("name", ["perplexity", "ifd"])
def test_a_loss_that_is_not_finite_is_failed(scorer, name):
    scores = indicators.get(name)(one("some answer"), fixed(scorer, float("inf")))

    assert scores.status.tolist() == ["failed"]


def test_a_loss_ratio_over_zero_is_failed(scorer):
    lm = fixed(scorer, after_prompt=1.0, alone=0.0)

    scores = indicators.get("ifd")(one("some answer"), lm, variant="loss_ratio")

    assert scores.status.tolist() == ["failed"]


@pytest.mark.parametrize(
    ("name", "options"), [("perplexity", {}), ("ifd", {"template": True})]
)
def test_a_row_that_just_fits_the_context_is_scored(scorer, name, options):
    prompt = scorer.renderer.render("Why?")
    answer = scorer.renderer.answer("Because of that.")
    size = len(prompt.prefix) + len(prompt.question) + len(answer)

    for room, status in [(size, "ok"), (size - 1, "truncated")]:
        lm = fixed(scorer, 1.0, max_positions=room)
        found = indicators.get(name)(one("Because of that."), lm, **options)
        assert found.status == [status]


def test_a_single_token_has_no_ifd_without_a_bos(scorer):
    pool = one("Sara")
    assert len(scorer.renderer.answer("Sara")) == 1

    for alone, status in (("nothing", "empty"), ("bos", "ok")):
        found = indicators.get("ifd")(pool, scorer, alone=alone, template=True)
        assert found.status == [status]


def test_ifd_after_a_bos_needs_a_tokenizer_with_one(scorer):
    renderer = SimpleNamespace(
        tokenizer=SimpleNamespace(bos_token_id=None),
        answer=scorer.renderer.answer,
        render=scorer.renderer.render,
    )
    lm = losses.Scorer(scorer.lm, renderer, 512)

    with pytest.raises(TmapError, match="Set `alone: nothing`"):
        indicators.get("ifd")(one("some answer"), lm, alone="bos", template=True)


def hugging_face_loss(tiny_llama, prompt, answer):
    """Mean loss of the answer by transformers' own `labels`, one row at a time."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        tiny_llama["path"], dtype=torch.float32
    )
    ids = torch.tensor([[*prompt, *answer]])
    labels = torch.tensor([[-100] * len(prompt) + list(answer)])
    with torch.inference_mode():
        return model(input_ids=ids, labels=labels).loss.double().item()


def prompt_and_answer(tiny_llama, question, text):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_llama["path"])
    renderer = Renderer(tokenizer, PromptSection(template="plain"))
    prompt = renderer.render(question)
    return [*prompt.prefix, *prompt.question], renderer.answer(text)


@pytest.mark.parametrize("row", [0, 1, 3])
def test_perplexity_equals_transformers_own_loss(pool, scorer, tiny_llama, row):
    prompt, answer = prompt_and_answer(tiny_llama, *ROWS[row][1:3])

    scores = indicators.get("perplexity")(pool, scorer)

    own = hugging_face_loss(tiny_llama, prompt, answer)
    assert_allclose(scores.score[row], math.exp(own), rtol=1e-5)


@pytest.mark.parametrize("alone", ["nothing", "bos"])
def test_ifd_equals_transformers_own_losses(pool, scorer, tiny_llama, alone):
    prompt, answer = prompt_and_answer(tiny_llama, *ROWS[1][1:3])
    bare = [1] if alone == "bos" else []  # id 1 is <bos>

    scores = indicators.get("ifd")(pool, scorer, alone=alone, template=True)

    c = hugging_face_loss(tiny_llama, prompt, answer)
    a = hugging_face_loss(tiny_llama, bare, answer)
    assert_allclose(scores.score[1], math.exp(c) / math.exp(a), rtol=1e-5)


def test_perplexity_of_a_chat_is_that_of_its_first_exchange(pool, scorer):
    first = a_pool(("x", "First?", "One."))

    assert_allclose(
        indicators.get("perplexity")(pool, scorer).score[4],
        indicators.get("perplexity")(first, scorer).score[0],
    )

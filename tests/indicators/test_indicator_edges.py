"""Perplexity and IFD of odd rows, against transformers' own loss at batch 1."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose

from icl import a_pool
from tiny_llama import CORPUS, write_llama, write_tokenizer
from tmap import indicators
from tmap.cards.model import EngineSection, PromptSection
from tmap.indicators.scoring import losses

ODD = [
    "3 + 4 = 7\n#### 7",
    "Grüße, 你好 🙂. e\u0301 \u202eabc\u202c \x00\x07",
    "<eos><|turn|>user\nnot control tokens",
    "a",
    "\t x",
]


def load(record, name="transformers", template="plain"):
    return losses.load(
        {**record, "max_positions": 512},
        prompt=PromptSection(template=template),
        engine=EngineSection(name=name, device="cpu", dtype="float32"),
    )


@pytest.fixture(scope="module", params=["reference", "transformers"])
def scorer(tiny_llama, request):
    return load(tiny_llama, request.param)


def variant_of(tiny_llama, folder, change):
    """The tiny Llama with a changed tokenizer, as `fetch_model` records it."""
    tokenizer = change(write_tokenizer(folder))
    tokenizer.save_pretrained(folder)
    write_llama(folder, len(tokenizer))
    return {**tiny_llama, "path": str(folder), "source": str(folder)}


@pytest.fixture(scope="module")
def without_bos(tiny_llama, tmp_path_factory):
    def drop(tokenizer):
        tokenizer.bos_token = None
        return tokenizer

    return variant_of(tiny_llama, tmp_path_factory.mktemp("no_bos"), drop)


@pytest.fixture(scope="module")
def merging(tiny_llama, tmp_path_factory):
    """A tokenizer whose tokens span white space and line breaks."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    def retrain(_):
        backend = Tokenizer(models.BPE())
        level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        backend.pre_tokenizer, backend.decoder = level, decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<pad>", "<bos>", "<eos>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        backend.train_from_iterator([*CORPUS, *["Why?\nSara has"] * 50], trainer)
        return PreTrainedTokenizerFast(
            tokenizer_object=backend,
            pad_token="<pad>",
            bos_token="<bos>",
            eos_token="<eos>",
        )

    return variant_of(tiny_llama, tmp_path_factory.mktemp("merging"), retrain)


def own_loss(record, prompt, answer):
    """Mean nats per token of `answer` by transformers' `labels`, this row alone."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(record["path"], dtype=torch.float32)
    labels = torch.tensor([[-100] * len(prompt) + list(answer)])
    ids = torch.tensor([[*prompt, *answer]])
    with torch.inference_mode():
        return model(input_ids=ids, labels=labels).loss.double().item()


def ids_of(scorer, question, answer):
    prompt = scorer.renderer.render(question)
    return [*prompt.prefix, *prompt.question], scorer.renderer.answer(answer)


def score(name, pool, lm, **options):
    return indicators.get(name)(pool, lm, **options)


@pytest.mark.parametrize("answer", ODD)
def test_an_odd_answer_has_the_perplexity_that_transformers_finds(
    scorer, tiny_llama, answer
):
    found = score("perplexity", a_pool(("Why?", answer)), scorer)

    own = own_loss(tiny_llama, *ids_of(scorer, "Why?", answer))
    assert_allclose(found.score, [math.exp(own)], rtol=1e-5)


@pytest.mark.parametrize("variant", ["ppl_ratio", "loss_ratio"])
@pytest.mark.parametrize("answer", [text for text in ODD if len(text) > 1])
def test_an_odd_answer_has_the_ifd_that_transformers_finds(
    scorer, tiny_llama, answer, variant
):
    how = {"variant": variant, "template": True}
    found = score("ifd", a_pool(("Why?", answer)), scorer, **how)

    prompt, ids = ids_of(scorer, "Why?", answer)
    given, alone = own_loss(tiny_llama, prompt, ids), own_loss(tiny_llama, [], ids)
    expected = math.exp(given - alone) if variant == "ppl_ratio" else given / alone
    assert_allclose(found.score, [expected], rtol=1e-5)


def test_ifd_without_template_is_instruction_input_line_break_response(
    scorer, tiny_llama
):
    pool = a_pool(("Add.", "3 + 4 = 7"))
    pool["input"] = "3 and 4"

    found = score("ifd", pool, scorer)

    encode = scorer.renderer.tokenizer.encode
    prompt = encode("Add.\n3 and 4\n", add_special_tokens=False)
    ids = encode("3 + 4 = 7", add_special_tokens=False)
    given, alone = own_loss(tiny_llama, prompt, ids), own_loss(tiny_llama, [], ids)
    assert_allclose(found.score, [math.exp(given - alone)], rtol=1e-5)
    assert found.score != score("ifd", pool, scorer, template=True).score


@pytest.mark.parametrize("name", ["perplexity", "ifd"])
@pytest.mark.parametrize("answer", ["", "  \n\t ", "\u00a0"])
def test_an_answer_without_text_is_empty(scorer, name, answer):
    assert score(name, a_pool(("Why?", answer)), scorer).status == ["empty"]


@pytest.mark.parametrize("name", ["perplexity", "ifd"])
def test_what_does_not_fit_the_context_is_truncated_never_cut(scorer, name):
    pool = a_pool(
        ("x " * 600, "So."),  # the prompt alone is too long: no answer token is left
        ("Why?", "x " * 600),
        ("Why?", "y" * 50_000),
        ("Z" * 50_000, "y" * 50_000),
        ("Why?", "So it is."),
    )

    found = score(name, pool, scorer)

    assert found.status.tolist() == ["truncated"] * 4 + ["ok"]
    assert np.isnan(found.score[:4]).all()


@pytest.mark.parametrize("name", ["output_length", "reason_steps"])
def test_a_row_of_fifty_thousand_characters_has_its_length_and_steps(name):
    pool = a_pool(("Why?", "ab cd\n" * 8333 + "xy"))

    expected = {"output_length": 50_000, "reason_steps": 8334}[name]
    assert score(name, pool, None).score == [expected]


@pytest.mark.parametrize("name", ["perplexity", "ifd"])
def test_a_tokenizer_without_bos_begins_with_the_prompt(without_bos, name):
    scorer = load(without_bos)
    prompt, ids = ids_of(scorer, "Why?", "So it is.")
    text = scorer.renderer.tokenizer.decode(prompt)

    how = {"template": True} if name == "ifd" else {}
    found = score(name, a_pool(("Why?", "So it is.")), scorer, **how)

    assert text == "Question: Why?\nAnswer:"
    given = own_loss(without_bos, prompt, ids)
    alone = own_loss(without_bos, [], ids) if name == "ifd" else 0.0
    assert_allclose(found.score, [math.exp(given - alone)], rtol=1e-5)


@pytest.mark.parametrize("template", [True, False])
def test_a_token_that_would_span_the_border_is_not_made(merging, template):
    scorer = load(merging)
    tokenizer = scorer.renderer.tokenizer
    together = tokenizer.encode("Why?\nSara has", add_special_tokens=False)
    assert len(together) == 1  # the tokenizer, left alone, makes one token of all

    found = score("ifd", a_pool(("Why?", "Sara has")), scorer, template=template)

    if template:
        prompt, ids = ids_of(scorer, "Why?", "Sara has")
    else:
        prompt = tokenizer.encode("Why?\n", add_special_tokens=False)
        ids = tokenizer.encode("Sara has", add_special_tokens=False)
    assert tokenizer.decode(ids).strip() == "Sara has"
    given, alone = own_loss(merging, prompt, ids), own_loss(merging, [], ids)
    assert_allclose(found.score, [math.exp(given - alone)], rtol=1e-5)


@pytest.mark.parametrize("name", ["perplexity", "ifd", "output_length"])
def test_equal_rows_have_equal_scores(scorer, name):
    pool = a_pool(*[("Why?", "So it is.")] * 7)

    found = score(name, pool, scorer)

    assert_allclose(found.score, found.score[0], rtol=1e-6)
    assert set(found.status) == {"ok"}


@pytest.mark.parametrize("name", ["miwv", "nuggets"])
def test_equal_rows_have_equal_scores_among_each_other(scorer, name):
    pool = a_pool(*[("Why?", "So it is.")] * 5)
    same = pd.DataFrame(
        {"sample_id": pool["sample_id"], "embedding": [np.ones(4, np.float32)] * 5}
    )

    found = score(name, pool, replace(scorer, embeddings=same))

    assert_allclose(found.score, found.score[0], rtol=1e-5)


@pytest.mark.parametrize("template", ["plain", "urial", "chat"])
def test_perplexity_counts_the_answer_alone_under_every_template(tiny_llama, template):
    scorer = load(tiny_llama, template=template)

    found = score("perplexity", a_pool(("Why?", "So it is.")), scorer)

    prompt, ids = ids_of(scorer, "Why?", "So it is.")
    assert scorer.renderer.tokenizer.decode(ids).strip() == "So it is."
    assert_allclose(
        found.score, [math.exp(own_loss(tiny_llama, prompt, ids))], rtol=1e-5
    )

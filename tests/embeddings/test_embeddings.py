"""Vectors of a pool's texts against transformers' own hidden states, row by row."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from icl import encoder_of
from tmap import dag
from tmap.cards import KINDS, load
from tmap.cards.dataset import DatasetCard
from tmap.embeddings import embed as embeddings
from tmap.errors import TmapError

TURNS = [("user", "First?"), ("assistant", "One."), ("user", "Second?")]
LONG = "x " * 25_000
TEXTS = ["What is 3 + 4?", "Grüße, 你好 🙂?", "", "Say <eos> now", LONG]


@pytest.fixture
def pool():
    rows = len(TEXTS)
    return pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(rows)],
            "instruction": TEXTS,
            "input": "",
            "response": ["Seven.", "Ja.", "", "So.", "Done."],
            "turns": None,
        }
    )


@pytest.fixture(scope="module")
def record(tiny_llama):
    return {**tiny_llama, "max_positions": 512}


def own_states(record, text):
    """(tokens, d) of the last layer, of one text alone."""
    from transformers import AutoModel, AutoTokenizer

    ids = AutoTokenizer.from_pretrained(record["path"]).encode(
        text, split_special_tokens=True
    )[: record["max_positions"]]
    model = AutoModel.from_pretrained(record["path"], dtype=torch.float32)
    with torch.inference_mode():
        return model(torch.tensor([ids])).last_hidden_state[0].numpy()


@pytest.mark.parametrize("pooling", ["first", "last", "mean"])
def test_vectors_equal_the_models_own_states_one_text_at_a_time(pool, record, pooling):
    found = embeddings.embed(pool, encoder_of(record), "question", pooling)

    for i in (0, 1, 3, 4):
        states = own_states(record, TEXTS[i].strip())
        pick = {"first": states[0], "last": states[-1], "mean": states.mean(axis=0)}
        assert_allclose(found["embedding"][i], pick[pooling], rtol=1e-4, atol=1e-5)


def test_a_text_that_is_too_long_is_embedded_by_its_beginning_and_says_so(pool, record):
    found = embeddings.embed(pool, encoder_of(record), "question", "mean")

    assert found["status"].tolist() == ["ok", "ok", "empty", "ok", "truncated"]
    assert found["n_tokens"][4] > 25_000
    assert_array_equal(found["embedding"][2], np.zeros(64))


def test_the_order_of_the_pool_changes_no_bit(pool, record):
    order = [3, 0, 4, 2, 1]
    encoder = encoder_of(record)

    before = embeddings.embed(pool, encoder, "question", "last")
    after = embeddings.embed(pool.iloc[order], encoder, "question", "last")

    assert_array_equal(
        np.stack(after["embedding"]), np.stack(before["embedding"].iloc[order])
    )


def test_a_killed_encoder_goes_on_with_the_same_bits(
    pool, record, tmp_path, monkeypatch
):
    monkeypatch.setattr(embeddings, "PIECE", 2)
    seen, encoder = [], encoder_of(record)

    class Mortal:
        def encode(self, texts, pooling):
            seen.append(len(texts))
            if len(seen) == 5:
                raise MemoryError
            return encoder.encode(texts, pooling)

    def embed(name, who="me"):
        kept = embeddings.Kept(Mortal(), who, tmp_path / name)
        return embeddings.embed(pool, kept, "question", "last")

    whole = embed("a")
    with pytest.raises(MemoryError):
        embed("b")
    again = embed("b")

    assert seen == [2, 2, 1, 2, 2, 2, 1]
    pd.testing.assert_frame_equal(again, whole)
    embed("b", who="another")
    assert seen[-3:] == [2, 2, 1]
    assert not len(embeddings.embed(pool[:0], encoder, "question", "last"))


def test_a_conversation_is_all_turns_with_blank_lines_between(pool):
    seen = []

    class Listener:
        def encode(self, texts, pooling):
            seen.extend(texts)
            n = len(texts)
            return np.zeros((n, 2), "f4"), np.ones(n, int), np.full(n, "ok", object)

    pool["turns"] = pool["turns"].astype(object)
    pool.at[1, "turns"] = [{"role": r, "content": c} for r, c in TURNS]

    embeddings.embed(pool.iloc[:2], Listener(), "conversation", "last")

    assert seen == ["What is 3 + 4?\n\nSeven.", "First?\n\nOne.\n\nSecond?"]


def test_an_encoder_that_is_no_causal_model_works_as_well(record, tmp_path):
    from transformers import BertConfig, BertModel

    shutil.copytree(record["path"], tmp_path, dirs_exist_ok=True)
    for name in ("model.safetensors", "config.json", "generation_config.json"):
        (tmp_path / name).unlink()
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=420,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    BertModel(config).save_pretrained(tmp_path)
    bert = {**record, "path": str(tmp_path)}

    vectors, _, status = encoder_of(bert).encode(["Why?", "So it is."], "first")

    assert_allclose(vectors[0], own_states(bert, "Why?")[0], rtol=1e-4, atol=1e-5)
    assert vectors.shape == (2, 32)
    assert status.tolist() == ["ok", "ok"]


def test_vectors_are_joined_by_id_and_a_missing_one_is_an_error(pool, record):
    table = embeddings.embed(pool, encoder_of(record), "question", "mean")

    rows = embeddings.unit_rows(table.iloc[::-1], ["s1", "s0"])

    assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-6)
    first = table["embedding"][0]
    assert_allclose(rows[1] * np.linalg.norm(first), first, rtol=1e-5)
    with pytest.raises(TmapError, match=r"lack 1 samples .*'s9'"):
        embeddings.unit_rows(table, ["s1", "s9"])


def test_the_path_says_whose_vectors_of_which_text_pooled_how(monkeypatch):
    assert dag.indicators.embeddings_of_indicator("gsm8k", "llama3", "miwv") == [
        "results/gsm8k/embeddings/llama3/question_mean.parquet"
    ]
    assert dag.indicators.embeddings_of_indicator("gsm8k", "llama3", "perplexity") == []
    assert dag.indicators.embeddings_of_method("gsm8k", "llama3", "tmap") == []
    assert dag.indicators.embeddings_of_method("gsm8k", "llama3", "tmap_diversity") == [
        "results/gsm8k/embeddings/llama3/conversation_last.parquet"
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "gpt22"}, "Did you mean 'gpt2'"),
        ({"pooling": "means"}, "Did you mean 'mean'"),
    ],
)
def test_an_unknown_encoder_or_pooling_is_an_error(monkeypatch, options, message):
    card = load("datasets", "gsm8k").model_copy(
        update={"indicators": {"miwv": options}}
    )
    real = dag.methods.cards.load
    monkeypatch.setattr(
        dag.methods.cards,
        "load",
        lambda kind, name: card if kind == "datasets" else real(kind, name),
    )

    assert KINDS["datasets"] is DatasetCard
    with pytest.raises(TmapError, match=message):
        dag.indicators.embeddings_of_indicator("gsm8k", "llama3", "miwv")

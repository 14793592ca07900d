"""Large models: shards, device maps, four bits, and code that must not run.

Four bits need a GPU and bitsandbytes. If bitsandbytes is installed, a CPU replaces the
GPU here, because bitsandbytes computes on both.
"""

from __future__ import annotations

import copy
import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tiny_llama import write_tokenizer
from tmap import engines
from tmap.cards.model import EngineSection, ModelSource
from tmap.data import models
from tmap.engines import weights
from tmap.errors import TmapError
from tmap.training.train import train
from training import CHATS, PLAIN, settings

PLAIN_ENGINE = EngineSection(device="cpu", dtype="float32")
NF4 = EngineSection(quantization="nf4", dtype="float32", name="reference")
HAS_BITSANDBYTES = importlib.util.find_spec("bitsandbytes") is not None
MARKER = "code_of_the_model_ran"
CODE = f"""
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

(Path.home() / "{MARKER}").touch()

class OwnConfig(LlamaConfig):
    model_type = "own"

class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig

class OwnTokenizer(PreTrainedTokenizerFast):
    pass
"""


def logits(lm):
    return lm.model(input_ids=torch.tensor([[1, 5, 9, 7, 30]])).logits.detach()


def answers(lm):
    return lm.generate([[1, 5, 9], []], [[7, 30], [8]], max_new_tokens=6)


# Shards


@pytest.fixture(scope="module")
def sharded(tiny_llama, tmp_path_factory):
    """The same model in many files, like large models."""
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("sharded")
    write_tokenizer(folder)
    model = AutoModelForCausalLM.from_pretrained(tiny_llama["path"])
    model.save_pretrained(folder, max_shard_size="100KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    return folder


def test_shards_are_one_model(tiny_llama, sharded):
    whole = models.read("m", ModelSource(path=tiny_llama["path"]))

    record = models.read("m", ModelSource(path=str(sharded)))

    assert record["n_parameters"] == whole["n_parameters"] > 0
    one, many = (engines.load(r, PLAIN_ENGINE) for r in (tiny_llama, record))
    assert torch.equal(logits(one), logits(many))


# Device maps


def test_a_device_map_reaches_transformers_and_the_key(tiny_llama, monkeypatch):
    import transformers

    seen, whole = {}, transformers.AutoModelForCausalLM.from_pretrained

    def remember(path, **how):
        seen.update(how)
        return whole(path, **how | {"device_map": "cpu"})

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", remember)

    lm = engines.load(tiny_llama, EngineSection(device_map="balanced"))

    assert seen["device_map"] == "balanced"
    assert lm.key.split("|")[5].endswith("/balanced")


@pytest.mark.parametrize("name", ["transformers", "reference"])
def test_layers_that_lie_apart_give_the_same_answers(
    tiny_llama, tmp_path, monkeypatch, name
):
    engine = EngineSection(device="cpu", dtype="float32", name=name)
    whole = engines.load(tiny_llama, engine)
    apart = dict.fromkeys(["model.embed_tokens", "model.norm", "lm_head"], "cpu")
    apart |= {
        "model.layers.0": "cpu",
        "model.layers.1": "disk",
        "model.rotary_emb": "cpu",
    }
    how = {"device_map": apart, "offload_folder": str(tmp_path)}
    monkeypatch.setattr(weights, "_placing", lambda *place: how)

    spread = engines.load(tiny_llama, engine)

    assert spread.model.hf_device_map["model.layers.1"] == "disk"
    assert answers(spread) == answers(whole)
    found, expected = (lm.answer_nll([[1, 5]], [[9, 7]])[0] for lm in (spread, whole))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_layers_left_beside_the_gpus_are_refused():
    spread = {"model.embed_tokens": 0, "model.layers.0": 0, "lm_head": "cpu"}
    model = SimpleNamespace(hf_device_map=spread)

    with pytest.raises(TmapError, match=r"1 of its 3 parts, such as 'lm_head'"):
        weights._check_spread(model, "cuda", "large")
    weights._check_spread(model, "cpu", "large")


def test_training_takes_a_device_map(tiny_llama, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here; the map would go there")
    found = []
    for number, place in enumerate((None, "auto")):
        folder = tmp_path / str(number)
        fit(tiny_llama, EngineSection(dtype="float32", device_map=place), folder)
        found.append((folder / "adapter/adapter_model.safetensors").read_bytes())

    assert found[0] == found[1]


def fit(record, place, folder):
    card = settings(max_steps=2)
    return train(
        record,
        PLAIN,
        place,
        card,
        CHATS,
        seed=0,
        adapter=folder / "adapter",
        scratch=folder / "checkpoints",
    )


# Four bits


def test_four_bits_are_asked_for_as_the_card_says(tiny_llama, monkeypatch):
    seen = {}
    monkeypatch.setattr(weights, "settle", lambda place: ("cuda", "bfloat16"))
    monkeypatch.setattr("tmap.errors.find_spec", lambda name: object())
    monkeypatch.setattr(
        "transformers.BitsAndBytesConfig", lambda **how: {"made of": how}
    )
    monkeypatch.setattr(
        "transformers.AutoModelForCausalLM.from_pretrained",
        lambda path, **how: (seen.update(how), {"missing_keys": []}),
    )

    weights.load_weights(tiny_llama, EngineSection(quantization="nf4"))

    assert seen["device_map"] == {"": "cuda"}
    assert seen["dtype"] == torch.bfloat16
    assert seen["use_safetensors"] is True
    assert seen["quantization_config"]["made of"] == {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_compute_dtype": torch.bfloat16,
    }


def test_the_key_of_four_bits_is_another(tiny_llama, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    keys = [
        engines.key_of(tiny_llama, EngineSection(quantization=q)) for q in ("nf4", None)
    ]

    assert [key.split("|")[4] for key in keys] == ["bfloat16/nf4", "bfloat16"]


def test_an_adapter_beside_the_weights_answers_as_one_within(
    tiny_llama, tmp_path, monkeypatch
):
    from peft import LoraConfig, get_peft_model

    plain = engines.load(tiny_llama, PLAIN_ENGINE)
    torch.manual_seed(1)
    shape = LoraConfig(target_modules="all-linear", init_lora_weights=False)
    tuned = get_peft_model(copy.deepcopy(plain.model), shape)
    tuned.save_pretrained(tmp_path)
    load_whole = weights.load_weights
    monkeypatch.setattr(
        engines, "load_weights", lambda r, p: load_whole(r, PLAIN_ENGINE)
    )
    monkeypatch.setattr(engines, "settle", lambda place: ("cpu", "float32"))

    beside = engines.load(
        tiny_llama, EngineSection(quantization="nf4"), adapter=tmp_path
    )

    within = engines.load(tiny_llama, PLAIN_ENGINE, adapter=tmp_path)
    assert type(beside.model) is type(plain.model)
    torch.testing.assert_close(logits(beside), logits(within), rtol=1e-3, atol=1e-3)
    assert answers(beside) == answers(within)


@pytest.fixture
def as_if_on_a_gpu(monkeypatch):
    if not HAS_BITSANDBYTES:
        pytest.skip("bitsandbytes is not installed: pip install -e '.[quantization]'")
    for module in (weights, engines):
        monkeypatch.setattr(module, "settle", lambda place: ("cpu", "float32"))


def test_four_bits_score_answer_and_train(as_if_on_a_gpu, tiny_llama, tmp_path):
    whole, small = (engines.load(tiny_llama, e) for e in (PLAIN_ENGINE, NF4))
    assert small.model.model.layers[0].mlp.up_proj.weight.dtype == torch.uint8
    shift = (logits(small) - logits(whole)).norm() / logits(whole).norm()
    assert 0 < shift < 0.8  # unrelated logits would differ by about 1.4

    report = fit(tiny_llama, NF4, tmp_path)

    assert report["steps"] == 2 and np.isfinite(report["final_loss"])
    tuned = engines.load(tiny_llama, NF4, adapter=tmp_path / "adapter")
    assert not torch.equal(logits(tuned), logits(small))
    nll, count = tuned.answer_nll([[1, 5]], [[9, 7]])
    assert np.isfinite(nll).all() and count.tolist() == [2]
    shared = engines.load(tiny_llama, NF4.model_copy(update={"name": "transformers"}))
    assert answers(shared) == answers(small)


# Pickles and code


def test_a_pickle_beside_sound_weights_is_not_opened(tiny_llama, tmp_path):
    for file in Path(tiny_llama["path"]).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"cposix\nabort\n(tR.")  # would end us

    record = models.read("m", ModelSource(path=str(tmp_path)))

    found, expected = (engines.load(r, PLAIN_ENGINE) for r in (record, tiny_llama))
    assert torch.equal(logits(found), logits(expected))


@pytest.fixture
def with_own_code(tiny_llama, tmp_path, monkeypatch):
    """(record of a model that brings code, what that code leaves behind when run)."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.setattr(
        "transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules")
    )
    folder = tmp_path / "model"
    folder.mkdir()
    for file in Path(tiny_llama["path"]).iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "own.py").write_text(CODE)
    own = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    change(folder / "config.json", model_type="own", auto_map=own)
    change(
        folder / "tokenizer_config.json",
        auto_map={"AutoTokenizer": [None, "own.OwnTokenizer"]},
        tokenizer_class="OwnTokenizer",
    )
    return tiny_llama | {"path": str(folder), "source": "org/own"}, home / MARKER


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("part", ["weights", "tokenizer"])
def test_code_of_a_model_is_not_run_unless_its_card_says_so(with_own_code, part):
    record, marker = with_own_code

    with pytest.raises(TmapError, match=r"'org/own' has its own code.*not run"):
        if part == "weights":
            weights.load_weights(record, PLAIN_ENGINE)
        else:
            weights.load_tokenizer(record)

    assert not marker.exists()


def test_code_of_a_model_runs_where_its_card_trusts_it(with_own_code):
    record, marker = with_own_code

    lm = engines.load(record | {"trust_remote_code": True}, PLAIN_ENGINE)

    assert marker.exists()
    assert type(lm.model).__name__ == "OwnModel"

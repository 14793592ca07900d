"""A GGUF file becomes a folder with the same numbers; what cannot become one is named."""

from __future__ import annotations

import importlib.util
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tmap.cards.model import EngineSection, ModelCard, ModelSource
from tmap.data import gguf, models, packages
from tmap.engines.weights import load_tokenizer, load_weights
from tmap.errors import TmapError
from tmap.operations.preflight import target

if not importlib.util.find_spec("gguf"):
    pytest.skip("no package gguf: pip install '.[real]'", allow_module_level=True)

from gguf_file import write_gguf

Usage = namedtuple("Usage", "total used free")
TEXTS = ["Sara has 6 coins.", " user\n\n#### 40", "<eos> is text", "é 数 \U0001f600"]


@pytest.fixture
def made(tiny_llama, tmp_path):
    """Write the small Llama as GGUF and fetch it; keywords as `write_gguf`."""

    def make(**how):
        (tmp_path / "models").mkdir(exist_ok=True)
        write_gguf(tiny_llama["path"], tmp_path / "models/x.gguf", **how)
        source = ModelSource(path=str(tmp_path / "models"), gguf="x.gguf")
        return models.read("mine", source, tmp_path / "made")

    return make


def logits(record):
    model = load_weights(record, EngineSection(device="cpu")).model.eval()
    with torch.inference_mode():
        return model(torch.arange(3, 40)[None]).logits


def test_a_file_of_full_precision_gives_the_numbers_of_its_model(made, tiny_llama):
    record = made()

    assert record["gguf"]["stored"] == {"F32": record["n_parameters"]}
    assert record["dtype"] == "F32"
    torch.testing.assert_close(logits(record), logits(tiny_llama), rtol=0, atol=1e-5)


def test_the_tokenizer_and_the_chat_template_are_the_files_own(made, tiny_llama):
    ours, theirs = load_tokenizer(made()), load_tokenizer(tiny_llama)

    for text in TEXTS:
        assert ours.encode(text, add_special_tokens=False) == theirs.encode(
            text, add_special_tokens=False
        )
    assert ours.chat_template == theirs.chat_template
    assert ours.eos_token_id == theirs.eos_token_id == 2


def test_quantised_weights_are_those_of_the_formula(made, tiny_llama):
    """Q8_0: 32 numbers share a half-precision scale d = max|x| / 127; x is d * q."""
    record = made(stored="Q8_0")
    name = "model.layers.0.mlp.up_proj.weight"
    original = load_file(Path(tiny_llama["path"]) / "model.safetensors")[name]
    blocks = original.reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    rounded = np.round(blocks / scale) * scale.astype(np.float16).astype(np.float32)

    found = load_file(Path(record["path"]) / "model.safetensors")[name]
    np.testing.assert_allclose(found, rounded.reshape(found.shape), rtol=0, atol=1e-6)
    assert record["gguf"]["stored"]["Q8_0"] > record["gguf"]["stored"]["F32"]


def test_the_folder_is_made_once_and_again_after_a_change_of_the_file(made, caplog):
    first = made()
    caplog.clear()
    with caplog.at_level("INFO"):
        assert made() == first
    assert "dequantised before" in caplog.text
    assert made(stored="Q8_0")["revision"] != first["revision"]


def test_a_package_is_found_by_its_name(tiny_llama, tmp_path, monkeypatch):
    write_gguf(tiny_llama["path"], tmp_path / "m.gguf")
    about = tmp_path / "llm_mine-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Name: llm-mine\nVersion: 1.2\n")
    (about / "RECORD").write_text("m.gguf,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    record = models.read("m", ModelSource(package="llm-mine"), tmp_path / "made")

    assert record["source"] == "llm-mine 1.2"
    assert packages.version("llm-mine") == "1.2"
    assert record["gguf"]["file"] == "m.gguf"


def test_a_check_reads_size_and_tokenizer_and_writes_no_weights(tiny_llama, tmp_path):
    write_gguf(tiny_llama["path"], tmp_path / "m.gguf", stored="Q8_0")
    card = ModelCard(source=ModelSource(path=str(tmp_path), gguf="m.gguf"))

    found = target.look(card)

    whole = models.read("t", ModelSource(path=tiny_llama["path"]))
    assert found.n_parameters == whole["n_parameters"]
    assert found.size_bytes == 4 * whole["n_parameters"]
    assert found.context == 512
    theirs = load_tokenizer(tiny_llama)
    assert target.tokenizer(found).encode(TEXTS[0]) == theirs.encode(TEXTS[0])
    assert not list(found.folder.glob("*.safetensors"))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"architecture": "rwkv7"}, "architecture 'rwkv7', which transformers"),
        ({"without": "ffn_up"}, "lacks 2 weights of its architecture"),
        ({"split__count": 3}, "one of 3 parts"),
        ({"general__type": "adapter"}, "holds no model (adapter"),
    ],
)
def test_a_file_that_is_no_model_of_transformers_is_refused(made, how, said):
    with pytest.raises(TmapError) as error:
        made(**how)
    assert said in str(error.value)


@pytest.mark.parametrize("kept", [0, 3, 100, 5000, -1000])
def test_a_torn_file_is_refused(made, tmp_path, kept):
    made()
    file = tmp_path / "models/x.gguf"
    whole = file.read_bytes()
    file.write_bytes(whole[:kept])
    source = ModelSource(path=str(tmp_path / "models"), gguf="x.gguf")
    with pytest.raises(TmapError, match="not a complete GGUF file"):
        models.read("mine", source, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_too_little_disk_is_noticed_before_anything_is_written(made, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda place: Usage(0, 0, 1 << 30))
    with pytest.raises(TmapError, match=r"takes 0\.0 GB .* 1\.1 GB are free"):
        made()


def test_without_the_package_gguf_the_install_command_is_named(made, monkeypatch):
    monkeypatch.setattr(gguf, "find_spec", lambda name: None)
    with pytest.raises(TmapError, match=r"pip install -e '\.\[real\]'"):
        made()

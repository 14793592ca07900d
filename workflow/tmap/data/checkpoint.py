"""Faults of a model's folder that loading does not report, or only late in a job."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tmap.errors import TmapError

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
SINGLE = "model.safetensors"
SHARD = re.compile(r".*-\d+-of-\d+\.safetensors")
#: Keys and files that say how a checkpoint's weights are packed.
PACKED_KEYS = ("quantization_config", "compression_config", "quantization")
PACKED_FILES = ("quantize_config.json", "quant_config.json", "hf_quant_config.json")
#: Types of plain weights, as the headers of files name them.
PLAIN = ("BF16", "F16", "F32", "F64")
#: Ends of the names of packed tensors.
PACKED = ("qweight", "qzeros", "weight_packed", "absmax", "quant_map", "_blocks")
#: Ends of the names of the table of token vectors, in the architectures we know.
TABLES = (
    "embed_tokens.weight",
    "wte.weight",
    "word_embeddings.weight",
    "tok_embeddings.weight",
    "embed_in.weight",
    "embeddings.weight",
)
#: Tokenizer classes that have no end token of their own.
BARE = ("PreTrainedTokenizerFast", "PreTrainedTokenizer", "TokenizersBackend")
#: Architectures that write text from left to right, as far as their name says it.
WRITES = re.compile(
    r"CausalLM|LMHead|ForConditionalGeneration|ChatGLM|ForImageTextToText"
)
FLASH = {"flash_attention_2": "flash_attn", "flash_attention_3": "flash_attn_interface"}


def check(folder: Path, place: str, weights: list[Path]) -> None:
    """Refuse a complete folder that no job could use as it is.

    Raises
    ------
    TmapError
        Files of an adapter next to the model's weights, weights that are quantised
        already, an attention that is not installed, or a tokenizer that gives tokens
        which the model has no vector for.
    """
    beside = [name for name in ADAPTER if (folder / name).is_file()]
    if beside:
        raise TmapError(
            f"'{place}' has a model's weights and files of an adapter ({beside[0]}), "
            "which transformers applies when it loads the model; merged weights would "
            "have it twice. Remove the adapter's files (adapter_*) if it is merged; else "
            "name a folder with the base model alone, or merge it first."
        )
    shapes = dict(_shapes(weights))
    check_config(folder, place, list(shapes))
    tables = (size for name, size in shapes.items() if _is_table(name) and size)
    _check_tokens(folder, place, next((size[0] for size in tables), None))


def check_config(folder: Path, place: str, tensors: list[str] | None = None) -> None:
    """The part of `check` that needs no weights: quantisation and attention."""
    config = _object(folder / "config.json")
    how = _packing(folder, config, tensors or [])
    if how is not None:
        raise quantised(place, how)
    attention = config.get("attn_implementation") or config.get("_attn_implementation")
    package = FLASH.get(str(attention))
    if package and importlib.util.find_spec(package) is None:
        raise TmapError(
            f"'{place}' asks for the attention '{attention}' in its config.json, which "
            f"needs the package {package}. Install it, or remove the key from a copy of "
            "the model."
        )
    if tensors is None:
        _check_tokens(folder, place, None)


def quantised(place: str, how: str) -> TmapError:
    """The error for weights that are packed, `how` as a file says or shows it."""
    return TmapError(
        f"'{place}' has weights that are quantised already ({how}); tmap answers and "
        "trains with plain ones. Name the model that it was made from, and set "
        "`engine: {quantization: nf4}` in the model card to load it in four bits."
    )


def lora(folder: Path, place: str) -> TmapError:
    """The error for a folder with an adapter and no model."""
    base = _object(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
    named = f" ('{base}')" if isinstance(base, str) and base else ""
    return TmapError(
        f"'{place}' is a LoRA adapter, not a model. Name the base model{named}, or merge "
        "the adapter into it first (merge_and_unload)."
    )


def notes(folder: Path) -> list[str]:
    """What jobs accept and a user may not want."""
    about = _object(folder / "tokenizer_config.json")
    special = _object(folder / "special_tokens_map.json")
    known = about.get("eos_token") or special.get("eos_token")
    own_class = str(about.get("tokenizer_class", "")).rpartition(".")[2]
    plain = "eos_token" in about or own_class in BARE
    told = [NO_END] if about and plain and not known else []
    config = _object(folder / "config.json")
    names = config.get("architectures")
    name = str(names[0]) if isinstance(names, list) and names else ""
    if config.get("is_encoder_decoder") or (name and not WRITES.search(name)):
        told.append(
            f"The architecture is {name or 'an encoder with a decoder'}, not a causal "
            "language model (...ForCausalLM): it may be an encoder, but nothing else. "
            "To answer or to be trained, name a causal one."
        )
    return told


NO_END = (
    "The tokenizer has no end-of-sequence token: unless the chat template ends turns, "
    "rows are trained without an end, and answers run to `engine.max_new_tokens`. Set "
    "`eos_token` in tokenizer_config.json of a copy of the model."
)


def _packing(folder: Path, config: dict[str, Any], names: list[str]) -> str | None:
    """How the weights are packed; None if they are plain."""
    text = config.get("text_config")
    for part in (config, text if isinstance(text, dict) else {}):
        about = next((part[key] for key in PACKED_KEYS if part.get(key)), None)
        if about is None:
            continue
        if not isinstance(about, dict):
            return str(about)[:40]
        bits = about.get("bits") or about.get("w_bit")
        bits = (
            4 if about.get("load_in_4bit") else 8 if about.get("load_in_8bit") else bits
        )
        method = about.get("quant_method") or "unknown method"
        return f"{method}, {bits} bits" if bits else str(method)
    file = next((name for name in PACKED_FILES if (folder / name).is_file()), None)
    tensor = next((name for name in names if name.endswith(PACKED)), None)
    return file or tensor


def _is_table(name: str) -> bool:
    """Whether a tensor has the tokens' vectors; `position_embeddings.weight` has not."""
    return f".{name}".endswith(tuple(f".{table}" for table in TABLES))


def _check_tokens(folder: Path, place: str, rows: int | None) -> None:
    if rows is None:  # no weights, or a table under a name that we do not know
        config = _object(folder / "config.json")
        text = config.get("text_config")
        rows = (text if isinstance(text, dict) else config).get("vocab_size")
    if not isinstance(rows, int):
        return
    reachable = _reachable(folder)
    beyond = sorted(
        (number, text) for text, number in reachable.items() if number >= rows
    )
    if beyond:
        number, text = beyond[0]
        tokens = "1 token" if len(beyond) == 1 else f"{len(beyond)} tokens"
        raise TmapError(
            f"The tokenizer of '{place}' gives {tokens} that the model has no "
            f"vector for, such as {text!r:.60} ({number}; it has {rows:,} vectors). "
            "Enlarge the model (resize_token_embeddings, then save_pretrained), or remove "
            "the tokens from the tokenizer."
        )


def _reachable(folder: Path) -> dict[str, int]:
    """Tokens that a prompt or a row can have -> ids.

    A special token never comes from data, so it counts only if the template writes it, or
    as beginning and end. A token for padding is masked.
    """
    whole = _object(folder / "tokenizer.json")
    about = _object(folder / "tokenizer_config.json")
    model = whole.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    found: dict[str, int] = {}
    if isinstance(vocabulary, dict):
        found = {k: n for k, n in vocabulary.items() if isinstance(n, int)}
    elif isinstance(vocabulary, list):
        found = {str(entry): number for number, entry in enumerate(vocabulary)}
    template = str(about.get("chat_template") or "")
    if (folder / "chat_template.jinja").is_file():
        template += (folder / "chat_template.jinja").read_text("utf-8", "replace")
    ends = {_text(about.get(key)) for key in ("bos_token", "eos_token")}
    padding = _text(about.get("pad_token"))
    for number, token, special in _added(whole, about):
        meant = token in ends or token in template
        if (special and not meant) or (token == padding and token not in ends):
            found.pop(token, None)
        else:
            found[token] = number
    return found


def _added(
    whole: dict[str, Any], about: dict[str, Any]
) -> Iterator[tuple[int, str, bool]]:
    """Id, text, and whether it is special, of every added token."""
    entries = [e for e in whole.get("added_tokens") or [] if isinstance(e, dict)]
    decoder = about.get("added_tokens_decoder")
    for key, entry in (decoder if isinstance(decoder, dict) else {}).items():
        if isinstance(entry, dict) and str(key).isdigit():
            entries.append({**entry, "id": int(key)})
    for entry in entries:
        if isinstance(entry.get("id"), int):
            yield entry["id"], str(entry.get("content")), bool(entry.get("special"))


def _text(token: Any) -> str:
    return str(token.get("content")) if isinstance(token, dict) else str(token or "")


def _shapes(weights: list[Path]) -> Iterator[tuple[str, list[int]]]:
    """Names and shapes of all tensors, from the headers of the files."""
    from safetensors import SafetensorError, safe_open

    for path in weights:
        try:
            with safe_open(path, framework="np") as file:
                for name in file.keys():
                    yield name, file.get_slice(name).get_shape()
        except (SafetensorError, OSError, ValueError):
            return  # `models.measure` says so


def _object(path: Path) -> dict[str, Any]:
    """A JSON object; empty if there is none. Loading reports what is broken."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}

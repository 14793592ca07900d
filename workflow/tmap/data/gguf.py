"""GGUF, llama.cpp's format of one file: turned once into a folder for transformers.

Numbers are dequantised to float32, which holds them exactly. Only architectures whose
GGUF transformers can read are possible, and a file in one piece.
"""

from __future__ import annotations

import atexit
import io
import json
import logging
import os
import shutil
import tempfile
from collections import Counter
from contextlib import redirect_stderr
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tmap.data.sources.download import sha256_of
from tmap.errors import TmapError

logger = logging.getLogger(__name__)
#: What the folder was made of; in the folder.
ORIGIN = "gguf.json"
#: Bytes of a parameter in the folder, and bytes left free on its disk.
WIDTH, SPARE = 4, 1 << 30


def header(file: Path, place: str) -> dict[str, Any]:
    """What a GGUF file says of itself, without its weights.

    Returns
    -------
    dict
        file (name), architecture, n_parameters, stored (parameters by type, such as
        {"Q4_1": 1000}) and size_bytes.

    Raises
    ------
    TmapError
        No package gguf; a torn file; one part of several; or a file that holds something
        else than a language model.
    """
    if find_spec("gguf") is None:
        raise TmapError(
            f"'{place}' is GGUF, and the package gguf, which reads it, is not installed. "
            "Install it: pip install -e '.[real]'."
        )
    from gguf import GGUFReader

    try:
        reader = GGUFReader(file)
        fields = {
            key: field.contents()
            for key, field in reader.fields.items()
            if not key.startswith("tokenizer.")
        }
        stored: Counter[str] = Counter()
        for tensor in reader.tensors:
            stored[tensor.tensor_type.name] += int(tensor.n_elements)
    except Exception as fault:  # the reader believes every length that the file states
        raise TmapError(
            f"'{place}' is not a complete GGUF file ({_short(fault)}). Copy or download "
            "it again."
        ) from None
    if int(fields.get("split.count") or 1) > 1:
        raise TmapError(
            f"'{place}' is one of {fields['split.count']} parts, and transformers reads "
            "GGUF in one piece. Join them (llama-gguf-split --merge), or name the model "
            "in Transformers format."
        )
    kind = fields.get("general.type", "model")
    if kind != "model" or not stored:
        raise TmapError(
            f"'{place}' holds no model ({kind}, {len(stored)} kinds of weights). Name "
            "the GGUF file of a whole language model under `gguf:`."
        )
    return {
        "file": file.name,
        "architecture": str(fields.get("general.architecture")),
        "n_parameters": sum(stored.values()),
        "stored": dict(stored.most_common()),
        "size_bytes": file.stat().st_size,
    }


def folder_of(file: Path, place: str, room: Path) -> dict[str, Any]:
    """Make the folder `room` of a GGUF file, or find that it was made of this very file.

    Returns
    -------
    dict
        As `header`, and the file's sha256.

    Raises
    ------
    TmapError
        As `header`; an architecture that transformers cannot read from GGUF, a file
        without a tokenizer or with too few weights; or too little space on the disk.
    """
    about = header(file, place) | {"sha256": sha256_of(file)}
    if _origin(room) == about:
        logger.info("'%s' was dequantised before: %s", place, room)
        return about
    _check_disk(place, about["n_parameters"] * WIDTH, room)
    shutil.rmtree(room, ignore_errors=True)
    made = room.with_name(f".{room.name}.{os.getpid()}.tmp")
    try:
        _write_small(file, place, about, made)
        _write_weights(file, place, about, made)
        (made / ORIGIN).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        os.replace(made, room)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    logger.info(
        "'%s' (%.1f M parameters in %s) was dequantised to float32 in %s",
        place,
        about["n_parameters"] / 1e6,
        ", ".join(about["stored"]),
        room,
    )
    return about


def small(file: Path, place: str) -> tuple[Path, dict[str, Any]]:
    """A temporary folder with configuration and tokenizer only, and the header."""
    about = header(file, place)
    made = Path(tempfile.mkdtemp(prefix="tmap-gguf-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    _write_small(file, place, about, made)
    return made, about


def _origin(room: Path) -> Any:
    try:
        return json.loads((room / ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _check_disk(place: str, needed: int, room: Path) -> None:
    room.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(room.parent).free
    if needed + SPARE > free:
        raise TmapError(
            f"'{place}' takes {needed / 1e9:.1f} GB when it is dequantised to float32, but "
            f"{free / 1e9:.1f} GB are free on the disk of {room.parent}/. Free some space, "
            "or name a smaller model."
        )


def _write_small(file: Path, place: str, about: dict[str, Any], folder: Path) -> None:
    """Configuration and tokenizer, as transformers reads them from the file."""
    import transformers
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    try:
        config = transformers.AutoConfig.from_pretrained(
            file.parent, gguf_file=file.name, local_files_only=True
        )
    except Exception as fault:  # whatever the file's fields lead to
        known = ", ".join(sorted(GGUF_SUPPORTED_ARCHITECTURES))
        raise TmapError(
            f"'{place}' is a model of architecture '{about['architecture']}', which "
            f"transformers {transformers.__version__} cannot read from GGUF "
            f"({_short(fault)}); it reads {known}. Name the same model in Transformers "
            "format (safetensors) under `hub:` or `path:`."
        ) from None
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            file.parent, gguf_file=file.name, local_files_only=True
        )
    except Exception as fault:  # the tokenizers library raises nothing narrower
        raise TmapError(
            f"'{place}' has no tokenizer that transformers can read from GGUF "
            f"({_short(fault)}). Name the same model in Transformers format "
            "(safetensors) under `hub:` or `path:`."
        ) from None
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _write_weights(file: Path, place: str, about: dict[str, Any], folder: Path) -> None:
    import torch
    import transformers

    transformers.logging.disable_progress_bar()
    how: dict[str, Any] = {"gguf_file": file.name, "dtype": torch.float32}
    try:
        with redirect_stderr(io.StringIO()):  # a bar that has no switch
            loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
                file.parent, local_files_only=True, output_loading_info=True, **how
            )
    except (OSError, ValueError, KeyError, RuntimeError) as fault:
        raise TmapError(
            f"transformers cannot read '{place}' as a causal language model "
            f"({_short(fault)}). Name the same model in Transformers format "
            "(safetensors) under `hub:` or `path:`."
        ) from None
    read, report = loaded
    missing = sorted(report["missing_keys"])
    if missing:
        raise TmapError(
            f"'{place}' lacks {len(missing)} weights of its architecture, such as "
            f"{missing[0]}. Copy or download the file again, or name the model in "
            "Transformers format."
        )
    n_read = sum(part.numel() for part in read.parameters())
    if n_read != about["n_parameters"]:
        logger.warning(
            "'%s' holds %d parameters, and transformers reads %d of them as its model",
            place,
            about["n_parameters"],
            n_read,
        )
    # transformers does not save a model that it read from GGUF, so another one of the
    # same shape takes its weights, without a copy.
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    config.dtype = "float32"
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    model.load_state_dict(read.state_dict(), assign=True)
    model.tie_weights()
    model.generation_config = read.generation_config
    model.save_pretrained(folder)
    for weights in folder.glob("*.safetensors"):  # safetensors: for the owner only
        shutil.copymode(folder / "config.json", weights)


def _short(fault: Exception) -> str:
    return " ".join(str(fault).split())[:200] or type(fault).__name__

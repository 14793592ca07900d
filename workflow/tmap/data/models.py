"""Models: a local folder or hub snapshot, checked for completeness, at one revision."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections import Counter
from fnmatch import fnmatch
from math import prod
from pathlib import Path
from typing import Any

from tmap.cards.model import ModelSource
from tmap.data.sources import hub
from tmap.data.sources.download import sha256_of
from tmap.errors import TmapError

logger = logging.getLogger(__name__)
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
INDEX = "model.safetensors.index.json"
ALLOWED = (
    "*.safetensors",
    "*.json",
    "*.txt",
    "*.jinja",
    "tokenizer.model",
    "*.tiktoken",
    "spiece.model",
)
#: Exports for other runtimes and second copies of the weights, never needed here.
IGNORED = ("onnx/*", "original/*", "openvino/*", "consolidated*", "*.msgpack")
#: Bytes left free on the disk after a download.
SPARE = 1 << 30


def read(model: str, source: ModelSource) -> dict[str, Any]:
    """Download a model or check a local one; return its record.

    Returns
    -------
    dict
        model, source (hub id or path), revision (commit; for a folder the SHA-256 over
        names and contents of its files), path (folder for transformers),
        trust_remote_code, n_parameters, dtype (of most parameters), max_positions (int
        or None) and size_bytes of its weights.

    Raises
    ------
    TmapError
        The folder is incomplete or has pickles only; the hub model is gated, unknown or
        larger than the free disk; or the hub cannot be reached.
    """
    if source.path is not None:
        folder = existing(source.path)
        weights = check_folder(folder, source.path)
        revision, place = _digest(folder), source.path
    else:
        place = source.hub or ""
        folder, revision = _snapshot(source, place)
        weights = check_folder(folder, place)
    return {
        "model": model,
        "source": place,
        "revision": revision,
        "path": source.path or str(folder),
        "trust_remote_code": source.trust_remote_code,
        **measure(weights, folder, place),
    }


def existing(path: str) -> Path:
    """The folder that a model card names."""
    folder = Path(path)
    if not folder.is_dir():
        raise TmapError(
            f"No folder '{path}'. Paths are relative to the working directory; fix "
            "`source.path:` in the model card."
        )
    return folder


def check_folder(folder: Path, place: str) -> list[Path]:
    """Check that a model is complete; return its weight files.

    `place` is the folder's name in messages.
    """
    if not (folder / "config.json").is_file():
        if (folder / "adapter_config.json").is_file():
            raise TmapError(
                f"'{place}' is a LoRA adapter, not a model. Name the base model, or "
                "merge the adapter into it first (merge_and_unload)."
            )
        raise TmapError(
            f"'{place}' has no config.json. Name a folder that save_pretrained wrote."
        )
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise TmapError(
            f"'{place}' has no tokenizer ({', '.join(TOKENIZERS)}). Save it next to the "
            "weights: tokenizer.save_pretrained(FOLDER)."
        )
    return _weights(folder, place)


def _weights(folder: Path, place: str) -> list[Path]:
    found = sorted(folder.glob("*.safetensors"))
    index = folder / INDEX
    if index.is_file():
        shards = set(_json(index, f"{place}/{INDEX}").get("weight_map", {}).values())
        missing = sorted(shards - {path.name for path in found})
        if missing:
            raise TmapError(
                f"'{place}' lacks {len(missing)} of {len(shards)} weight files; the "
                f"first is {missing[0]}. Copy or download the folder again."
            )
        return [folder / name for name in sorted(shards)]
    if found:
        return found
    pickles = [p for pattern in PICKLES for p in sorted(folder.glob(pattern))]
    if pickles:
        raise TmapError(_pickled(place, pickles[0].name))
    raise TmapError(
        f"'{place}' has no weights (*.safetensors). Copy or download the folder again."
    )


def _pickled(place: str, name: str) -> str:
    return (
        f"'{place}' has its weights as pickles only ({name}), which can run code when "
        "loaded and are refused. If you trust it, convert it once: load it with "
        "transformers and save_pretrained(FOLDER), then name the FOLDER under `path:`."
    )


def _json(path: Path, place: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as fault:
        raise TmapError(
            f"'{place}' is not valid JSON ({fault}). Copy or download the folder again."
        ) from None
    if not isinstance(value, dict):
        raise TmapError(
            f"'{place}' is not a JSON object. Copy or download the folder again."
        )
    return value


def tensors(path: Path) -> list[tuple[str, int]]:
    """Type and number of parameters of each tensor, read from the file's header.

    Raises
    ------
    TmapError
        The file is incomplete or is not safetensors.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            slices = [file.get_slice(name) for name in file.keys()]
            return [(part.get_dtype(), prod(part.get_shape())) for part in slices]
    except (SafetensorError, OSError, ValueError):
        raise TmapError(
            f"'{path.name}' is not a complete safetensors file. Copy or download it again."
        ) from None


def measure(weights: list[Path], folder: Path, place: str) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    for path in weights:
        for dtype, n in tensors(path):
            counts[dtype] += n
    config = _json(folder / "config.json", f"{place}/config.json")
    text = config.get("text_config") or config
    names = ("max_position_embeddings", "n_positions", "max_sequence_length")
    return {
        "n_parameters": sum(counts.values()),
        "dtype": counts.most_common(1)[0][0] if counts else None,
        "max_positions": next((text[n] for n in names if text.get(n)), None),
        "size_bytes": sum(path.stat().st_size for path in weights),
    }


def _digest(folder: Path) -> str:
    """SHA-256 over a model's files: weights, configuration, tokenizer."""
    digest = hashlib.sha256()
    for path in files(folder):
        digest.update(f"{path.name} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def files(folder: Path) -> list[Path]:
    """The files of a model, sorted; none if the folder does not exist."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [p for p in found if p.is_file() and _is_wanted(p.name, code=True)]


def _is_wanted(name: str, code: bool) -> bool:
    allowed = (*ALLOWED, "*.py") if code else ALLOWED
    return any(fnmatch(name, pattern) for pattern in allowed) and not any(
        fnmatch(name, pattern) for pattern in IGNORED
    )


def _snapshot(source: ModelSource, name: str) -> tuple[Path, str]:
    """Folder and commit of a hub model, from the cache if the hub cannot be reached."""
    from huggingface_hub import HfApi, snapshot_download

    patterns = [*ALLOWED, *(["*.py"] if source.trust_remote_code else [])]
    how: dict[str, Any] = {"allow_patterns": patterns, "ignore_patterns": list(IGNORED)}
    try:
        with hub.door("model", name, source.revision):
            info = HfApi().model_info(
                name, revision=source.revision, files_metadata=True
            )
            check_files(name, info, source.trust_remote_code)
            folder = snapshot_download(name, revision=info.sha, **how)
            return Path(folder), str(info.sha)
    except hub.Unreachable as unreachable:
        folder = cached(source, name, how)
        if folder is None:
            raise unreachable from None
        logger.warning("the hub cannot be reached; '%s' comes from the cache", name)
        return Path(folder), Path(folder).name


def cached(source: ModelSource, name: str, how: dict[str, Any]) -> str | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return snapshot_download(
            name, revision=source.revision, local_files_only=True, **how
        )
    except LocalEntryNotFoundError:
        return None


def check_files(name: str, info: Any, code: bool) -> None:
    """Refuse pickles and a disk without enough space, before anything is downloaded."""
    files = {file.rfilename: file.size or 0 for file in info.siblings}
    wanted = {file: size for file, size in files.items() if _is_wanted(file, code)}
    if not any(file.endswith(".safetensors") for file in wanted):
        pickled = [f for f in files if any(fnmatch(f, p) for p in PICKLES)]
        if pickled:
            raise TmapError(_pickled(name, pickled[0]))
        raise TmapError(
            f"The hub model '{name}' has no weights in safetensors. Name a model in "
            "Transformers format under `hub:` in the card."
        )
    missing = sum(s for f, s in wanted.items() if not _in_cache(name, f, info.sha))
    place = _cache_folder()
    free = shutil.disk_usage(place).free
    if missing and missing + SPARE > free:
        raise TmapError(
            f"'{name}' needs {missing / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free on "
            "the disk of the hub cache. Free some space, or set HF_HOME to a folder on a "
            "larger disk."
        )


def _in_cache(name: str, file: str, commit: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, file, revision=commit), str)


def _cache_folder() -> Path:
    """The hub cache, or the nearest folder above it that exists."""
    from huggingface_hub.constants import HF_HUB_CACHE

    place = Path(HF_HUB_CACHE)
    while not place.exists():
        place = place.parent
    return place

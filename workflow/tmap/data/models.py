"""Models: a folder, hub snapshot or package, checked for completeness, at one revision."""

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
from tmap.data import checkpoint, gguf, packages
from tmap.data.sources import hub, signatures
from tmap.data.sources.download import sha256_of
from tmap.errors import TmapError, several

logger = logging.getLogger(__name__)
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
#: Weights of other programs -> whose they are.
FOREIGN = {
    "*.h5": "TensorFlow",
    "*.msgpack": "Flax",
    "*.onnx": "ONNX",
    "onnx/*.onnx": "ONNX",
    "*/*.distcp": "FSDP",
    "global_step*/*.pt": "DeepSpeed",
    "*.nemo": "NeMo",
    "*.tflite": "TFLite",
}
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
#: Folders of the steps of a sentence-transformers model, such as 1_Pooling.
STEPS = "[0-9]_*"
#: Not fetched from the hub: a merged model's own adapter would be applied again.
ASIDE = ("adapter_config.json", "adapter_model.*")
#: Bytes left free on the disk after a download.
SPARE = 1 << 30


def read(model: str, source: ModelSource, room: Path | None = None) -> dict[str, Any]:
    """Download a model or check a local one; return its record.

    Parameters
    ----------
    room : folder for a model that has to be dequantised; only a GGUF file needs it

    Returns
    -------
    dict
        model, source (hub id, path, or package with its version), revision (commit; for a
        folder the SHA-256 over names and contents of its files), path (folder for
        transformers), trust_remote_code, n_parameters, dtype (of most parameters),
        max_positions (int or None), size_bytes of its weights, and for GGUF `gguf`, as
        `tmap.data.gguf.folder_of` returns it.

    Raises
    ------
    TmapError
        The folder is incomplete or has pickles only; the package is not installed; the
        hub model is gated, unknown or larger than the free disk; the hub cannot be
        reached; or a GGUF file cannot be read.
    """
    folder, revision, place, file = locate(source)
    about: dict[str, Any] = {}
    path = source.path or str(folder)
    if file is not None:
        assert room is not None, "a GGUF file needs a folder for its weights"
        about = {"gguf": gguf.folder_of(file, place, room)}
        folder, path, revision = room, str(room), ""
    weights = check_folder(folder, place)
    for note in checkpoint.notes(folder):
        logger.warning("%s: %s", place, note)
    return {
        "model": model,
        "source": place,
        "revision": revision or _digest(folder),
        "path": path,
        "trust_remote_code": source.trust_remote_code,
        **measure(weights, folder, place),
        **about,
    }


def locate(source: ModelSource) -> tuple[Path, str, str, Path | None]:
    """Folder of a model, its commit ("" off the hub), its name, and its GGUF file."""
    if source.package is not None:
        folder, name = packages.find(source.package, source.gguf)
        place = f"{source.package} {packages.version(source.package)}"
        return folder, "", place, _gguf(folder, name, place)
    if source.path is not None:
        folder = existing(source.path)
        return folder, "", source.path, _gguf(folder, source.gguf, source.path)
    place = source.hub or ""
    folder, revision = _snapshot(source, place)
    return folder, revision, place, _gguf(folder, source.gguf, place)


def _gguf(folder: Path, name: str | None, place: str) -> Path | None:
    if name is None or (folder / name).is_file():
        return folder / name if name else None
    there = several(sorted(p.name for p in folder.glob("*.gguf")))
    raise TmapError(
        f"'{place}' has no file '{name}'; its GGUF files: {there}. Fix `source: gguf:` in "
        "the model card."
    )


def existing(path: str) -> Path:
    """The folder that a model card names."""
    folder = Path(path)
    if folder.is_file():
        raise TmapError(
            f"'{path}' is a file, and `source.path:` names a folder. For a GGUF file write "
            f"source: {{path: {folder.parent}, gguf: {folder.name}}}."
        )
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
    pointers = [path.name for path in files(folder) if signatures.is_pointer(path)]
    if pointers:
        raise signatures.not_pulled(f"{place}/{pointers[0]}")
    if not (folder / "config.json").is_file():
        if ggufs := sorted(path.name for path in folder.glob("*.gguf")):
            raise TmapError(_only_gguf(place, ggufs))
        if (folder / checkpoint.ADAPTER_CONFIG).is_file():
            raise checkpoint.lora(folder, place)
        raise TmapError(
            f"'{place}' has no config.json. Name a folder that save_pretrained wrote"
            f"{_below(folder, place)}."
        )
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise TmapError(
            f"'{place}' has no tokenizer ({', '.join(TOKENIZERS)}). Save it next to the "
            "weights: tokenizer.save_pretrained(FOLDER)."
        )
    weights = _weights(folder, place)
    checkpoint.check(folder, place, weights)
    return weights


def _weights(folder: Path, place: str) -> list[Path]:
    names = {*folder.glob("*.safetensors")} - {*folder.glob("adapter_model*")}
    found = sorted(path for path in names if _is_wanted(path.name, code=False))
    index = folder / INDEX
    if (folder / checkpoint.SINGLE) in found:  # what transformers loads, if it is there
        rest = [path.name for path in found if path.name != checkpoint.SINGLE]
        if rest:
            logger.warning(
                "'%s' has other weight files next to %s, which are not loaded: %s",
                place,
                checkpoint.SINGLE,
                ", ".join(rest[:5]),
            )
        return [folder / checkpoint.SINGLE]
    if index.is_file():
        shards = set(_json(index, f"{place}/{INDEX}").get("weight_map", {}).values())
        missing = sorted(shards - {path.name for path in found})
        if missing:
            raise TmapError(
                f"'{place}' lacks {len(missing)} of {len(shards)} weight files; the "
                f"first is {missing[0]}. Copy or download the folder again."
            )
        return [folder / name for name in sorted(shards)]
    if found and all(checkpoint.SHARD.fullmatch(path.name) for path in found):
        raise TmapError(
            f"'{place}' has {len(found)} weight files in parts and no {INDEX}, which says "
            "what is where. Copy or download the folder again."
        )
    if found:
        raise TmapError(
            f"'{place}' has its weights as {found[0].name}, a name under which "
            f"transformers does not look. Rename a single file to {checkpoint.SINGLE}, or "
            "save the model again with save_pretrained(FOLDER)."
        )
    raise _no_weights(folder, place)


def _no_weights(folder: Path, place: str) -> TmapError:
    """The error for a folder without safetensors, by what it has in their place."""
    if (folder / checkpoint.ADAPTER_CONFIG).is_file():
        return checkpoint.lora(folder, place)
    pickles = [p for pattern in PICKLES for p in sorted(folder.glob(pattern))]
    if pickles:
        return TmapError(_pickled(place, pickles[0].name))
    for pattern, whose in FOREIGN.items():
        if foreign := sorted(folder.glob(pattern)):
            return TmapError(
                f"'{place}' has its weights in the form of {whose} "
                f"({foreign[0].relative_to(folder)}); safetensors are needed. Convert "
                "them with that program, then save_pretrained(FOLDER)."
            )
    return TmapError(
        f"'{place}' has no weights (*.safetensors). Copy or download the folder again."
    )


def _below(folder: Path, place: str) -> str:
    """The first folders inside that hold a model, for a message."""
    found = [*folder.glob("*/config.json"), *folder.glob("*/*/config.json")]
    names = sorted(f"{place}/{path.parent.relative_to(folder)}" for path in found)
    return f", such as '{names[-1]}'" if names else ""


def _only_gguf(place: str, ggufs: list[str]) -> str:
    return (
        f"'{place}' has its weights in GGUF ({', '.join(ggufs[:5])}), of which a model "
        f"card names one: source: {{..., gguf: {ggufs[0]}}}."
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
    common = counts.most_common(1)[0][0] if counts else None
    if common not in (None, *checkpoint.PLAIN):
        raise checkpoint.quantised(place, f"most are of type {common}")
    config = _json(folder / "config.json", f"{place}/config.json")
    text = config.get("text_config") or config
    names = ("max_position_embeddings", "n_positions", "max_sequence_length")
    return {
        "n_parameters": sum(counts.values()),
        "dtype": common,
        "max_positions": next((text[n] for n in names if text.get(n)), None),
        "size_bytes": sum(path.stat().st_size for path in weights),
    }


def _digest(folder: Path) -> str:
    """SHA-256 over a model's files: weights, configuration, tokenizer."""
    digest = hashlib.sha256()
    for path in files(folder):
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def files(folder: Path) -> list[Path]:
    """The files of a model, sorted; none if the folder does not exist."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    own = [p for p in found if p.is_file() and _is_wanted(p.name, code=True)]
    return own + sorted(folder.glob(f"{STEPS}/config.json"))


def _is_wanted(name: str, code: bool) -> bool:
    allowed = (*ALLOWED, "*.py") if code else ALLOWED
    return any(fnmatch(name, pattern) for pattern in allowed) and not any(
        fnmatch(name, pattern) for pattern in IGNORED
    )


def _snapshot(source: ModelSource, name: str) -> tuple[Path, str]:
    """Folder and commit of a hub model, from the cache if the hub cannot be reached."""
    from huggingface_hub import HfApi, snapshot_download

    patterns = [*ALLOWED, *(["*.py"] if source.trust_remote_code else [])]
    patterns = [source.gguf] if source.gguf else patterns
    how: dict[str, Any] = {
        "allow_patterns": patterns,
        "ignore_patterns": [*IGNORED, *ASIDE],
    }
    try:
        with hub.door("model", name, source.revision):
            info = HfApi().model_info(
                name, revision=source.revision, files_metadata=True
            )
            check_files(name, info, source)
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


def check_files(name: str, info: Any, source: ModelSource) -> None:
    """Refuse pickles and a disk without enough space, before anything is downloaded."""
    files = {file.rfilename: file.size or 0 for file in info.siblings}
    code = source.trust_remote_code
    wanted = {file: size for file, size in files.items() if _is_wanted(file, code)}
    if checkpoint.ADAPTER_CONFIG in files and "config.json" not in files:
        raise TmapError(
            f"'{name}' is a LoRA adapter, not a model. Name the base model, or merge the "
            "adapter into it first (merge_and_unload) and name the folder under `path:`."
        )
    ggufs = sorted(file for file in files if file.endswith(".gguf"))
    if source.gguf:
        if source.gguf not in files:
            raise TmapError(
                f"The hub model '{name}' has no file '{source.gguf}'; its GGUF files: "
                f"{several(ggufs)}. Fix `source: gguf:` in the model card."
            )
        wanted = {source.gguf: files[source.gguf]}
    elif not any(file.endswith(".safetensors") for file in wanted):
        pickled = [f for f in files if any(fnmatch(f, p) for p in PICKLES)]
        if pickled:
            raise TmapError(_pickled(name, pickled[0]))
        if ggufs:
            raise TmapError(_only_gguf(name, ggufs))
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

"""Loading: a recorded model becomes an engine.

Nothing heavy is imported before a model is asked for.
"""

from __future__ import annotations

import hashlib
import os
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tmap.engines.base import ENGINE_VERSION
from tmap.errors import TmapError

if TYPE_CHECKING:
    from tmap.cards.model import EngineSection
    from tmap.engines.base import LanguageModel

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def load(
    record: dict[str, Any],
    engine: EngineSection,
    adapter: str | Path | None = None,
) -> LanguageModel:
    """The model of a record, ready to compute, without network access.

    Parameters
    ----------
    record : what `fetch_model` wrote: model, source, revision, path, trust_remote_code
    engine : `engine:` section of the model card
    adapter : folder of a LoRA adapter (or a file in it), merged into the weights; "" or
        None: the bare model

    Raises
    ------
    TmapError
        If the device is missing, or model or adapter hold no safetensors weights.
    """
    _prepare()
    import torch

    device = _device(engine)
    dtype = _dtype(engine, device)
    folder = _adapter_folder(adapter)
    model = _load_model(record, getattr(torch, dtype))
    if folder is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    key = "|".join(
        [
            engine.name,
            f"v{ENGINE_VERSION}",
            str(record["revision"]),
            "-" if folder is None else _hash(folder),
            dtype,
            device,
            f"batch{engine.batch_size}",
            _minor("torch"),
            _minor("transformers"),
        ]
    )
    kind = _engine(engine.name)
    found: LanguageModel = kind(
        model.to(device), load_tokenizer(record), key=key, batch_size=engine.batch_size
    )
    return found


class Weights(NamedTuple):
    """A model as transformers gives it, and where and how precisely it computes."""

    model: Any
    device: str
    dtype: str


def load_weights(record: dict[str, Any], engine: EngineSection) -> Weights:
    """The bare model of a record, for training; errors as `load`."""
    _prepare()
    import torch

    device = _device(engine)
    dtype = _dtype(engine, device)
    model = _load_model(record, getattr(torch, dtype))
    return Weights(model.to(device), device, dtype)


def load_tokenizer(record: dict[str, Any]) -> Any:
    """The tokenizer of a recorded model, without network access."""
    _prepare()
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(
        record["path"],
        local_files_only=True,
        trust_remote_code=bool(record["trust_remote_code"]),
    )


def _prepare() -> None:
    """Hub offline, libraries quiet, kernels deterministic; before models are loaded."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _load_model(record: dict[str, Any], dtype: Any) -> Any:
    from transformers import AutoModelForCausalLM

    try:
        return AutoModelForCausalLM.from_pretrained(
            record["path"],
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=bool(record["trust_remote_code"]),
        )
    except OSError as fault:
        reason = str(fault).splitlines()[0]
        raise TmapError(
            f"Model '{record['model']}' ({record['source']}) does not load: {reason} "
            "A complete folder with safetensors weights is needed. Fetch the model "
            "again, or convert its weights with save_pretrained."
        ) from fault


def _device(engine: EngineSection) -> str:
    import torch

    has_gpu = torch.cuda.is_available()
    if engine.device == "cuda" and not has_gpu:
        raise TmapError(
            "The model card says device: cuda, but torch sees no GPU; it needs one. "
            "Run on a GPU node, or set `engine: {device: auto}`."
        )
    if engine.device == "auto":
        return "cuda" if has_gpu else "cpu"
    return engine.device


def _dtype(engine: EngineSection, device: str) -> str:
    if engine.dtype == "auto":
        return "bfloat16" if device == "cuda" else "float32"
    return engine.dtype


def _engine(name: str) -> Any:
    if name == "reference":
        from tmap.engines.reference import Reference

        return Reference
    from tmap.engines.prefix_cache import PrefixCache

    return PrefixCache


def _adapter_folder(adapter: str | Path | None) -> Path | None:
    if not adapter or not str(adapter).strip():
        return None
    path = Path(adapter)
    folder = path if path.is_dir() else path.parent
    missing = [name for name in ADAPTER_FILES if not (folder / name).is_file()]
    if missing:
        raise TmapError(
            f"Adapter folder '{folder}' lacks {' and '.join(missing)}; it needs both "
            f"{' and '.join(ADAPTER_FILES)}. Run train_adapter again."
        )
    return folder


def _hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in ADAPTER_FILES:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:16]


def _minor(package: str) -> str:
    """`torch 2.13`: the versions between which tokens may differ."""
    return f"{package} {'.'.join(metadata.version(package).split('.')[:2])}"

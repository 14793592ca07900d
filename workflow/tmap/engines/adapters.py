"""A LoRA adapter's two files: found, checked, and put onto a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tmap.artifacts.files import broken, read_json
from tmap.errors import TmapError

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def folder_of(adapter: str | Path | None) -> Path | None:
    """The folder of an adapter that is named by itself or by one of its files.

    Raises
    ------
    TmapError : one of the two files is missing
    """
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


def attach(model: Any, folder: Path, **how: Any) -> Any:
    """The PEFT model of a model and an adapter; `how` goes to PEFT.

    Raises
    ------
    TmapError : the adapter is damaged, or belongs to another model
    """
    import torch
    from peft import PeftModel
    from safetensors import SafetensorError, safe_open

    config, weights = (folder / name for name in ADAPTER_FILES)
    if not isinstance(read_json(config), dict):
        raise broken(config, "it is no JSON object", weights)
    try:
        with safe_open(weights, framework="pt") as file:
            shapes = [file.get_slice(name).get_shape() for name in file.keys()]
    except SafetensorError as fault:
        raise broken(weights, f"it is no whole safetensors file ({fault})") from None
    if not shapes:
        raise broken(weights, "it has no weights")
    try:
        return PeftModel.from_pretrained(model, str(folder), **how)
    except torch.OutOfMemoryError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as fault:
        reason = f"{type(fault).__name__}: {fault}"
        raise broken(
            config, f"it does not fit the model or the weights ({reason})", weights
        ) from None

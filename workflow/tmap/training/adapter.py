"""An adapter on disk: two files that plain PEFT loads; equal runs give equal bytes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from tmap.artifacts.files import make_folder, sync_folder

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def save(
    model: Any,
    folder: Path,
    base: str,
    revision: str | None,
    state: dict[str, Any] | None = None,
) -> None:
    """Write weights and configuration of a PEFT model into `folder`.

    Parameters
    ----------
    base, revision : the base model that the configuration names, in place of its path
        on this machine
    state : its weights, if `model` does not have them as they are
    """
    make_folder(folder)
    temporary = folder / f".{os.getpid()}.tmp"
    try:
        # Not "auto": that asks the hub about the base model's vocabulary.
        model.save_pretrained(temporary, save_embedding_layers=False, state_dict=state)
        _write_config(temporary / CONFIG, base, revision)
        for name in (CONFIG, WEIGHTS):
            _sync(temporary / name)
            os.replace(temporary / name, folder / name)
        sync_folder(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_config(path: Path, base: str, revision: str | None) -> None:
    """Name the base model, and sort what PEFT keeps as a set (in hash order)."""
    values = json.loads(path.read_text(encoding="utf-8"))
    values["base_model_name_or_path"] = base
    values["revision"] = revision
    if isinstance(values["target_modules"], list):
        values["target_modules"].sort()
    path.write_text(
        json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )


def _sync(path: Path) -> None:
    with open(path, "rb+") as handle:
        os.fsync(handle.fileno())

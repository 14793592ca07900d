"""Checkpoints from which a killed run resumes, and which no other run uses."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

from tmap.training.rows import TrainingRows

RUN = re.compile("[0-9a-f]{16}")


def name(rows: TrainingRows, settings: dict[str, Any]) -> str:
    """16 hex digits over all token ids, labels and settings of a run."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for row in rows.rows:
        digest.update(json.dumps(row).encode())
    return digest.hexdigest()[:16]


def clear(scratch: Path) -> None:
    """Remove the checkpoints of every run in `scratch`, and `scratch` if it is empty."""
    for folder in scratch.glob("*"):
        if RUN.fullmatch(folder.name):
            shutil.rmtree(folder)
    if scratch.is_dir() and not any(scratch.iterdir()):
        scratch.rmdir()


def latest(folder: Path) -> Path | None:
    """The newest complete checkpoint in `folder`, or None.

    A run may be killed while it writes one. The trainer writes its state last, so a
    checkpoint whose state cannot be read is incomplete.
    """
    found = [(int(p.name.rpartition("-")[2]), p) for p in folder.glob("checkpoint-*")]
    for _, path in sorted(found, reverse=True):
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return path
    return None

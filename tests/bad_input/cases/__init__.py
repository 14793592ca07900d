"""Mistakes of users, one table per kind: card, pool, questions, ... (test_bad_input).

A case makes one mistake and names three parts of the sentence that must report it:
what is wrong with the value, what would be right, and what to do.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

#: In the environment of every case; no sentence may repeat it.
SECRET = "hf_" + "s3cret" * 5


@dataclass(frozen=True)
class Room:
    """Where a case happens: an empty working directory with a card folder."""

    path: Path
    patch: pytest.MonkeyPatch
    llama: dict[str, Any]
    serve: Callable[..., Any]

    def write(self, name: str, text: str | bytes) -> str:
        """Write a file below the working directory; return its name."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return name

    def jsonl(self, rows: list[Any], name: str = "rows.jsonl") -> str:
        """Write rows as JSON Lines; text is written unchanged."""
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        return self.write(name, "\n".join(lines) + "\n")


@dataclass(frozen=True)
class Case:
    """One mistake, and three parts of the sentence that reports it.

    Attributes
    ----------
    do : makes the mistake; raises TmapError
    typo : the mistake is only a misspelt name
    """

    name: str
    do: Callable[[Room], Any]
    wrong: str
    right: str
    fix: str
    typo: bool = False

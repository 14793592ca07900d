"""Every answer that the search has paid for, one JSON line each, saved before it is used.

    {"type": "answers", "key": "9f2c...", "correct": "0110...", "new_tokens": 812, ...}
    {"type": "scores", "key": "03be...", "scores": [-1.31, ...], "rows": 128}
    {"type": "search", "search": "71ab...", "versions": {"numpy": "2.4.6", ...}}
    {"type": "batch", "engine": "transformers|...", "rows": 500}
    {"type": "proposal", "search": "71ab...", "iteration": 0, "weights": [...], ...}

Answers are keyed by the exact request, so they remain valid if the search changes.
Proposals belong to one search and let a resumed run check that it follows the same path.
If a kill leaves an incomplete last line, the next start drops it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tmap.artifacts.files import make_folder, sync_folder
from tmap.engines.base import LanguageModel
from tmap.errors import TmapError
from tmap.jobs import attempts

logger = logging.getLogger(__name__)


class Ledger:
    """An append-only file of records; a record is on disk when `append` returns.

    Parameters
    ----------
    path : file to read, repair and append to; created with its folder if absent
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        make_folder(self.path.parent)
        self.answers: dict[str, dict[str, Any]] = {}
        self.scores: dict[str, dict[str, Any]] = {}
        self.searches: dict[str, dict[str, Any]] = {}
        self.batches: dict[str, int] = {}
        self.proposals: dict[str, dict[int, dict[str, Any]]] = {}
        self._read()

    def append(self, record: dict[str, Any]) -> None:
        """Write one line and wait until it is on disk."""
        line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
        is_new = not self.path.exists()
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            view = line.encode()
            while view:
                view = view[os.write(file, view) :]
            os.fsync(file)
        finally:
            os.close(file)
        if is_new:
            sync_folder(self.path.parent)
        self._index(record)
        attempts.kept()

    def marks(self, keys: Sequence[str], n: int) -> np.ndarray:
        """(n_keys, n) bool: which of n questions each kept record answers correctly.

        Raises
        ------
        TmapError : a record has not one 0 or 1 per question
        """
        rows = [self.answers[key].get("correct") for key in keys]
        for key, text in zip(keys, rows, strict=True):
            if not isinstance(text, str) or len(text) != n or set(text) - set("01"):
                raise TmapError(
                    f"{self.path}: the answers with key {key} are not {n} times 0 or 1, "
                    "so the line is damaged. Remove that line to lose one evaluation, or "
                    "the file to lose all."
                )
        marks = np.array([[c == "1" for c in str(text)] for text in rows], dtype=bool)
        return marks.reshape(len(keys), n)

    def keep_batch(self, lm: LanguageModel) -> None:
        """Keep the batch size that this ledger began with, or less if memory ran out.

        Another batch size may round differently, so a resumed search uses the recorded one.
        """
        rows, known = lm.batch_size, self.batches.get(lm.key)
        if known is not None and rows >= known:
            lm.batch_size = known
            return
        if known is not None:
            logger.warning(
                "%s: answers so far were computed %d rows at a time, from here on %d: "
                "in bfloat16 they may round differently. A GPU with as much free memory "
                "as before avoids that",
                self.path,
                known,
                rows,
            )
        self.append({"type": "batch", "engine": lm.key, "rows": rows})

    def _index(self, record: dict[str, Any]) -> None:
        if record["type"] == "answers":
            self.answers[record["key"]] = record
            int(record["new_tokens"])
        elif record["type"] == "scores":
            self.scores[record["key"]] = record
        elif record["type"] == "batch":
            self.batches[record["engine"]] = record["rows"]
        elif record["type"] == "search":
            self.searches[record["search"]] = record
        else:
            steps = self.proposals.setdefault(record["search"], {})
            steps[record["iteration"]] = record

    def _read(self) -> None:
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            logger.warning(
                "%s: dropped an incomplete last line of %d bytes",
                self.path,
                len(data) - whole,
            )
            with open(self.path, "r+b") as file:
                file.truncate(whole)
                os.fsync(file.fileno())
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            try:
                self._index(json.loads(line))
            except (ValueError, TypeError, KeyError, RecursionError):
                raise TmapError(
                    f"{self.path} line {number} is not a ledger record: {line[:60]!r}. "
                    "Remove that line to lose one evaluation, or the file to lose all."
                ) from None


def short_digest(value: Any) -> str:
    """32 hex digits of SHA-256 over canonical JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]

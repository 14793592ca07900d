"""Recorded replies, for runs without model, network or key.

Rows of {"request": ..., "reply": ...}, as JSON lines or parquet, or a folder of parquet
files such as results/store/replies, whose parts have these columns::

    {"request": {"messages": [{"role": "user", "content": "..."}]},
     "reply": {"text": "4.5"}}
    {"request": {"prompt": "..."}, "reply": {"tokens": [["5", -0.1], ["4", -2.4]]}}

A request must match exactly, so an edited template needs new recordings.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tmap.errors import TmapError
from tmap.judges import wire
from tmap.judges.base import JudgeReply, Question, Style, Want
from tmap.store import parts
from tmap.store.measurements import digest

if TYPE_CHECKING:
    from tmap.cards.judge import RecordedSection

logger = logging.getLogger(__name__)
#: Bytes of a line.
LONGEST = 2**24
FITS = {"digits": ("tokens", "digits"), "text": ("text",)}


class Recorded:
    """Looks replies up; `failed` if a request was not recorded."""

    def __init__(self, section: RecordedSection, style: Style) -> None:
        self.path, self.style = Path(section.path), style
        self._replies: dict[tuple[str, str], dict[str, Any]] = {}
        for request, reply in _rows(self.path):
            self._add(request, reply)

    def ask(self, questions: Sequence[Question], want: Want) -> list[JudgeReply]:
        """As `Asker.ask`.

        Raises
        ------
        TmapError
            If none of the requests was recorded.
        """
        names = [digest(wire.request(question, self.style)) for question in questions]
        found = [self._replies.get((want, name)) for name in names]
        if questions and not any(found):
            raise TmapError(
                f"None of {len(found)} requests is among the "
                f"{len(self._replies)} recorded in {self.path}; they must match exactly. "
                "Record the judge card's template and style, or fix `path:`."
            )
        missing = sum(raw is None for raw in found)
        if missing:
            logger.warning(
                "%s has no reply to %d of %d requests", self.path, missing, len(found)
            )
        return [JudgeReply("ok", raw) if raw else JudgeReply("failed") for raw in found]

    def _add(self, request: Any, reply: Any) -> None:
        wants = [w for w, names in FITS.items() if any(n in reply for n in names)]
        for want in wants:
            name = (want, digest(request))
            if self._replies.setdefault(name, reply) != reply:
                raise TmapError(
                    f"{self.path} has two different replies to one request; a recording "
                    "must come from one judge. Record each judge to its own file."
                )


def _rows(path: Path) -> Iterator[tuple[Any, Any]]:
    """(request, reply) of every row that has both."""
    if not path.exists():
        raise TmapError(
            f"No file '{path}'. `recorded: path:` in the judge card is relative to the "
            "working directory; fix it."
        )
    for number, (request, reply) in enumerate(_texts(path), start=1):
        try:
            row = [json.loads(v) if isinstance(v, str) else v for v in (request, reply)]
        except (ValueError, RecursionError):
            row = [None, None]
        if row[0] is None and isinstance(row[1], dict):
            continue  # a local model's measurement, whose request is token ids
        if not isinstance(row[0], dict) or not isinstance(row[1], dict):
            raise TmapError(
                f"{path} row {number}: request and reply must be JSON objects, such as "
                '{"request": {"prompt": "..."}, "reply": {"text": "4"}}. Fix the row.'
            )
        if not _fits(row[1]):
            raise TmapError(
                f"{path} row {number}: the reply must have a text under `text`, or a list "
                'of ["token", logprob] under `tokens`. Fix the row.'
            )
        yield row[0], row[1]


def _texts(path: Path) -> Iterator[tuple[Any, Any]]:
    if path.is_dir() or path.suffix == ".parquet":
        files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        for file in files:
            try:
                part = parts.read(file, ("request", "reply"))
            except parts.Vanished:
                raise TmapError(
                    f"{file} no longer exists: a running job has merged it. Name a copy "
                    "of the store under `recorded: path:` in the judge card, or run again."
                ) from None
            if part is not None:
                yield from zip(part.rows["request"], part.rows["reply"], strict=True)
        return
    with open(path, "rb") as lines:
        while line := lines.readline(LONGEST + 1):
            if len(line) > LONGEST:
                raise TmapError(
                    f"{path} has a line of more than {LONGEST:,} bytes; each line is one "
                    "reply. Write one JSON object per line."
                )
            if line.strip():
                yield _line(line)


def _line(line: bytes) -> tuple[Any, Any]:
    try:
        row = json.loads(line)
        return row["request"], row["reply"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None, None


def _fits(reply: dict[str, Any]) -> bool:
    """Whether what is in a reply has the form in which it is read."""
    text, pairs = reply.get("text", ""), reply.get("tokens", [])
    digits = reply.get("digits", [0.0] * 6)
    if not isinstance(digits, list) or len(digits) != 6:
        return False
    pairs = [*pairs, *(["", d] for d in digits)] if isinstance(pairs, list) else pairs
    return isinstance(text, str) and (
        isinstance(pairs, list)
        and all(
            isinstance(pair, list)
            and len(pair) == 2
            and isinstance(pair[0], str)
            and isinstance(pair[1], (int, float))
            for pair in pairs
        )
    )

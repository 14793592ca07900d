"""The instruction pool: every row is kept, or rejected with a reason."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from tmap.cards.dataset import PoolSource
from tmap.data.cells import Cells, counted, identity, missing
from tmap.data.chats import Unusable
from tmap.data.formats import Candidate, reader
from tmap.data.overlap import OverlapIndex
from tmap.data.sources import rows
from tmap.data.sources.files import Row
from tmap.errors import TmapError

logger = logging.getLogger(__name__)
OVERLAP = "contains benchmark question"
SHOWN = 3


@dataclass
class Pool:
    """The result of `read`: two tables and notes on them."""

    kept: pd.DataFrame
    rejected: pd.DataFrame
    notes: dict[str, Any]


@dataclass
class _Ledger:
    """Rows so far, and the values that must be unique among them."""

    kept: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    hashes: dict[str, int] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    unread: Counter[str] = field(default_factory=Counter)
    placeholders: Counter[str] = field(default_factory=Counter)

    def reject(self, line: int, fault: Unusable) -> None:
        self.kinds[fault.kind] += 1
        self.rejected.append({"line": line, "reason": str(fault)})


def text_hash(candidate: Candidate) -> str:
    """SHA-256 of all text of a candidate as canonical JSON, 16 hex digits."""
    parts = {
        "instruction": candidate.instruction,
        "input": candidate.input,
        "response": candidate.response,
        "turns": candidate.turns,
    }
    canonical = json.dumps(
        parts, ensure_ascii=False, sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()[:16]


def read(
    dataset: str,
    source: PoolSource,
    question_ngrams: pd.DataFrame,
    *,
    ngram: int = 13,
    share: float = 0.5,
    by_letter: bool = False,
) -> Pool:
    """Read and check a pool; keep or reject each row.

    Parameters
    ----------
    dataset : card name; part of the sample ids of a source without an id column
    source : its place, format and columns
    question_ngrams : table 'question_ngrams' of this dataset, made with the same n
    ngram : words per n-gram
    share : share of a question's n-grams at which a row is dropped
    by_letter : how a question with options becomes a sample: see `formats.reader`

    Returns
    -------
    Pool
        Kept rows in the order of the source; rejected rows with line and reason; notes
        with counts by kind of reason, `overlap_share` in [0, 1]: rows dropped for
        overlap among all that were otherwise good, `not_read`: columns that kept rows
        have and nobody reads, with the number of rows, and `placeholders`: cells that
        were read as empty.

    Raises
    ------
    TmapError
        No row is left, the source cannot be read, or its format cannot be detected.
    """
    table = rows.open_source(source)
    index = OverlapIndex(question_ngrams, ngram, share)
    ledger = _Ledger()
    read_row: Callable[[Cells], Candidate] | None = None
    for row in table:
        if read_row is None and isinstance(row.value, Mapping):
            values = (other.value for other in table)
            read_row = reader(
                source, columns(table), by_letter=by_letter, values=values
            )
        try:
            _admit(dataset, source, ledger, index, row, read_row)
        except Unusable as fault:
            ledger.reject(row.number, fault)
    if not ledger.kept:
        raise TmapError(_nothing_left(table.place, ledger))
    if not source.world:
        _report(ledger)
    return Pool(
        kept=pd.DataFrame(ledger.kept).assign(source=table.place),
        rejected=pd.DataFrame(ledger.rejected, columns=["line", "reason"]),
        notes=table.about() | _notes(ledger),
    )


def columns(table: rows.Table, look_at: int = 100) -> dict[str, bool]:
    """Column names of the first rows -> whether one of them has a value there."""
    filled: dict[str, bool] = {}
    for row in table:
        if isinstance(row.value, Mapping):
            for name, value in row.value.items():
                filled[str(name)] = filled.get(str(name), False) or not missing(value)
            look_at -= 1
        if look_at == 0:
            break
    return filled


def _admit(
    dataset: str,
    source: PoolSource,
    ledger: _Ledger,
    index: OverlapIndex,
    row: Row,
    read_row: Callable[[Cells], Candidate] | None,
) -> None:
    """Keep the row or raise Unusable; of two equal rows the first is kept."""
    if row.fault is not None:
        kind, _, detail = row.fault.partition(": ")
        raise Unusable(kind, detail)
    if not isinstance(row.value, Mapping) or read_row is None:
        raise Unusable("not an object", type(row.value).__name__)
    cells = Cells(row.value, source.ignore)
    candidate = read_row(cells)
    sample_id = _sample_id(dataset, source, row.number, cells)
    digest = text_hash(candidate)
    if digest in ledger.hashes:
        raise Unusable("duplicate", f"of line {ledger.hashes[digest]}")
    if sample_id in ledger.ids:
        raise Unusable("duplicate id", f"of line {ledger.ids[sample_id]}")
    question = index.find(candidate.asked)
    if question is not None:
        raise Unusable(OVERLAP, question)
    ledger.unread.update(cells.unread())
    ledger.placeholders.update(text.strip() for text in cells.placeholders)
    ledger.hashes[digest] = ledger.ids[sample_id] = row.number
    ledger.kept.append(
        {
            "sample_id": sample_id,
            "instruction": candidate.instruction,
            "input": candidate.input,
            "response": candidate.response,
            "turns": candidate.turns,
            "text_hash": digest,
        }
    )


def _sample_id(dataset: str, source: PoolSource, number: int, row: Cells) -> str:
    name = source.columns.get("id")
    if name is None:
        return f"{dataset}-{number:07d}"
    value = row.get(name)
    found = identity(value)
    if found is None:
        what = f"no '{name}'" if missing(value) else f"'{name}' is {value!r:.40}"
        raise Unusable("missing id", what)
    return found


def _notes(ledger: _Ledger) -> dict[str, Any]:
    dropped = ledger.kinds[OVERLAP]
    return {
        "rejected": dict(sorted(ledger.kinds.items())),
        "overlap_share": dropped / (dropped + len(ledger.kept)),
        "not_read": dict(ledger.unread),
        "placeholders": dict(sorted(ledger.placeholders.items())),
    }


def _report(ledger: _Ledger) -> None:
    """Name what rows have and the pool leaves out."""
    if ledger.unread:
        logger.info(
            "not read, with the number of rows that have it: %s. Name a column under "
            "`pool.columns:` to read it, or under `pool.ignore:`",
            counted(ledger.unread),
        )
    if ledger.placeholders:
        told = ", ".join(f"{text!r} ({n})" for text, n in ledger.placeholders.items())
        logger.info("cells that only say there is nothing, read as empty: %s", told)


def _nothing_left(place: str, ledger: _Ledger) -> str:
    if not ledger.rejected:
        return f"The pool '{place}' has no rows. Name a file with rows."
    first = "; ".join(
        f"line {fault['line']}: {fault['reason']}" for fault in ledger.rejected[:SHOWN]
    )
    return (
        f"No row of the pool '{place}' can be used: all {len(ledger.rejected)} were "
        f"rejected ({first}). Fix `pool.format:` and `pool.columns:` in the dataset "
        "card, or the file."
    )

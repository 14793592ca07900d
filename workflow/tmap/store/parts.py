"""The files of the measurement store: written once, merged, never changed.

A part that goes has always been read whole and written again into another, which is on
disk first. So any number of jobs may write, read and merge the same folder, also over
NFS: the worst that can happen is that two parts hold the same row.
"""

from __future__ import annotations

import errno
import logging
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tmap.artifacts import tables
from tmap.artifacts.provenance import fingerprint
from tmap.errors import TmapError

logger = logging.getLogger(__name__)
COLUMNS = ["key", "request", "reply"]


class Part(NamedTuple):
    """Rows of table 'measurements', and who was asked by the first digits of a key."""

    rows: pd.DataFrame
    asked: dict[str, Any]


class Vanished(Exception):
    """The part is gone: another job has merged it into a new one."""


def listed(folder: Path) -> list[Path]:
    """The parts of a folder; sorted by name, which is the order of their writing."""
    return sorted(folder.glob("part-*.parquet"))


def write(folder: Path, part: Part, instead_of: Path | None = None) -> Path:
    """Write a part, on disk when this returns; it takes the place of another in order."""
    when = instead_of.name[5:25] if instead_of else f"{time.time_ns():020d}"
    path = folder / f"part-{when}-{uuid.uuid4().hex[:8]}.parquet"
    code = fingerprint("tmap.store.parts")
    tables.write("measurements", part.rows, path, code=code, asked=part.asked)
    return path


def read(path: Path, columns: Sequence[str] = COLUMNS) -> Part | None:
    """A part; None, with a warning, where it is not readable.

    Raises
    ------
    Vanished
        If the file is there no more.
    """
    try:
        table = pq.read_table(path, columns=list(columns), partitioning=None)
        about = tables.metadata(path)
    except FileNotFoundError:
        raise Vanished(path) from None
    except (pa.ArrowInvalid, OSError, TmapError) as fault:
        if getattr(fault, "errno", None) == errno.ESTALE or not path.exists():
            raise Vanished(path) from None
        logger.warning("%s is not readable (%s): its rows are left out", path, fault)
        return None
    return Part(table.to_pandas(), about.get("asked", {}))


def merge(paths: Sequence[Path]) -> Path | None:
    """One part with the rows of these, which go then; None if there is nothing to merge.

    Of two rows with one key the earlier part's stays. What is not readable is left alone.
    """
    found: dict[Path, Part] = {}
    for path in sorted(paths):
        try:
            part = read(path)
        except Vanished:
            continue
        if part is not None:
            found[path] = part
    if len(found) < 2:
        return None
    rows = pd.concat([part.rows for part in found.values()], ignore_index=True)
    asked = {k: who for part in found.values() for k, who in part.asked.items()}
    first = next(iter(found))
    merged = write(first.parent, Part(rows.drop_duplicates("key"), asked), first)
    for path in found:
        path.unlink(missing_ok=True)
    return merged

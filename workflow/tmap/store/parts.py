"""The files of the measurement store: written once, merged, never changed.

A part is deleted only after all of it has been read and written to another part, which is
on disk first. So any number of jobs may write, read and merge in the same folder, also
over NFS. The worst that can happen is that two parts contain the same row.
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

from tmap.artifacts import tables
from tmap.artifacts.provenance import fingerprint
from tmap.errors import TmapError

logger = logging.getLogger(__name__)
COLUMNS = ["key", "request", "reply"]


class Part(NamedTuple):
    """Rows of table 'measurements', and who was asked, by the first digits of a key."""

    rows: pd.DataFrame
    asked: dict[str, Any]


class Vanished(Exception):
    """The part is gone: another job has merged it into a new one."""


def listed(folder: Path) -> list[Path]:
    """The parts of a folder, sorted by name, which is the order of writing."""
    return sorted(folder.glob("part-*.parquet"))


def write(folder: Path, part: Part, instead_of: Path | None = None) -> Path:
    """Write a part, on disk when this returns; it takes the position of `instead_of`."""
    when = instead_of.name[5:25] if instead_of else f"{time.time_ns():020d}"
    path = folder / f"part-{when}-{uuid.uuid4().hex[:8]}.parquet"
    code = fingerprint("tmap.store.parts")
    tables.write("measurements", part.rows, path, code=code, asked=part.asked)
    return path


def read(path: Path, columns: Sequence[str] = COLUMNS) -> Part | None:
    """A part; None, with a warning, if it is not readable.

    Raises
    ------
    Vanished
        If the file is no longer there.
    """
    try:
        about = tables.metadata(path)
        rows = tables.read(about["schema"], path, list(columns))
    except (OSError, TmapError) as fault:
        # `tables` gives errors of the file system words; what it was is behind them.
        numbers = [getattr(one, "errno", None) for one in (fault, fault.__context__)]
        if errno.ESTALE in numbers or not path.exists():
            raise Vanished(path) from None
        logger.warning("%s is not readable (%s): its rows are left out", path, fault)
        return None
    return Part(rows, about.get("asked", {}))


def merge(paths: Sequence[Path]) -> Path | None:
    """Merge parts into one and delete them; None if there is nothing to merge.

    If two rows have the same key, the earlier part's is kept. Unreadable parts stay.
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

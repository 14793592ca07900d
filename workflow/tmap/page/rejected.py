"""Rows of the source that never became candidates, by reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from tmap.artifacts import tables

#: Reasons that are listed, and rows that are named for each.
REASONS, NAMED = 30, 12


def look(path: Path) -> dict[str, Any]:
    """Rejected rows by kind of reason, most first.

    Parameters
    ----------
    path : pool.rejected.parquet
    """
    frame = tables.read("pool_rejected", path)
    kinds = frame["reason"].map(kind) if len(frame) else pd.Series(dtype=str)
    found = [
        {
            "kind": name,
            "n": len(part),
            "rows": [[int(r.line), r.reason] for r in part.head(NAMED).itertuples()],
        }
        for name, part in frame.groupby(kinds, sort=False)
    ]
    found.sort(key=lambda reason: -reason["n"])
    return {"n": len(frame), "reasons": found[:REASONS], "n_reasons": len(found)}


def kind(reason: str) -> str:
    """A reason without the values that it quotes, so that equal ones count together."""
    return re.sub(r"'[^']*'|\d[\d,.]*", "…", reason)

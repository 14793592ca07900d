"""The content of a table: its cells in order, and the text printed around them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass
class Cells:
    """One table.

    Attributes
    ----------
    rows : one dictionary per cell: row, column, value and more columns of table 'cells'
    unit : of the values, for people
    scale, decimals : a value is printed times `scale`, with this many decimals
    apart : rows that are never marked as the best (they select nothing)
    lines : sentences printed below the table: verdicts, effects, warnings
    best : whether the largest value of a column is marked
    along : the quantity whose values are the columns; the picture then has a line per row
    """

    rows: list[dict[str, Any]]
    unit: str
    scale: float = 100.0
    decimals: int = 1
    apart: frozenset[str] = frozenset()
    lines: list[str] = field(default_factory=list)
    best: bool = False
    along: str = ""
    frame: pd.DataFrame = field(default_factory=pd.DataFrame)

    def notes(self) -> dict[str, Any]:
        """The notes for the metadata of the table."""
        return {"unit": self.unit, "lines": self.lines}

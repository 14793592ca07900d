"""What a kind of table hands over: cells in order, and what is printed around them."""

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
    scale, decimals : how a value is printed: `scale` times it, with so many decimals
    apart : rows that no mark for the best may stand on (they select nothing)
    lines : sentences printed below the table: verdicts, effects, warnings
    best : whether the largest value of a column is marked
    along : what the columns are values of; then the picture has a line per row
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
        """For the metadata of the table."""
        return {"unit": self.unit, "lines": self.lines}

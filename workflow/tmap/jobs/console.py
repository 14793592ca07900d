"""What a command prints to a terminal, a log or a pipe, and tables for other programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

#: Columns of a page or a log, if there is no terminal with a width.
WIDTH = 100


def console() -> Console:
    """Standard output: as wide as the terminal, or `WIDTH` columns of plain text."""
    return Console(width=None if sys.stdout.isatty() else WIDTH)


def tsv(records: Sequence[Mapping[str, Any]]) -> str:
    """Tab-separated lines: a heading, then one line per record, all with the same keys.

    None is empty. Tabs and line ends within a value become spaces.
    """
    lines = [list(records[0])] if records else []
    lines += [["" if v is None else str(v) for v in one.values()] for one in records]
    return "".join(
        "\t".join(" ".join(cell.split()) for cell in line) + "\n" for line in lines
    )

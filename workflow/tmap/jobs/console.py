"""The console that a command prints to: a terminal, a log or a pipe."""

from __future__ import annotations

import sys

from rich.console import Console

#: Columns of a page or a log, if there is no terminal with a width.
WIDTH = 100


def console() -> Console:
    """Standard output: as wide as the terminal, or `WIDTH` columns of plain text."""
    return Console(width=None if sys.stdout.isatty() else WIDTH)

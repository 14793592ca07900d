"""Faults that the reader can mend: one sentence, no traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TmapError(Exception):
    """What is wrong, with the value; what would be right; what to do.

    Anything raised as another class is a bug and keeps its traceback.
    """


class OutOfMemory(TmapError):
    """The job took more of the machine's memory than it was granted."""


class BudgetSpent(TmapError):
    """A card's budget has no room left: no further attempt may spend more unasked."""


def nearest(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the known name closest to `name`, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def unknown(kind: str, name: str, known: Iterable[str], cure: str) -> TmapError:
    """The error for a name that is in no list: nearest name, all names, cure."""
    known = sorted(known)
    listed = ", ".join(known) or "none"
    return TmapError(
        f"No {kind} '{name}'.{nearest(name, known)} Known: {listed}. {cure}"
    )

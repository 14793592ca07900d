"""Errors that the user can fix: one sentence, no traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib.util import find_spec


class TmapError(Exception):
    """What is wrong, with the value; what would be right; what to do.

    Anything raised as another class is a bug and keeps its traceback.
    """

    def __init__(self, sentence: object = "") -> None:
        # Names and values of other people may contain line ends; a sentence has none.
        text = str(sentence).replace("\r", "\\r").replace("\n", "\\n")
        super().__init__(text)


class OutOfMemory(TmapError):
    """The job used more of the machine's memory than it was granted."""


class BudgetSpent(TmapError):
    """A card's budget is spent, and no further attempt may exceed it unasked."""


def lacking(fault: ImportError, who: str = "This job") -> TmapError:
    """The error for a package that an optional feature needs and that is not there."""
    words = " ".join(str(fault).split())[:300].rstrip(".")
    return TmapError(
        f"{who} needs a package that cannot be imported ({words}). It must be in the "
        "environment that runs the job. Install it there with pip, or change the card "
        "that asks for it."
    )


def require(package: str, user: str, install: str) -> None:
    """Stop if an optional package is not there.

    Parameters
    ----------
    package : as it is imported
    user : what needs it, as the user wrote it: "metric: math_verify"
    install : what pip is told to install
    """
    if find_spec(package) is None:
        raise TmapError(
            f"{user} needs the package {package}, which is not installed. Install it: "
            f"pip install {install}."
        )


def several(names: Iterable[object], most: int = 20) -> str:
    """Names that other people gave, as a sentence shows them: not all, and no long ones."""
    found = [str(name) for name in names]
    told = [text if len(text) <= 60 else f"{text[:57]}..." for text in found[:most]]
    if len(found) > most:
        told.append(f"and {len(found) - most:,} more")
    return ", ".join(told) or "none"


def nearest(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the known name closest to `name`, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def unknown(kind: str, name: str, known: Iterable[str], fix: str) -> TmapError:
    """The error for an unknown name: the nearest name, all names, and how to fix it."""
    known = sorted(known)
    listed = ", ".join(known) or "none"
    return TmapError(
        f"No {kind} '{name}'.{nearest(name, known)} Known: {listed}. {fix}"
    )

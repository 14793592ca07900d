"""Refuse a target whose cards do not exist."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tmap import cards
from tmap.artifacts.names import CONSENSUS, RESERVED
from tmap.dag import indicators


def check(target: str) -> None:
    """Refuse a target whose path names an unknown card, with the nearest known one.

    Snakemake itself would only report that no rule makes it.
    """
    parts = Path(target).parts
    if len(parts) < 3 or parts[0] != "results":
        return
    if parts[1] == "tables":
        for dataset in cards.load("experiments", Path(target).stem).datasets:
            indicators.check_options(dataset)
        return
    kinds: list[Literal["datasets", "models", "methods"]]
    kinds = ["datasets", "models", "methods"]
    for kind, name in zip(kinds, parts[1:-1], strict=False):
        if name in RESERVED or name.startswith(CONSENSUS):
            return
        cards.load(kind, name)
        if kind == "datasets":
            indicators.check_options(name)

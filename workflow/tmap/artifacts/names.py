"""How names become paths and patterns."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Folders under results/ that belong to no card, so no card may take the name.
RESERVED = (
    "models",
    "logs",
    "benchmarks",
    "tables",
    "store",
    "indicators",
    "embeddings",
    "gradients",
    "anchors",
    "looks",
)

#: Replaces the model in paths of searches that several models share; no card's name has
#: a "-".
CONSENSUS = "consensus-"

LEGAL = re.compile(r"[a-z0-9][a-z0-9_]*")


def one_of(names: Iterable[str]) -> str:
    """A wildcard constraint that matches exactly these names; without names, nothing.

    To Snakemake, an empty constraint would mean *anything*.
    """
    return "|".join(re.escape(name) for name in sorted(names)) or "(?!)"

"""Variants of a method's subset: another size, or other weights.

Each is in its own folder below the method's, and is trained and measured in the same way::

    .../tmap/s0/f0.1/       a tenth of the pool, by the same ranking
    .../random/s0/n16/      its first 16 rows
    .../tmap/s0/k3/         the selection of sentinel 3 (`tmap.search.certificate`)
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tmap.errors import TmapError

PATTERN = r"f0\.[0-9]+|f1|n[0-9]+|k[0-9]+"


class Part(NamedTuple):
    """`kind` is f (a share of the pool), n (a number of rows) or k (a sentinel)."""

    kind: str
    value: float


def parse(name: str) -> Part:
    """`f0.1` -> Part('f', 0.1)."""
    if not re.fullmatch(PATTERN, name):
        raise TmapError(
            f"'{name}' names no part of a selection; f0.1 (a share), n16 (rows) and k3 "
            "(a sentinel) do. Fix the path."
        )
    return Part(name[0], float(name[1:]))


def of_fraction(fraction: float) -> str:
    """The folder of a share of the pool: 0.1 -> f0.1."""
    return f"f{fraction:g}"


def fraction(name: str, card: float, n_rows: int) -> float:
    """M / N of a part; the card's own for a sentinel or without a part."""
    if not name:
        return card
    part = parse(name)
    if part.kind == "k":
        return card
    if part.kind == "n" and part.value > n_rows:
        raise TmapError(
            f"{name} takes {part.value:.0f} rows of a pool of {n_rows}. Ask for fewer."
        )
    return part.value if part.kind == "f" else part.value / n_rows

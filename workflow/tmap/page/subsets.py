"""Which subsets share rows, and how many chance alone would make them share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def look(
    subsets: Sequence[tuple[str, np.ndarray]], total: int, foreign: Sequence[str]
) -> dict[str, Any]:
    """Sizes, shared rows of every two subsets, and what two draws would share.

    Parameters
    ----------
    subsets : name and row numbers of each
    total : rows of the pool
    foreign : names of subsets whose rows are not of this pool
    """
    sizes = [len(rows) for _, rows in subsets]
    chosen = np.zeros((len(sizes), total), dtype=bool)
    for row, (_, rows) in zip(chosen, subsets, strict=True):
        row[rows] = True
    shared = [[int((a & b).sum()) for b in chosen] for a in chosen]
    pairs = [[by_chance(a, b, total) for b in sizes] for a in sizes]
    return {
        "names": [name for name, _ in subsets],
        "sizes": sizes,
        "shared": shared,
        "expected": [[mean for mean, _ in row] for row in pairs],
        "spread": [[sd for _, sd in row] for row in pairs],
        "foreign": list(foreign),
    }


def by_chance(a: int, b: int, total: int) -> tuple[float, float]:
    """Mean and standard deviation of the rows that two random subsets share.

    The hypergeometric distribution: a of `total` rows are marked, and b are drawn.
    """
    if total < 2:
        return float(min(a, b)), 0.0
    share = a / total
    rest = (total - b) / (total - 1)
    return b * share, float(np.sqrt(b * share * (1 - share) * rest))

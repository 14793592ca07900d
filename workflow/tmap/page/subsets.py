"""Which subsets share rows, and how many chance alone would make them share."""

from __future__ import annotations

from typing import Any

import numpy as np

from tmap.page.results import Results


def look(found: Results) -> dict[str, Any]:
    """Sizes, shared rows of every two subsets, and what two draws would share."""
    total = len(found.pool)
    sizes = [len(subset.rows) for subset in found.subsets]
    chosen = np.zeros((len(sizes), total), dtype=bool)
    for row, subset in zip(chosen, found.subsets, strict=True):
        row[subset.rows] = True
    shared = [[int((a & b).sum()) for b in chosen] for a in chosen]
    pairs = [[by_chance(a, b, total) for b in sizes] for a in sizes]
    return {
        "names": [subset.name for subset in found.subsets],
        "sizes": sizes,
        "shared": shared,
        "expected": [[mean for mean, _ in row] for row in pairs],
        "spread": [[sd for _, sd in row] for row in pairs],
        "foreign": found.foreign,
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

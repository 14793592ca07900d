"""What each indicator's column looks like, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tmap.page.results import Results

N_BINS = 32
#: Rows outside these quantiles are counted, not drawn, in the histogram of raw values.
CENTRE = (0.005, 0.995)
#: A column is flattened if this share of its rows is within half of its range.
MOST, HALF = 0.99, 0.5
#: Interquartile ranges beyond the quartiles at which a row is an outlier (Tukey's outer
#: fences), and how many outliers are named.
FENCE, NAMED = 3.0, 4


def look(found: Results) -> dict[str, Any]:
    """Histograms, marks and outliers of every column, and their rank correlations."""
    names = list(found.columns)
    return {
        "columns": [_column(found, name) for name in names],
        "correlations": _correlations(found, names),
    }


def marks(raw: np.ndarray, scaled: np.ndarray) -> list[str]:
    """What makes a column a poor one to weigh, as sentences.

    Parameters
    ----------
    raw : (N,) NaN where unscored
    scaled : (N,) in [0, 1], what the weight multiplies
    """
    known = ~np.isnan(raw)
    if not known.any():
        return ["no row is scored"]
    if np.ptp(raw[known]) == 0:
        return ["constant: every scored row has the same value, so it chooses nothing"]
    width = _narrowest(np.sort(scaled[known]))
    if width >= HALF:
        return []
    few = 1 - MOST
    return [
        f"flattened: {MOST:.0%} of the rows are within {width:.1%} of the scaled range, "
        f"and {few:.0%} or less span the rest; its weight mostly ranks outliers. "
        "normalise: rank (or robust) in the method card spreads it"
    ]


def _narrowest(ordered: np.ndarray) -> float:
    """Width of the narrowest interval that has `MOST` of the ordered values."""
    n = int(np.ceil(MOST * len(ordered)))
    if n >= len(ordered):  # under 100 rows, no single one is the odd 1 %
        return float(ordered[-1] - ordered[0])
    return float((ordered[n - 1 :] - ordered[: len(ordered) - n + 1]).min())


def _scaling(found: Results, name: str) -> str:
    """How most subsets scale this column; min-max if none weighs it."""
    hows = [s.normalise for s in found.subsets if name in s.columns]
    return max(hows, key=hows.count, default="minmax")


def _column(found: Results, name: str) -> dict[str, Any]:
    column, how = found.columns[name], _scaling(found, name)
    raw, known = column.raw, ~np.isnan(column.raw)
    scaled = found.columns.scaled(name, how)  # type: ignore[arg-type]
    status, n = np.unique(column.status[~known].astype(str), return_counts=True)
    return {
        "name": name,
        "normalise": how,
        "unscored": dict(zip(status.tolist(), n.tolist(), strict=True)),
        "n_distinct": len(np.unique(raw[known])),
        "quantiles": _quantiles(raw[known]),
        "marks": marks(raw, scaled),
        "raw": _histogram(found, raw, known, CENTRE),
        "scaled": _histogram(found, scaled, known, None),
        "outliers": _outliers(raw, known),
    }


def _quantiles(values: np.ndarray) -> list[float]:
    """Minimum, quartiles and maximum; empty without values."""
    return np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist() if len(values) else []


def _histogram(
    found: Results,
    values: np.ndarray,
    known: np.ndarray,
    centre: tuple[float, float] | None,
) -> dict[str, Any]:
    """Counts of the pool and of every subset in the same bins, and rows outside them."""
    if not known.any():
        return {"edges": [], "pool": [], "subsets": [], "below": 0, "above": 0}
    low, high = 0.0, 1.0
    if centre:
        low, high = np.quantile(values[known], centre)
        if low == high:
            low, high = float(values[known].min()), float(values[known].max())
    edges = np.array([low - 0.5, high + 0.5])
    if low < high:
        edges = np.linspace(low, high, N_BINS + 1)
    parts = [values[s.rows][known[s.rows]] for s in found.subsets]
    return {
        "edges": edges.tolist(),
        "pool": np.histogram(values[known], edges)[0].tolist(),
        "subsets": [np.histogram(part, edges)[0].tolist() for part in parts],
        "below": int((values[known] < edges[0]).sum()),
        "above": int((values[known] > edges[-1]).sum()),
    }


def _outliers(raw: np.ndarray, known: np.ndarray) -> dict[str, Any]:
    """How many rows are beyond the outer fences, and the rows furthest beyond them."""
    if not known.any():
        return {"n": 0, "rows": []}
    first, third = np.quantile(raw[known], [0.25, 0.75])
    reach = FENCE * (third - first)
    with np.errstate(invalid="ignore"):
        beyond = np.maximum(first - reach - raw, raw - third - reach)
    beyond[~known] = -np.inf
    n = int((beyond > 0).sum()) if reach > 0 else 0
    furthest = np.argsort(-beyond, kind="stable")[: min(NAMED, n)]
    return {"n": n, "rows": [[int(i), float(raw[i])] for i in furthest]}


def _correlations(found: Results, names: list[str]) -> list[list[float | None]]:
    """Spearman's rank correlation of every two columns; None for a constant one."""
    frame = pd.DataFrame({name: found.columns[name].raw for name in names})
    values = frame.corr("spearman").to_numpy()
    return [
        [None if np.isnan(v) else round(float(v), 3) for v in row] for row in values
    ]

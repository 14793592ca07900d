"""Indicator columns of one method, joined by sample id and scaled to [0, 1].

Worked example, `minmax`: raw scores 2, 6, NaN, 4 become 0, 1, 0, 0.5; the unscored row
gets the column's lowest value and is counted.

Source: TMAP section 3.1 (arXiv:2605.09665) asks for normalised scores; the treatment of
unscored rows, constant columns and the other two normalisations is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from tmap.artifacts import tables
from tmap.errors import TmapError

Normalise = Literal["minmax", "rank", "robust"]
#: Share of a column's range below which the rows inside of it count as one.
FLAT = 0.1


@dataclass(frozen=True)
class Features:
    """The columns that the weights multiply.

    Attributes
    ----------
    names : indicator of each column, from the file names, in the order of the files
    matrix : (n_samples, n_indicators) float64 in [0, 1], rows in the order of the pool
    warnings : sentences to print and to keep, about constant and unscored columns
    n_unscored : rows without a score, per indicator
    """

    names: list[str]
    matrix: np.ndarray
    warnings: list[str]
    n_unscored: dict[str, int]


def load(
    pool_ids: Sequence[str],
    files: Sequence[Path],
    *,
    normalise: Normalise,
    max_unscored: float,
) -> Features:
    """Read indicator tables and join them as columns.

    Parameters
    ----------
    pool_ids : n_samples unique sample ids; they fix the row order
    files : tables of kind 'indicator', named {indicator}.parquet
    normalise : minmax (the paper's) | rank (average ties) | robust (1-99 % clip first)
    max_unscored : share of unscored rows in [0, 1] up to which a column is accepted

    Raises
    ------
    TmapError
        if a table's ids are not exactly the pool's, or too many rows are unscored
    """
    names = [Path(file).stem for file in files]
    matrix = np.zeros((len(pool_ids), len(files)), order="F")  # read by column
    warnings: list[str] = []
    n_unscored: dict[str, int] = {}
    for column, (name, file) in enumerate(zip(names, files, strict=True)):
        scores = _join(pool_ids, tables.read("indicator", file), file)
        values = scores["score"].to_numpy(dtype=np.float64)
        n_unscored[name] = int(np.isnan(values).sum())
        if n_unscored[name]:
            warnings.append(_check_unscored(name, scores, max_unscored))
        matrix[:, column] = normalised(values, normalise)
        warnings += marks(name, pool_ids, values, normalise)
    return Features(names, matrix, warnings, n_unscored)


def normalised(values: np.ndarray, how: Normalise) -> np.ndarray:
    """Raw scores as numbers in [0, 1]: lowest 0, highest 1, in the same order.

    Parameters
    ----------
    values : (n_samples,) float64, finite or NaN (unscored: becomes 0)
    how : minmax: (x - low) / (high - low); rank: the same for the ranks, with ties at
        their average; robust: the same after a clip to the 1-99 % range

    Returns
    -------
    (n_samples,) float64 in [0, 1]; all 0 if every scored value is the same
    """
    scored = ~np.isnan(values)
    column = np.zeros(len(values))
    known = values[scored]
    if how == "rank":
        known = rankdata(known, method="average")
    elif how == "robust" and len(known):
        known = np.clip(known, *np.percentile(known, [1, 99]))
    if len(known) and known.max() > known.min():
        column[scored] = (known - known.min()) / (known.max() - known.min())
    return column


def marks(
    name: str,
    ids: Sequence[str],
    values: np.ndarray,
    normalise: Normalise,
    odd: int | None = None,
) -> list[str]:
    """Why a column hardly tells rows apart, as sentences; empty if it does.

    Parameters
    ----------
    ids, values : (n_samples,) sample ids, and raw scores, NaN where unscored
    odd : rows that together count as few; None: one in a hundred
    """
    found = []
    if normalise == "minmax":
        few = np.isfinite(values).sum() // 100 if odd is None else odd
        found = _flattened(name, ids, values, int(few))
    if not normalised(values, normalise).any():
        found.append(
            f"{name}: all scored rows are equal ({normalise}); the column is 0 "
            "and its weight has no effect."
        )
    return found


def _flattened(
    name: str, ids: Sequence[str], values: np.ndarray, few: int
) -> list[str]:
    """A warning if one row, or a few, leave the others little of the range.

    They may lie at one end of the range or, in equal parts, at both.
    """
    scored = np.flatnonzero(~np.isnan(values))
    order = scored[np.argsort(values[scored], kind="stable")]
    n = len(order)
    if n < 3:
        return []
    whole = values[order[-1]] - values[order[0]]
    few = min(few, n - 2)
    cuts = [(below, k - below) for k in (1, max(1, few)) for below in (0, k)]
    cuts.append((few // 2, few // 2))
    for below, above in cuts:
        low, high = values[order[below]], values[order[n - 1 - above]]
        if 0 < high - low < FLAT * whole:
            ends = (
                (order[0], low - values[order[0]]),
                (order[-1], values[order[-1]] - high),
            )
            far = max(ends, key=lambda end: end[1])[0]
            left = (high - low) / whole
            return [_told(name, ids[far], values[far], below + above, left)]
    return []


def _told(name: str, row: str, value: float, n_aside: int, left: float) -> str:
    who = f"row '{row}' ({value:.4g})"
    who = (
        who if n_aside == 1 else f"{n_aside} rows, the farthest '{row}' ({value:.4g}),"
    )
    verb = "leaves" if n_aside == 1 else "leave"
    return (
        f"{name}: {who} {verb} all other rows {left:.1%} of the range under minmax, so the "
        "column hardly tells them apart. Set `normalise: rank` or `normalise: robust` in "
        "the method card, or look at the row."
    )


def _join(pool_ids: Sequence[str], frame: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The rows of `frame` in the order of the pool; the ids must be the same set."""
    if _same(frame["sample_id"], pool_ids):
        return frame.set_index("sample_id")
    scores = frame.set_index("sample_id")
    wanted = pd.Index(pool_ids)
    faults = {
        "duplicated": scores.index[scores.index.duplicated()],
        "missing": wanted.difference(scores.index),
        "not in the pool": scores.index.difference(wanted),
    }
    found = [
        f"{len(ids)} {what} (first: '{ids[0]}')"
        for what, ids in faults.items()
        if len(ids)
    ]
    if found:
        raise TmapError(
            f"{file} does not match the pool: of its sample ids, {', '.join(found)}. "
            "It must contain each candidate once. Delete the file and build it again."
        )
    return scores.loc[wanted]


def _same(ids: pd.Series, pool_ids: Sequence[str]) -> bool:
    """Whether the ids are in the pool's order; then they need no index."""
    if len(ids) != len(pool_ids):
        return False
    return bool((ids.array == pd.Series(pool_ids, dtype="str").array).all())


def _check_unscored(name: str, scores: pd.DataFrame, max_unscored: float) -> str:
    """A warning about a column's unscored rows; a TmapError if there are too many."""
    missing = scores["score"].isna()
    counts = scores.loc[missing, "status"].value_counts().sort_index()
    reasons = ", ".join(f"{status} {n}" for status, n in counts.items())
    share = missing.mean()
    text = f"{missing.sum()} of {len(scores)} rows unscored ({share:.1%}: {reasons})"
    if share > max_unscored:
        first = scores.index[missing][0]
        raise TmapError(
            f"Indicator '{name}' left {text}; max_unscored allows {max_unscored:.1%}. "
            f"Fix the rows (first: sample '{first}'), drop '{name}' from the method "
            "card, or raise `max_unscored:` in the dataset card."
        )
    return f"{name}: {text}; they get the column's lowest value."

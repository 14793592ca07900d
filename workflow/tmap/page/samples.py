"""The rows of the pool as the page shows them, within its size.

Numbers of every row are packed (of the first `MOST_ROWS` in a larger pool), then texts, as
many as fit: both ends of every selection, the rows around its cut and the outliers first,
then the chosen rows and a sample of the others in turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tmap.artifacts import tables
from tmap.operations.preflight.prompts import pieces
from tmap.page import packing
from tmap.page.results import Results, Subset
from tmap.prompts.conversation import question_of, turns_of
from tmap.prompts.renderer import Renderer, clean
from tmap.training.rows import IGNORED, Row

MOST_ROWS, MOST_TEXTS = 200_000, 12_000
#: Rows at the top of a selection and on each side of its cut whose texts come first.
TOP, AROUND = 50, 100
#: Of each four further texts, one is of a row that was not chosen.
TURNS = 4
#: Characters of one stretch of a row that are kept, and of its start in the table.
LONGEST, START = 10_000, 160
CHUNK = 128


def look(
    found: Results,
    path: Path,
    method: str,
    outliers: list[int],
    renderer: Renderer,
    limit: int,
    room: int,
) -> dict[str, Any]:
    """Packed columns, ranks and marks of the rows, and texts of as many as fit.

    Parameters
    ----------
    path : pool.parquet
    method : whose rows come first
    outliers : row numbers that the page names
    renderer : of the target model, without stop texts
    limit : most tokens of a training row
    room : most characters of everything together
    """
    order = priority(found, method, outliers)
    n_rows = min(len(order), MOST_ROWS)
    while True:
        rows = np.sort(order[:n_rows])
        numbers = _numbers(found, rows)
        size = sum(map(len, _strings(numbers)))
        if size <= 0.75 * room:
            break
        n_rows = int(0.9 * n_rows * 0.75 * room / size)
    kept = order[: min(len(rows), MOST_TEXTS)]
    lengths, records = _read(path, found.pool, kept)
    place = np.searchsorted(rows, kept).tolist()
    made = (
        {"i": i, **_text(records[row], renderer, limit)}
        for i, row in zip(place, kept.tolist(), strict=True)
    )
    numbers["lengths"] = packing.integers(np.minimum(lengths[rows], 2**32 - 1))
    size = sum(map(len, _strings(numbers)))
    return {
        "n_pool": len(found.pool),
        "n": len(rows),
        "limit": limit,
        "at": None if len(rows) == len(order) else packing.integers(rows),
        **numbers,
        "texts": packing.until_full(made, room - size, CHUNK),
    }


def priority(found: Results, method: str, outliers: list[int]) -> np.ndarray:
    """(N,) row numbers, those whose texts matter most first.

    Parameters
    ----------
    method : whose subset comes before those of the others
    outliers : row numbers that the page names
    """
    own = [s for s in found.subsets if s.method == method]
    subsets = [*own, *(s for s in found.subsets if s.method != method)]
    first = [row for s in subsets if s.order is not None for row in _ends(s)]
    chosen = [row for s in subsets for row in s.rows.tolist()]
    chosen = list(dict.fromkeys([*first, *outliers, *chosen]))
    is_chosen = np.zeros(len(found.pool), dtype=bool)
    is_chosen[chosen] = True
    by_hash = np.argsort(found.ties, kind="stable")
    rest = by_hash[~is_chosen[by_hash]]
    n_first = len(dict.fromkeys([*first, *outliers]))
    turn = np.arange(len(chosen) - n_first) * TURNS / (TURNS - 1)
    keys = np.concatenate(
        [np.full(n_first, -1.0), turn, np.arange(len(rest)) * TURNS + 0.5]
    )
    rows = np.concatenate([np.array(chosen, dtype=np.int64), rest])
    return np.asarray(rows[np.argsort(keys, kind="stable")])


def _ends(subset: Subset) -> list[int]:
    """The top of a ranking and the rows around its cut."""
    assert subset.order is not None
    cut = len(subset.rows)
    by_rank = np.argsort(subset.order)
    around = by_rank[max(0, cut - AROUND) : cut + AROUND]
    return [*by_rank[:TOP].tolist(), *around.tolist()]


def _numbers(found: Results, rows: np.ndarray) -> dict[str, Any]:
    columns = [
        {
            "name": name,
            "raw": packing.floats(column.raw[rows]),
            "scaled": {
                how: packing.floats(found.columns.scaled(name, how)[rows])  # type: ignore[arg-type]
                if how == "rank"
                else _ends_of(found, name, how)
                for how in sorted(
                    {s.normalise for s in found.subsets if name in s.columns}
                )
            },
        }
        for name, column in found.columns.items()
    ]
    return {
        "ids": packing.texts(found.pool["sample_id"].iloc[rows].tolist()),
        "columns": columns,
        "subsets": [_subset(found, subset, rows) for subset in found.subsets],
    }


def _ends_of(found: Results, name: str, how: str) -> list[float]:
    """Raw values that become 0 and 1, which is all that the page needs to scale."""
    raw = found.columns[name].raw
    known = raw[~np.isnan(raw)]
    if not len(known):
        return [0.0, 0.0]
    if how == "robust":
        return np.percentile(known, [1, 99]).tolist()
    return [float(known.min()), float(known.max())]


def _subset(found: Results, subset: Subset, rows: np.ndarray) -> dict[str, Any]:
    chosen = np.zeros(len(found.pool), dtype=bool)
    chosen[subset.rows] = True
    first = found.subset(subset.method) is subset
    order = subset.order if first else None
    return {
        "name": subset.name,
        "method": subset.method,
        "s": subset.s,
        "size": len(subset.rows),
        "chosen": packing.bits(chosen[rows]),
        "rank": None if order is None else packing.integers(order[rows]),
        "columns": subset.columns,
        "weights": subset.weights,
        "normalise": subset.normalise,
        "mean": subset.mean,
    }


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)


def _read(
    path: Path, pool: pd.DataFrame, kept: np.ndarray
) -> tuple[np.ndarray, dict[int, dict[str, Any]]]:
    """(N,) characters of every row's text, and the kept rows by number."""
    wanted = set(kept.tolist())
    lengths = np.zeros(len(pool), dtype=np.int64)
    records: dict[int, dict[str, Any]] = {}
    start = 0
    for part in tables.batches("pool", path):
        columns = [
            part[name].str.len() for name in ("instruction", "input", "response")
        ]
        lengths[start : start + len(part)] = sum(columns)
        for i in range(len(part)):
            if start + i in wanted:
                records[start + i] = part.iloc[i].to_dict()
        start += len(part)
    return lengths, records


def _text(record: dict[str, Any], renderer: Renderer, limit: int) -> dict[str, Any]:
    """A row as it is trained on.

    Returns
    -------
    s: start of the question; p: stretches of text, each in the loss (1), outside it (0) or
    cut off (2); n: tokens, before cutting
    """
    ids, mask = renderer.training(turns_of(record))
    labels = [i if n else IGNORED for i, n in zip(ids, mask, strict=True)]
    shown = pieces(Row(ids[:limit], labels[:limit]), renderer.tokenizer)
    parts = [[packing.cut(piece.text, LONGEST), int(piece.trained)] for piece in shown]
    if len(ids) > limit:
        tail = renderer.tokenizer.decode(
            ids[limit : limit + LONGEST], clean_up_tokenization_spaces=False
        )
        parts.append([packing.cut(tail, LONGEST), 2])
    start = clean(question_of(record)[: 4 * START])
    return {"s": " ".join(start.split())[:START], "p": parts, "n": len(ids)}

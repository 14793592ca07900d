"""Columns measured before any job: of text on the pool, of the model on a few rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tmap import dag, indicators
from tmap.cards.method import MethodCard
from tmap.operations.preflight.data import spread
from tmap.selection import features

#: The most rows that are measured; in a larger pool they are evenly spread.
MOST_ROWS = 200_000
#: Share of rows with one value above which a column tells few rows apart.
TIED = 0.9
#: Of columns of a model: the most rows with short answers, with long ones, and others.
SHORT, LONG, OTHERS = 24, 8, 32


@dataclass
class ColumnFindings:
    """One column: its range, and why it hardly tells rows apart, as sentences.

    Attributes
    ----------
    quantiles : lowest, median and highest score; empty if no row is scored
    skipped : why it was not measured; empty if it was
    flattened : the mark that another scaling would lift; empty if there is none
    """

    name: str
    unit: str
    quantiles: list[float]
    n_scored: int
    n_rows: int
    marks: list[str]
    skipped: str = ""
    flattened: str = ""


def look(dataset: str, pool: pd.DataFrame) -> list[ColumnFindings]:
    """Every column that looks at text only, with the dataset card's options.

    Parameters
    ----------
    pool : table 'pool', at least one row
    """
    rows = spread(pool, MOST_ROWS)
    names = sorted(dag.indicators.looking_at("text"))
    return [_column(dataset, name, rows) for name in names]


def of_model(dataset: str, pool: pd.DataFrame, lm: Any) -> list[ColumnFindings]:
    """Columns of single rows that the target model measures, on a few telling rows.

    The shortest answers are among them: a model expects one odd word so little that it
    alone may take the range of a column.

    Parameters
    ----------
    pool : table 'pool', at least one row
    lm : the instrument: the target model and its renderer
    """
    rows, n_short = telling(pool)
    found = []
    for name in sorted(dag.indicators.looking_at("target")):
        about = indicators.get(name)
        if about.scope == "row" and _weighing(name):
            raw = about(rows, lm, **dag.indicators.options(dataset, name)).score
            found.append(_findings(name, about.unit, rows, raw, n_short))
    return found


def telling(pool: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """At most 64 rows, and how many are there for their short answers.

    Those are at most one in a hundred of the pool, as rows that count as few there.
    """
    lengths = pool["response"].str.len().to_numpy()
    order = np.argsort(lengths, kind="stable")
    n_short = min(SHORT, max(1, len(pool) // 100))
    inner = order[n_short : max(n_short, len(order) - LONG)]
    others = spread(pd.DataFrame({"place": inner}), OTHERS)["place"]
    places = [*order[:n_short], *others, *order[-LONG:]]
    return pool.iloc[np.unique(places)], n_short


def _column(dataset: str, name: str, rows: pd.DataFrame) -> ColumnFindings:
    options = dag.indicators.options(dataset, name)
    about = indicators.get(name)
    unit = options.get("count", about.unit)  # of output_length, which has several
    if options.get("tokenizer"):
        why = f"it counts tokens of '{options['tokenizer']}'"
        return ColumnFindings(name, unit, [], 0, len(rows), [], why)
    raw = about(rows, None, **options).score
    found = _findings(name, unit, rows, raw)
    known = raw[~np.isnan(raw)]
    if len(known) and np.ptp(known) > 0:
        found.flattened = found.marks[0] if found.marks else ""
        found.marks += _tied(name, known)
    return found


def _findings(
    name: str, unit: str, rows: pd.DataFrame, raw: np.ndarray, odd: int | None = None
) -> ColumnFindings:
    """The range of raw scores, and the marks of `features.marks`."""
    known = raw[~np.isnan(raw)]
    quantiles = np.quantile(known, [0, 0.5, 1]).tolist() if len(known) else []
    marks = features.marks(name, rows["sample_id"].tolist(), raw, _scaling(name), odd)
    return ColumnFindings(name, unit, quantiles, len(known), len(rows), marks)


def _weighing(name: str) -> list[MethodCard]:
    """The user's own method cards that weigh a column."""
    return [card for card in dag.methods.of_the_user() if name in card.indicators]


def _scaling(name: str) -> features.Normalise:
    """How the user's own method cards scale a column; minmax, the default, if in doubt."""
    scalings = {card.normalise for card in _weighing(name)}
    return scalings.pop() if len(scalings) == 1 else "minmax"


def _tied(name: str, known: np.ndarray) -> list[str]:
    value, n = Counter(known.tolist()).most_common(1)[0]
    if n <= TIED * len(known):
        return []
    return [
        f"{name}: {n / len(known):.1%} of the scored rows have the value {value:g}, so the "
        "column tells few rows apart. Leave it out of the method card, or look at its "
        "options."
    ]

"""Table 7 and Figure 2: learned weights by model, with intervals.

Weights are relative to the largest. Correlated columns can trade weight at equal reward, so
pairs of them are named below the table.
"""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path

import numpy as np

from tmap import cards, dag
from tmap.artifacts import tables
from tmap.artifacts.files import read_document
from tmap.cards.experiment import ExperimentCard
from tmap.experiments.accuracy import column
from tmap.experiments.cells import Cells
from tmap.selection import features

#: Correlation above which two columns are named.
TOGETHER = 0.7
NOT_IDENTIFIED = (
    "Weights of correlated columns are not identified, and scaling all weights changes no "
    "rank: do not read single weights, nor differences between models whose intervals "
    "overlap."
)
INTERVALS = (
    "Intervals show where the reward may be highest, as far as the search knows, among its "
    "points and random ones. Random points are never on a bound, so a weight of 0 or 1 may "
    "be outside its interval."
)


def build(card: ExperimentCard) -> Cells:
    """Rows are indicators, columns models (and methods, if there are several)."""
    found = Cells([], "weight relative to the largest", 1.0, 3)
    found.lines += [NOT_IDENTIFIED, INTERVALS]
    for dataset, model, method in product(card.datasets, card.models, card.methods):
        name = column(card, dataset, model)
        if len(card.methods) > 1:
            name += f" {card.label(method)}"
        about = read_document(
            "weights", dag.search.weights_file(dataset, model, method, "0")[0]
        )
        intervals = about["interval"] or [[np.nan] * 2] * len(about["indicators"])
        for indicator, weight, (low, high) in zip(
            about["indicators"], about["weights_relative"], intervals, strict=True
        ):
            cell = {"row": card.label(indicator), "column": name, "value": weight}
            found.rows.append({**cell, "low": low, "high": high})
        found.lines.append(_together(dataset, model, method, name))
    return found


def _together(dataset: str, model: str, method: str, name: str) -> str:
    how = cards.load("methods", method)
    columns = features.load(
        tables.read("pool", f"results/{dataset}/pool.parquet")["sample_id"].tolist(),
        [Path(f) for f in dag.indicators.indicator_files(dataset, model, method)],
        normalise=how.normalise,
        max_unscored=1.0,
    )
    pairs = collinear(columns.matrix, columns.names)
    if not pairs:
        return f"{name}: no two columns correlate by {TOGETHER} or more."
    told = ", ".join(f"{a} and {b} ({r:+.2f})" for a, b, r in pairs)
    return f"Warning, {name}: correlated columns: {told}."


def collinear(matrix: np.ndarray, names: list[str]) -> list[tuple[str, str, float]]:
    """Pairs of columns whose correlation is at least `TOGETHER` in size; strongest first.

    A constant column correlates with none.
    """
    found = []
    for i, j in combinations(range(len(names)), 2):
        a, b = matrix[:, i], matrix[:, j]
        if np.ptp(a) > 0 and np.ptp(b) > 0:
            r = float(np.corrcoef(a, b)[0, 1])
            if abs(r) >= TOGETHER:
                found.append((names[i], names[j], r))
    return sorted(found, key=lambda pair: -abs(pair[2]))

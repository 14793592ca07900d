"""Accuracy against the share of the pool: nested subsets of one ranking."""

from __future__ import annotations

from itertools import product

from tmap import dag
from tmap.cards.experiment import ExperimentCard
from tmap.comparison import statistics
from tmap.experiments import arms
from tmap.experiments.accuracy import column
from tmap.experiments.cells import Cells
from tmap.selection import variants


def build(card: ExperimentCard) -> Cells:
    """Rows are methods, columns shares; one block of rows per dataset and model."""
    found = Cells([], "accuracy, %", best=True, along="share of the pool")
    several = len(card.datasets) * len(card.models) > 1
    for dataset, model in product(card.datasets, card.models):
        answers = {
            (method, f): arms.matrix(
                [
                    f"{dag.experiments.room(dataset, model, method)}/s{s}"
                    f"/{variants.of_fraction(f)}/t{t}/predictions.parquet"
                    for s, t in dag.training.arms(method, card.seeds)
                ]
            )
            for method, f in product(card.methods, card.fractions)
        }
        start = f"{column(card, dataset, model)}, " if several else ""
        for (method, f), right in answers.items():
            low, high = statistics.accuracy_interval(right)
            found.rows.append(
                {
                    "row": start + card.label(method),
                    "column": f"{100 * f:g} %",
                    "value": float(right.mean()),
                    "low": low,
                    "high": high,
                    "n_runs": len(right),
                }
            )
    return found

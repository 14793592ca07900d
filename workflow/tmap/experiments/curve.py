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
        names = {f"{method} {f:g}": key for key in answers for method, f in [key]}
        means = statistics.bootstrap_means({n: answers[k] for n, k in names.items()})
        start = f"{column(card, dataset, model)}, " if several else ""
        for name, (method, f) in names.items():
            low, high = statistics.accuracy_interval(answers[method, f], means[name])
            found.rows.append(
                {
                    "row": start + card.label(method),
                    "column": f"{100 * f:g} %",
                    "value": float(answers[method, f].mean()),
                    "low": low,
                    "high": high,
                    "n_runs": len(answers[method, f]),
                }
            )
    return found

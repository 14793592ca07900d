"""The contribution of each indicator to the reward, in points: Shapley, leave-one-out."""

from __future__ import annotations

from itertools import product

from scipy import stats

from tmap import dag
from tmap.artifacts.files import read_document
from tmap.cards.experiment import ExperimentCard
from tmap.comparison import statistics
from tmap.experiments.accuracy import column
from tmap.experiments.cells import Cells


def build(card: ExperimentCard) -> Cells:
    """Rows are indicators; two columns per dataset, model and method."""
    found = Cells([], "points of reward")
    for dataset, model, method in product(card.datasets, card.models, card.methods):
        name = column(card, dataset, model)
        if len(card.methods) > 1:
            name += f" {card.label(method)}"
        room = dag.experiments.room(dataset, model, method)
        about = read_document("explain", f"{room}/s0/explain.json")
        n = about["n_pairs"]
        wide = stats.t.ppf(1 - statistics.ALPHA, n - 1) if n > 1 else float("nan")
        keys = ("indicators", "shapley", "shapley_se", "leave_one_out")
        for indicator, value, error, alone in zip(
            *(about[k] for k in keys), strict=True
        ):
            row = {"row": card.label(indicator)}
            spread = wide * error if error else float("nan")
            ends = {"low": value - spread, "high": value + spread}
            found.rows.append(
                {**row, "column": f"{name} Shapley", "value": value} | ends
            )
            found.rows.append(
                {**row, "column": f"{name} alone left out", "value": alone}
            )
        gain = 100 * (about["reward"] - about["reward_without_any"])
        found.lines.append(
            f"{name}: Shapley values add up to {gain:+.1f} points, the reward of the "
            f"learned weights ({100 * about['reward']:.1f} %) minus that of an arbitrary "
            "selection, on the search's own questions. Intervals cover the sampling of "
            "orders, not the noise of the reward."
        )
    return found

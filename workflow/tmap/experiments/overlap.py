"""The overlap between methods: Jaccard index of their subsets.

|A and B| / |A or B|; about f / (2 - f) for two random subsets of a share f of one pool.
"""

from __future__ import annotations

from itertools import product

from tmap import dag
from tmap.artifacts import tables
from tmap.cards.experiment import ExperimentCard
from tmap.experiments.accuracy import column
from tmap.experiments.cells import Cells


def jaccard(a: set[str], b: set[str]) -> float:
    """Jaccard index of two sets; 1 for two empty ones."""
    return len(a & b) / len(a | b) if a | b else 1.0


def build(card: ExperimentCard) -> Cells:
    """Rows and columns are methods; one block of rows per dataset and model."""
    found = Cells([], "Jaccard index", 1.0, 2)
    several = len(card.datasets) * len(card.models) > 1
    for dataset, model in product(card.datasets, card.models):
        chosen = {
            method: set(tables.read("subset", path, ["sample_id"])["sample_id"])
            for method, path in zip(
                card.methods, dag.experiments.overlap(card, dataset, model), strict=True
            )
        }
        start = f"{column(card, dataset, model)}, " if several else ""
        found.rows += [
            {
                "row": start + card.label(a),
                "column": card.label(b),
                "value": jaccard(chosen[a], chosen[b]),
            }
            for a, b in product(card.methods, repeat=2)
        ]
    return found

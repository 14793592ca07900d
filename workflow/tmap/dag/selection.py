"""Files that a subset is selected from."""

from __future__ import annotations

from typing import Any

from tmap import cards
from tmap.dag.methods import rounds_of
from tmap.dag.training import Seeds, arms, trains


def labels_file(dataset: str, method: str) -> list[str]:
    """Known faults of the pool, as a list; empty unless the method is an oracle."""
    if cards.load("methods", method).weights != "oracle":
        return []
    return [f"results/{dataset}/pool_labels.parquet"]


def data_cards(
    dataset: str, model: str, methods: list[str], n_seeds: Seeds
) -> list[str]:
    """The data card next to every subset: not read, but built with the results table."""
    return [
        f"results/{dataset}/{model}/{method}/s{s}/README.md"
        for method in methods
        if trains(method)
        for s in sorted({s for s, _ in arms(method, n_seeds)})
    ]


def selection_room(dataset: str, model: str, method: str, seed: str) -> str:
    """The folder of a method's subset."""
    return f"results/{dataset}/{model}/{method}/s{seed}"


def pool_of_method(w: Any) -> str:
    """The table that a method selects from: the pool, or what its rounds chose."""
    if not rounds_of(w.method):
        return f"results/{w.dataset}/pool.parquet"
    return f"{selection_room(w.dataset, w.model, w.method, w.seed)}/chosen.parquet"

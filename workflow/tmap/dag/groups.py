"""Files that a search by groups reads."""

from __future__ import annotations

from tmap import cards
from tmap.dag.methods import choosing_a_probe


def targets_file(dataset: str, method: str) -> list[str]:
    """The worked answers that a method's probe needs, as a list; empty for `icl`."""
    needs = cards.load("methods", method).search.probe != "icl"
    return [f"results/{dataset}/targets.parquet"] if needs else []


def probes_file(dataset: str, model: str, method: str, seed: str) -> list[str]:
    """The comparison of probes behind `probe: auto`, as a list."""
    if not choosing_a_probe([method]):
        return []
    return [f"results/{dataset}/{model}/{method}/s{seed}/probes.json"]

"""Files of subsets of other sizes, and of sentinels."""

from __future__ import annotations

from tmap.dag.search import weights_file
from tmap.selection.variants import PATTERN

__all__ = ["PATTERN"]  # for rules, in addition to the functions here


def part_weights(
    dataset: str, model: str, method: str, seed: str, part: str
) -> list[str]:
    """The weights of a part of a selection: its method's, or a sentinel's own."""
    if part[0] == "k":
        return [f"results/{dataset}/{model}/{method}/s{seed}/sentinels.json"]
    return weights_file(dataset, model, method, seed)


def part_questions(dataset: str, part: str) -> str:
    """The questions that a part is measured on; for sentinels, never test questions."""
    role = "reward" if part[0] == "k" else "test"
    return f"results/{dataset}/questions_{role}.parquet"

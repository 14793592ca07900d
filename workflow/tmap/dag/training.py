"""Trained arms: which seeds a method runs, and their files."""

from __future__ import annotations

from collections.abc import Mapping

from tmap import cards
from tmap.errors import require

#: Runs of every method, or of each.
Seeds = int | Mapping[str, int]


def arms(method: str, n_seeds: Seeds) -> list[tuple[int, int]]:
    """(s, t) seeds of a method: base runs once; random and learned vary s and t.

    A deterministic selection, like the whole pool, has s0 only and varies the training
    seed. If `n_seeds` is one number for all methods, a method card may say another.
    """
    card = cards.load("methods", method)
    if card.weights == "none":
        return [(0, 0)]
    drawn = card.weights in ("random", "drawn") and card.fraction != 1
    varies = drawn or card.vary_search_seed
    if isinstance(n_seeds, int):
        n = card.seeds or n_seeds
    else:
        n = n_seeds[method]
    return [(i if varies else 0, i) for i in range(n)]


def arm_files(
    dataset: str, model: str, methods: list[str], n_seeds: Seeds, name: str
) -> list[str]:
    """File `name` of every arm of these methods, in the order of the methods."""
    return [
        f"results/{dataset}/{model}/{method}/s{s}/t{t}/{name}"
        for method in methods
        for s, t in arms(method, n_seeds)
        if not (name == "train.json" and not trains(method))
    ]


def trains(method: str) -> bool:
    """Whether a method fine-tunes on a subset; `base`, for example, does not."""
    return cards.load("methods", method).weights != "none"


def curves(tracker: str) -> str:
    """The option of train-adapter for `report_to:` in the config.

    Raises
    ------
    TmapError
        If the tracker is not installed: before any job runs.
    """
    if tracker == "none":
        return ""
    require(tracker, f"report_to: {tracker}", tracker)
    return f"--report-to {tracker}"

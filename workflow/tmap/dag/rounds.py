"""Files of methods that generate, select and train in rounds."""

from __future__ import annotations

from typing import Any

from tmap import cards, indicators
from tmap.dag.gradients import GRADIENTS, proxy_of
from tmap.dag.selection import selection_room
from tmap.errors import TmapError


def round_file(w: Any, number: int, name: str) -> list[str]:
    """A file of one round of a method, as a list; empty for round 0."""
    room = selection_room(w.dataset, w.model, w.method, w.seed)
    return [f"{room}/r{number}/{name}"] if number else []


def round_files(w: Any, number: int, name: str) -> list[str]:
    """A file of every round up to `number`, in order; empty for round 0."""
    return [f for n in range(1, number + 1) for f in round_file(w, n, name)]


def round_columns(w: Any, number: int) -> list[str]:
    """The tables that a method weighs in one round, in the order of its card."""
    names = cards.load("methods", w.method).indicator_names()
    for name in names:
        if indicators.get(name).looks_at not in ("text", "gradients"):
            raise TmapError(
                f"Method '{w.method}' has rounds and weighs '{name}', which looks at a "
                f"{indicators.get(name).looks_at}; with rounds, only columns of text and "
                "of gradients can be weighed. Remove it from the method card."
            )
    return [f for n in names for f in round_file(w, number, f"indicators/{n}.parquet")]


def round_gradients(w: Any) -> list[str]:
    """The gradients and targets that a round's column compares, or none."""
    if indicators.get(w.indicator).looks_at != "gradients":
        return []
    names = [f"gradients/{name}" for name in GRADIENTS]
    found = [f for name in names for f in round_file(w, int(w.round), name)]
    return [*found, f"results/{w.dataset}/targets.parquet"]


def round_adapter(w: Any) -> list[str]:
    """The adapter that the previous round trained, if the target is its own proxy."""
    if proxy_of(w.dataset, w.model) != w.model:
        return []
    return round_file(w, int(w.round) - 1, "t0/adapter/adapter_model.safetensors")


def generator_model(method: str) -> str | None:
    """The model card of a method's generator; None if it is a server or a recording."""
    how = cards.load("methods", method).rounds
    return cards.load("judges", how.generator).model if how else None

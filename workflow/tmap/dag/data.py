"""Where pools, questions and models come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tmap import cards


def model_file(model: str) -> str:
    """The record of a fetched model."""
    return f"results/models/{model}.json"


def distilled() -> list[str]:
    """Datasets whose pool a teacher rewrites."""
    return [n for n in cards.names("datasets") if cards.load("datasets", n).distil]


def teacher(dataset: str) -> str | None:
    """The model card that distils a pool; None if its judge is not a local model."""
    how = cards.load("datasets", dataset).distil
    return cards.load("judges", how.judge).model if how else None


def local_source(part: str) -> Callable[[Any], list[str]]:
    """An input function: the local file behind pool, questions or responses, if any."""

    def find(wildcards: Any) -> list[str]:
        source = getattr(cards.load("datasets", wildcards.dataset), part)
        return [source.path] if source and source.path else []

    return find


def local_model(wildcards: Any) -> list[str]:
    """An input function: the files of a model in a local folder; none for another model."""
    from tmap.data import models

    folder = cards.load("models", wildcards.model).source.path
    return [str(path) for path in models.files(Path(folder))] if folder else []

"""Where pools, questions and models come from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tmap import cards
from tmap.cards.dataset import ResponseSource, Source
from tmap.errors import TmapError

#: What Snakemake may read as a wildcard.
WILDCARD = re.compile(r"\{\s*[.\w].*\}", re.DOTALL)


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


def files_of(source: Source | None) -> list[str]:
    """The local files behind a source; its path if they cannot be listed."""
    from tmap.data.sources import folders

    if source is None or not source.path:
        return []
    whole = Path(source.path)
    if isinstance(source, ResponseSource) and source.format == "leaderboard_v1":
        found = sorted(whole.rglob("*.parquet")) if whole.is_dir() else []
    else:
        try:
            found = folders.listing(source.path, source.split)
        except TmapError:  # the job that reads it ends with this sentence
            found = []
    return [source.path] if found in ([], [whole]) else list(map(str, found))


def local_source(part: str) -> Callable[[Any], list[str]]:
    """An input function: the local files behind pool, questions or responses, if any."""

    def find(wildcards: Any) -> list[str]:
        return _nameable(files_of(_source(part, wildcards)))

    return find


def stamps(part: str) -> Callable[[Any], dict[str, str]]:
    """A params function: size and time of files that Snakemake cannot name as inputs.

    Snakemake reads `{x}` in a path as a wildcard and has no way to escape it. With the
    stamp as a parameter it still notices that the file changed.
    """

    def find(wildcards: Any) -> dict[str, str]:
        return _stamps(files_of(_source(part, wildcards)))

    return find


def _source(part: str, wildcards: Any) -> Source | None:
    found: Source | None = getattr(cards.load("datasets", wildcards.dataset), part)
    return found


def _nameable(paths: list[str]) -> list[str]:
    return [path for path in paths if not WILDCARD.search(path)]


def _stamps(paths: list[str]) -> dict[str, str]:
    named = set(_nameable(paths))
    return {path: _stamp(Path(path)) for path in paths if path not in named}


def _stamp(path: Path) -> str:
    if not path.exists():
        return "missing"
    about = path.stat()
    return f"{about.st_size} bytes, {about.st_mtime_ns}"


def _model_files(wildcards: Any) -> list[str]:
    from tmap.data import models

    source = cards.load("models", wildcards.model).source
    if source.path and source.gguf:
        return [str(Path(source.path) / source.gguf)]
    return list(map(str, models.files(Path(source.path)))) if source.path else []


def local_model(wildcards: Any) -> list[str]:
    """An input function: the files of a model in a local folder; none for another model."""
    return _nameable(_model_files(wildcards))


def model_stamps(wildcards: Any) -> dict[str, str]:
    """A params function like `stamps`, for a local folder; and the version of a package."""
    from tmap.data import packages

    shipped = cards.load("models", wildcards.model).source.package
    versions = {shipped: packages.version(shipped)} if shipped else {}
    return _stamps(_model_files(wildcards)) | versions

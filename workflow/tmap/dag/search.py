"""Files that a search of weights reads and writes."""

from __future__ import annotations

from tmap import cards
from tmap.artifacts.names import CONSENSUS
from tmap.cards.method import SEARCHED
from tmap.dag.data import model_file
from tmap.dag.indicators import indicator_files
from tmap.dag.training import Seeds, arms


def searcher(method: str) -> str:
    """The method whose search a method's weights come from: itself, or `weights_of:`."""
    return cards.load("methods", method).weights_of or method


def search_room(dataset: str, model: str, method: str) -> str | None:
    """The folder of a method's searches; a consensus has one for all models."""
    weights, name = cards.load("methods", method).weights, searcher(method)
    if weights == "consensus":
        return f"results/{dataset}/{CONSENSUS}{name}"
    return f"results/{dataset}/{model}/{name}" if weights in SEARCHED else None


def weights_file(dataset: str, model: str, method: str, seed: str) -> list[str]:
    """The learned weights of a method, as a list; empty if its card fixes them."""
    room = search_room(dataset, model, method)
    return [f"{room}/s{seed}/weights.json"] if room else []


def values_file(dataset: str, model: str, method: str, seed: str) -> list[str]:
    """The values of rows that a method ranks by, as a list; empty if it uses weights."""
    room = search_room(dataset, model, method)
    by_value = cards.load("methods", method).score == "value"
    return [f"{room}/s{seed}/values.parquet"] if room and by_value else []


def models_of(method: str) -> list[str]:
    """The models whose rewards a consensus averages."""
    return cards.load("methods", method).models


def consensus(dataset: str, method: str) -> dict[str, list[str]]:
    """Files of its models that a consensus search reads: records, indicator tables."""
    models = cards.load("methods", method).models
    return {
        "models": [model_file(model) for model in models],
        "indicators": [f for m in models for f in indicator_files(dataset, m, method)],
    }


def search_files(
    dataset: str, model: str, methods: list[str], n_seeds: Seeds, name: str
) -> list[str]:
    """File `name` of every search behind these methods, each once."""
    found = [
        f"{room}/s{s}/{name}"
        for method in methods
        if (room := search_room(dataset, model, method))
        for s in sorted({s for s, _ in arms(method, n_seeds)})
    ]
    return list(dict.fromkeys(found))


def warm_start(method: str) -> list[str]:
    """The trace of an earlier search whose best points this method tries first."""
    path = cards.load("methods", method).search.warm_start
    return [path] if isinstance(path, str) else []

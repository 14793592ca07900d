"""The finished results that each kind of table reads."""

from __future__ import annotations

from itertools import product

from tmap import cards, parts, paths
from tmap.cards.experiment import ExperimentCard


def of(experiment: str) -> list[str]:
    """Every file that an experiment's table is made from, each once."""
    card = cards.load("experiments", experiment)
    for kind, names in (("methods", card.methods), ("models", card.models)):
        for name in names:
            cards.load(kind, name)  # type: ignore[call-overload]
    found = [
        path
        for dataset, model in product(card.datasets, card.models)
        for path in FILES[card.kind](card, dataset, model)
    ]
    return list(dict.fromkeys(found))


def room(dataset: str, model: str, method: str) -> str:
    """The folder of a method's runs."""
    return f"results/{dataset}/{model}/{method}"


def accuracy(card: ExperimentCard, dataset: str, model: str) -> list[str]:
    return paths.measured(dataset, model, card.methods, card.seeds)


def weights(card: ExperimentCard, dataset: str, model: str) -> list[str]:
    found = [f"results/{dataset}/pool.parquet"]
    for method in card.methods:
        found += paths.weights_file(dataset, model, method, "0")
        found += paths.indicator_files(dataset, model, method)
    return found


def contributions(card: ExperimentCard, dataset: str, model: str) -> list[str]:
    return [
        f"{room(dataset, model, method)}/s0/explain.json" for method in card.methods
    ]


def cost(card: ExperimentCard, dataset: str, model: str) -> list[str]:
    """What was timed: searches, columns, and one training on each method's subset."""
    found = [f"results/{dataset}/pool.parquet"]
    for method in card.methods:
        found += paths.indicator_files(dataset, model, method)
        search = paths.search_room(dataset, model, method)
        if search:
            found += [f"{search}/s0/{n}.parquet" for n in ("timings", "trace")]
        elif cards.load("methods", method).fraction == 1:
            found.append(f"{room(dataset, model, method)}/s0/t0/train.json")
    return found


def overlap(card: ExperimentCard, dataset: str, model: str) -> list[str]:
    return [
        f"{room(dataset, model, method)}/s0/subset.parquet" for method in card.methods
    ]


def curve(card: ExperimentCard, dataset: str, model: str) -> list[str]:
    return [
        f"{room(dataset, model, method)}/s{s}/{parts.of_fraction(f)}/t{t}/{name}"
        for method in card.methods
        for s, t in paths.arms(method, card.seeds)
        for f in card.fractions
        for name in ("predictions.parquet", "train.json")
    ]


def shots(card: ExperimentCard, dataset: str, model: str) -> list[str]:
    return [
        f"{room(dataset, model, method)}/s{s}/n{n}/{name}"
        for method in card.methods
        for s, t in paths.arms(method, card.seeds)
        for n in card.shots
        for name in (f"t{t}/predictions.parquet", "shown/predictions.parquet")
    ]


def estimates(card: ExperimentCard, dataset: str, model: str) -> list[str]:
    return [
        f"results/{dataset}/{model}/reward_answers.parquet",
        f"results/{dataset}/tiny.parquet",
        *paths.history_files(dataset),
    ]


FILES = {
    "accuracy": accuracy,
    "weights": weights,
    "contributions": contributions,
    "cost": cost,
    "overlap": overlap,
    "curve": curve,
    "shots": shots,
    "estimates": estimates,
}

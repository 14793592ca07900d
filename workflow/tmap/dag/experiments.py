"""The finished results that each kind of table reads."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from tmap import cards
from tmap.cards.experiment import ExperimentCard
from tmap.dag.comparison import measured
from tmap.dag.indicators import indicator_files
from tmap.dag.methods import searched
from tmap.dag.search import search_room, weights_file
from tmap.dag.tiny import history_files, own_anchors
from tmap.dag.training import arms, trains
from tmap.errors import TmapError
from tmap.selection import variants


def of(experiment: str) -> list[str]:
    """Every file that an experiment's table is made from, each once."""
    card = cards.load("experiments", experiment)
    for kind in ("datasets", "models", "methods"):
        for name in getattr(card, kind):
            cards.load(kind, name)
    _check(experiment, card)
    found = [
        path
        for dataset, model in product(card.datasets, card.models)
        for path in FILES[card.kind](card, dataset, model)
    ]
    return list(dict.fromkeys(found))


def _check(experiment: str, card: ExperimentCard) -> None:
    """Refuse a method that does not write what this kind of table reads."""
    fits, what = FIT.get(card.kind, (None, ""))
    for method in card.methods:
        if fits and not fits(method):
            raise TmapError(
                f"Experiment '{experiment}' names method '{method}', but a table of kind "
                f"`{card.kind}` needs methods with {what}. Remove it from `methods:`."
            )


def _searched(method: str) -> bool:
    return search_room("", "", method) is not None


def _parted(method: str) -> bool:
    return trains(method) and cards.load("methods", method).rounds is None


#: Kinds of tables -> a test for the methods they can show, and what such methods have.
FIT: dict[str, tuple[Callable[[str], bool], str]] = {
    "weights": (_searched, "searched weights (learned, best_single, consensus)"),
    "contributions": (
        lambda method: bool(searched([method])),
        "a search of their own on one model (learned, best_single)",
    ),
    "overlap": (trains, "a subset"),
    "curve": (_parted, "a subset of one pool, of any size"),
    "shots": (_parted, "a subset of one pool, of any size"),
}


def room(dataset: str, model: str, method: str) -> str:
    """The folder of a method's runs."""
    return f"results/{dataset}/{model}/{method}"


def accuracy(card: ExperimentCard, dataset: str, model: str) -> list[str]:
    runs = measured(dataset, model, card.methods, card.seeds)
    return [*runs, f"results/{dataset}/pool.parquet", *asked(card, dataset)]


def asked(card: ExperimentCard, dataset: str) -> list[str]:
    """Tables of the questions that a search may have asked; the tiny set first."""
    room = f"results/{dataset}"
    own = own_anchors(dataset, card.methods)
    return [f"{room}/tiny.parquet", f"{room}/confirm.parquet", *own]


def weights(card: ExperimentCard, dataset: str, model: str) -> list[str]:
    found = [f"results/{dataset}/pool.parquet"]
    for method in card.methods:
        found += weights_file(dataset, model, method, "0")
        found += indicator_files(dataset, model, method)
    return found


def contributions(card: ExperimentCard, dataset: str, model: str) -> list[str]:
    return [
        f"{room(dataset, model, method)}/s0/explain.json" for method in card.methods
    ]


def cost(card: ExperimentCard, dataset: str, model: str) -> list[str]:
    """Timed files: searches, columns, and a training on the whole pool."""
    found = [f"results/{dataset}/pool.parquet"]
    for method in card.methods:
        found += indicator_files(dataset, model, method)
        search = search_room(dataset, model, method)
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
        f"{room(dataset, model, method)}/s{s}/{variants.of_fraction(f)}/t{t}/{name}"
        for method in card.methods
        for s, t in arms(method, card.seeds)
        for f in card.fractions
        for name in ("predictions.parquet", "train.json")
    ]


def shots(card: ExperimentCard, dataset: str, model: str) -> list[str]:
    return [
        f"{room(dataset, model, method)}/s{s}/n{n}/{name}"
        for method in card.methods
        for s, t in arms(method, card.seeds)
        for n in card.shots
        for name in (f"t{t}/predictions.parquet", "shown/predictions.parquet")
    ]


def estimates(card: ExperimentCard, dataset: str, model: str) -> list[str]:
    return [
        f"results/{dataset}/{model}/reward_answers.parquet",
        f"results/{dataset}/tiny.parquet",
        *history_files(dataset),
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

"""Files behind metrics.json and the page about it, and how many runs it takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from tmap import cards
from tmap.artifacts.files import read_json
from tmap.cards.workflow import WorkflowConfig
from tmap.dag.certificate import certified
from tmap.dag.indicators import indicator_files
from tmap.dag.methods import rounds_of
from tmap.dag.search import search_files, values_file
from tmap.dag.training import Seeds, arm_files, arms, trains
from tmap.errors import TmapError

METRICS, PAGE = "metrics.json", "report.html"


def measured(
    dataset: str,
    model: str,
    methods: list[str],
    n_seeds: Seeds,
    certify: Sequence[str] = (),
) -> list[str]:
    """Every file of arms and searches that a results table is made from.

    Parameters
    ----------
    certify : methods whose first search's certificate is read too
    """
    arms = ("predictions.parquet", "train.json")
    searches = ("weights.json", "trace.parquet")
    return [
        *(f for n in arms for f in arm_files(dataset, model, methods, n_seeds, n)),
        *(
            f
            for n in searches
            for f in search_files(dataset, model, methods, n_seeds, n)
        ),
        *(
            f"results/{dataset}/{model}/{method}/s0/certificate.json"
            for method in certified(methods, certify)
        ),
    ]


def shown(dataset: str, model: str, methods: list[str], n_seeds: Seeds) -> list[str]:
    """Files that the page shows besides those of `measured`: subsets, columns, values."""
    found = []
    for method in filter(trains, methods):
        for s in sorted({s for s, _ in arms(method, n_seeds)}):
            found.append(f"results/{dataset}/{model}/{method}/s{s}/subset.parquet")
            found += values_file(dataset, model, method, str(s))
        if not rounds_of(method):  # else its columns are of its rounds' pools
            found += indicator_files(dataset, model, method)
    return list(dict.fromkeys(found))


def with_pages(targets: Sequence[str]) -> list[str]:
    """The targets, and the page next to each metrics.json among them."""
    paths = map(PurePosixPath, targets)
    pages = [str(path.with_name(PAGE)) for path in paths if path.name == METRICS]
    return list(dict.fromkeys([*targets, *pages]))


def primary(methods: Sequence[str], named: Sequence[str]) -> list[str]:
    """Methods whose claim against random comes first: as named, or the searched ones."""
    for method in named:
        if cards.load("methods", method).weights in ("none", "random"):
            raise TmapError(
                f"`primary:` names '{method}', which is no method to compare with random. "
                "Name methods that select by weights, or leave it out: then the searched "
                "ones come first."
            )
    searched = ("learned", "consensus")
    return list(named) or [
        m for m in methods if cards.load("methods", m).weights in searched
    ]


def seeds(config: WorkflowConfig, look: int = 0) -> dict[str, int]:
    """How many runs each method has at a look; without looks, as the config says."""
    for name in config.seeds_of:  # also those of another `methods:`
        cards.load("methods", name)
    found = {
        m: config.seeds_of.get(m) or cards.load("methods", m).seeds or config.seeds
        for m in config.methods
    }
    looks = config.verdict.looks()
    if not looks:
        return found
    first = primary(config.methods, config.verdict.primary)
    method, random, _ = looks[look]
    return found | dict.fromkeys(first, method) | {"random": random}


def plan(config: WorkflowConfig) -> dict[str, Any]:
    """What is fixed before anything runs: the order of claims, and the looks at them.

    Returns
    -------
    primary : methods
    looks : [runs of a primary method, runs of random, share of the error] each
    runs : method -> its runs at the first look
    """
    looks = config.verdict.looks()
    first = primary(config.methods, config.verdict.primary)
    if looks:
        _check(config, first)
    asked = seeds(config)
    runs = {m: len(arms(m, asked)) for m in config.methods if m != "base"}
    return {"primary": first, "looks": [list(look) for look in looks], "runs": runs}


def plan_text(config: WorkflowConfig) -> str:
    """The plan as JSON, for a rule's params and its command."""
    return json.dumps(plan(config))


def _check(config: WorkflowConfig, first: Sequence[str]) -> None:
    """Refuse a plan in looks whose runs something else decides."""
    if "random" not in config.methods or not first:
        raise TmapError(
            "`verdict: sequential:` compares primary methods with random, and `methods:` "
            f"has {'no searched method' if 'random' in config.methods else 'no random'}. "
            "Add it, name methods under `primary:`, or remove `sequential:`."
        )
    for method in ("random", *first):
        if cards.load("methods", method).seeds is not None:
            raise TmapError(
                f"The card of method '{method}' sets `seeds:`, and `verdict: sequential:` "
                "decides how many runs it has. Remove one of the two."
            )
        if method in config.seeds_of:
            raise TmapError(
                f"`seeds_of:` counts the runs of '{method}', and `verdict: sequential:` "
                "decides how many it has. Remove one of the two."
            )


def look_file(dataset: str, model: str, look: int) -> str:
    """What was decided at a look."""
    return f"results/{dataset}/{model}/looks/{look}.json"


def look_files(
    dataset: str, model: str, config: WorkflowConfig, look: int
) -> list[str]:
    """What was decided at every look up to this one; nothing is at the last."""
    deciding = range(len(config.verdict.looks()))[:-1]
    return [look_file(dataset, model, k) for k in deciding[: look + 1]]


def looked_at(dataset: str, model: str, config: WorkflowConfig, look: int) -> list[str]:
    """The answers that a look compares."""
    first = primary(config.methods, config.verdict.primary)
    names = ["random", *first]
    found = seeds(config, look)
    return arm_files(dataset, model, names, found, "predictions.parquet")


def look_reached(config: WorkflowConfig, taken: Callable[[int], str | None]) -> int:
    """The last look that is needed, or the first that was not taken; 0 without looks.

    Parameters
    ----------
    taken : look -> its file, None if it was not taken; nothing is decided at the last one,
        for which it is not called
    """
    look = 0
    while look + 1 < len(config.verdict.looks()):
        path = taken(look)
        if path is None or read_json(path)["decided"]:
            break
        look += 1
    return look


def last_look(dataset: str, model: str, config: WorkflowConfig) -> int:
    """The last look for which runs were made, by the files that are there."""

    def taken(look: int) -> str | None:
        path = look_file(dataset, model, look)
        return path if Path(path).is_file() else None

    return look_reached(config, taken)

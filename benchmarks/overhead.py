"""Seconds of a search besides the answers that it asks, and where they go.

    python benchmarks/overhead.py --evaluations 205

In the embedded world, with model `tiny` and fresh ledgers, this process runs the search by
a Gaussian process with that many evaluations, as the workflow does it, and the search by
groups at the budget of its card. JSON goes to stdout: processor seconds (the clock of a
busy machine would count others' work) for answers and for the rest, their ratio, and how
many seconds of answers the search by groups saves for each second that it takes itself.

`parts` says where the rest goes; no part contains another. For the process: `fit`,
`random_points` and `climbs` are the optimiser's; `requests` deals rows, writes prompts and
identifies them. For groups: `gain` is what stops the search, `tests` and `trees` come once
at its end. The workflow first builds pool, columns and tiny set.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from embedded import CARDS, ROOT, build, write

sys.path.insert(0, str(ROOT / "workflow"))
from skopt.learning.gaussian_process import GaussianProcessRegressor
from skopt.optimizer import optimizer

from tmap import dag
from tmap.groups import group_model, value_model
from tmap.groups import prepare as groups
from tmap.groups.design import Design
from tmap.groups.probe import FewShot
from tmap.search import ledger, loop, prepare, reward

CONFIG = ".embedded/overhead/config.yaml"
ROOM = "results/arith"
#: Where a search spends its time: part -> functions, by the place that looks them up.
ANSWERS = [(reward, "examine"), (FewShot, "_answer")]
GP = {
    "answers": ANSWERS,
    "fit": [(GaussianProcessRegressor, "fit")],
    "random_points": [(optimizer, "_gaussian_acquisition")],
    "climbs": [(optimizer, "fmin_l_bfgs_b")],
    "requests": [(prepare.Prepared, "evaluate")],
    "writes": [(ledger.Ledger, "append")],
}
GROUPS = {
    "answers": ANSWERS,
    "design": [(Design, "spread"), (Design, "dividing")],
    "fit": [(group_model, "fit")],
    "draws": [(group_model.Fit, "draws")],
    "gain": [(group_model, "regret")],
    "tests": [(group_model, "skill"), (value_model, "skill")],
    "trees": [(value_model, "fit"), (value_model, "partial_dependence")],
    "requests": [(FewShot, "ask"), (prepare.Prepared, "evaluate")],
    "writes": [(ledger.Ledger, "append")],
}


class Clock:
    """Processor seconds by part, each without those of the parts that it calls."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._open: list[float] = []

    def __call__(self, part: str, function: Callable) -> Callable:
        @functools.wraps(function)
        def timed(*given: Any, **named: Any) -> Any:
            self._open.append(0.0)
            start = time.process_time()
            try:
                return function(*given, **named)
            finally:
                spent = time.process_time() - start
                self.seconds[part] += spent - self._open.pop()
                if self._open:
                    self._open[-1] += spent

        return timed


@contextmanager
def timed(parts: dict[str, list[tuple[Any, str]]]) -> Iterator[Clock]:
    """While this lasts, the functions of `parts` are timed."""
    clock = Clock()
    before = [(p, n, getattr(p, n)) for those in parts.values() for p, n in those]
    for part, those in parts.items():
        for place, name in those:
            setattr(place, name, clock(part, getattr(place, name)))
    try:
        yield clock
    finally:
        for place, name, function in before:
            setattr(place, name, function)


def inputs(method: str) -> prepare.Inputs:
    """The files that the workflow built for this method."""
    questions, tiny, confirm = (
        ROOT / f"{ROOM}/{name}.parquet"
        for name in ("questions_reward", "tiny", "confirm")
    )
    return prepare.Inputs(
        pool=ROOT / f"{ROOM}/pool.parquet",
        questions=questions,
        tiny=tiny,
        confirm=confirm,
        model=ROOT / "results/models/tiny.json",
        history=[str(ROOT / path) for path in dag.tiny.history_files("arith")],
        indicators=[
            ROOT / path
            for path in dag.indicators.indicator_files("arith", "tiny", method)
        ],
    )


def gp(evaluations: int, book: Path) -> dict[str, Any]:
    """The search by a Gaussian process: its seconds."""
    card = dag.params.search_weights(dataset="arith", model="tiny", method="tmap")
    length = {"n_iterations": evaluations - card["search"].n_initial}
    card["search"] = card["search"].model_copy(update=length)
    task = prepare.prepare(card, inputs("tmap"), ledger.Ledger(book))
    thinking: list[float] = []
    last = time.process_time()

    def evaluate(weights: np.ndarray) -> Any:
        nonlocal last
        thinking.append(time.process_time() - last)
        found = task.evaluate(weights)
        last = time.process_time()
        return found

    bounds, start = card["bounds"], time.process_time()
    with timed(GP) as clock:
        found = loop.run(
            evaluate,
            len(task.names),
            bounds,
            card["search"],
            0,
            task.ledger,
            task.key(bounds, 0),
        )
    total = time.process_time() - start
    n_answers = sum(map(len, found.trace["group_accuracy"])) * len(task.main.questions)
    about = account(clock, total, n_answers) | {"evaluations": evaluations}
    about["optimiser_seconds_per_evaluation"] = {
        f"{low + 1}-{min(low + 50, evaluations)}": float(
            np.mean(thinking[low : low + 50])
        )
        for low in range(0, evaluations, 50)
    }
    return about


def by_groups(book: Path) -> dict[str, Any]:
    """The search by groups: its seconds."""
    method = "tmap_groups"
    card = dag.params.search_groups(dataset="arith", model="tiny", method=method)
    room = groups.enter(card, inputs(method), ledger.Ledger(book), 0, ["icl"], None)
    probe = room.probe("icl", room.asked)
    search = groups.groups.Search(room.ready.candidates, probe, card["bounds"], 0)
    start = time.process_time()
    with timed(GROUPS) as clock:
        confirm = functools.partial(groups._confirm, room, "icl")
        notes = room.ready.notes | {"probe": {}}
        found = groups.groups.learn(search, "bench", confirm, notes)
    total = time.process_time() - start
    n_answers = sum(map(len, found.groups["answers"]))
    return account(clock, total, n_answers) | {"rounds": len(found.trace)}


def account(clock: Clock, total: float, n_answers: int) -> dict[str, Any]:
    """Seconds for answers and for the rest."""
    parts = dict(clock.seconds)
    answers = parts.pop("answers", 0.0)
    parts["other"] = total - answers - sum(parts.values())
    rest = total - answers
    return {
        "answers": n_answers,
        "seconds_of_answers": round(answers, 2),
        "seconds_besides": round(rest, 2),
        "besides_per_answer_second": round(rest / answers, 3) if answers else None,
        "parts": {name: round(spent, 2) for name, spent in sorted(parts.items())},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evaluations", type=int, default=205)
    parser.add_argument("--cores", type=int, default=2)
    args = parser.parse_args()
    os.environ["TMAP_CARDS"] = str(ROOT / CARDS)
    needed = [path for m in ("tmap", "tmap_groups") for path in files(inputs(m))]
    write(CONFIG, {"methods": ["tmap", "tmap_groups"], "cards": [CARDS]})
    build(sorted(set(needed)), CONFIG, args.cores)
    with tempfile.TemporaryDirectory() as room:
        found = {
            "groups": by_groups(Path(room) / "groups.jsonl"),
            "gp": gp(args.evaluations, Path(room) / "gp.jsonl"),
        }
    saved = found["gp"]["seconds_of_answers"] - found["groups"]["seconds_of_answers"]
    found["groups_ask_less"] = {
        "seconds_of_answers_saved": round(saved, 2),
        "saved_per_second_besides": round(
            saved / found["groups"]["seconds_besides"], 2
        ),
    }
    print(json.dumps(found, indent=1))


def files(given: prepare.Inputs) -> list[str]:
    """Their paths in the project, for the workflow."""
    paths = [given.pool, given.questions, given.tiny, given.confirm, given.model]
    paths += [*map(Path, given.history), *given.indicators]
    return [str(path.relative_to(ROOT)) for path in paths]


if __name__ == "__main__":
    main()

"""Two finished runs against each other: settings, tables, subsets, questions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tmap import __version__
from tmap.artifacts import tables
from tmap.comparison import report, runs, statistics
from tmap.comparison.looks import UNTOUCHED, YARDSTICK
from tmap.comparison.runs import Run
from tmap.page import questions, settings, subsets, verdict
from tmap.page.document import QUESTIONS

#: Columns of the results table that are shown for both runs.
BESIDE = ("accuracy", "against random", "better?", "against base", "harms?")


@dataclass(frozen=True)
class Side:
    """One finished run, and where its files are.

    Attributes
    ----------
    letter : A or B
    path : metrics.json, in a folder as the workflow makes it, wherever it was copied
    metrics : its content
    """

    letter: str
    path: Path
    metrics: dict[str, Any]

    @classmethod
    def read(cls, letter: str, path: Path) -> Side:
        """Raises TmapError if the file is no results table."""
        return cls(letter, path, report.read(path))

    def place(self, recorded: str) -> Path:
        """Where a file of the run is now: its dataset and model may be other folders."""
        parts = Path(recorded).parts[1:]
        room, names = self.path.parent, (self.metrics["dataset"], self.metrics["model"])
        if parts[:2] == names:
            return room.joinpath(*parts[2:])
        if parts[:1] == names[:1]:
            return room.parent.joinpath(*parts[1:])
        return room.parent.parent.joinpath(*parts)

    def name(self, method: str) -> str:
        """A method of this run, told from that of the other."""
        return f"{self.letter}: {method}"

    def arms(self) -> Iterator[tuple[str, int, int]]:
        """Method, selection seed and training seed of every run."""
        for method, found in self.metrics["methods"].items():
            for run in found["runs"]:
                yield method, run["s"], run["t"]

    def recorded(self) -> list[Path]:
        """Files that may tell with which settings they were made."""
        made = self.metrics["provenance"].get("made") or {"inputs": {}}
        inputs = [self.place(p) for p in made["inputs"] if p.startswith("results/")]
        return [self.path, *inputs, *self.subsets.values()]

    @cached_property
    def subsets(self) -> dict[tuple[str, int], Path]:
        """(method, s) -> its subset.parquet, if there is one."""
        places = {
            (method, s): self.path.parent / method / f"s{s}" / "subset.parquet"
            for method, s, _ in self.arms()
        }
        return {key: path for key, path in places.items() if path.is_file()}

    def answers(self, asked: pd.DataFrame) -> list[Run]:
        """The runs whose answers are still on disk."""
        named = (
            self.path.parent / method / f"s{s}" / f"t{t}" / "predictions.parquet"
            for method, s, t in self.arms()
        )
        there = [path for path in named if path.is_file()]
        return runs.load(there, asked.index).runs if there else []


class Asked(NamedTuple):
    """Questions that both runs answered.

    Attributes
    ----------
    table : rows of A's questions_test.parquet
    runs : of both, methods named by `Side.name`, predictions in the order of `table`
    sides : the run that each of `runs` is of
    note : what is missing; empty if nothing is
    """

    table: pd.DataFrame
    runs: list[Run]
    sides: list[Side]
    note: str


def build(a: Side, b: Side) -> dict[str, Any]:
    """The content of the page that compares two runs: numbers, text, lists and None."""
    asked = _asked(a, b)
    gains = _gains(a, b, asked)
    return {
        "title": f"{_what(a)} and {_what(b)}",
        "sides": [
            {"letter": s.letter, "what": _what(s), "place": str(s.path.parent)}
            for s in (a, b)
        ],
        "verdict": _verdict(a, b, gains, len(asked.table)),
        "methods": _methods(a, b, gains),
        "settings": settings.look(a, b),
        "subsets": _subsets(a, b),
        "questions": _questions(a, b, asked),
        "n_questions": [side.metrics["n_questions"] for side in (a, b)],
        "page": __version__,
    }


def _what(side: Side) -> str:
    return f"{side.metrics['dataset']}, {side.metrics['model']}"


def _gains(a: Side, b: Side, asked: Asked) -> dict[str, dict[str, Any]]:
    """Method of both runs -> B minus A on the questions of both, of this pair alone."""
    found = {}
    for method in a.metrics["methods"]:
        arms = [_arm(asked, side.name(method)) for side in (a, b)]
        if any(len(arm) == 0 for arm in arms) or not len(asked.table):
            continue
        found[method] = {"difference": 0.0, "interval": [0.0, 0.0]}
        if not np.array_equal(arms[0], arms[1]):  # else these are the same runs
            first, second = map(statistics.Arm.of, arms)
            gap = statistics.difference(second, first)
            found[method] = {"difference": gap.value, "interval": list(gap.interval())}
    return found


def _arm(asked: Asked, name: str) -> np.ndarray:
    return np.array([run.is_correct for run in asked.runs if run.method == name])


def _verdict(a: Side, b: Side, gains: dict[str, Any], n: int) -> dict[str, Any]:
    """The top of the page: the method that A's page is about, in both runs."""
    method = verdict.main_method(a.metrics)
    if method not in b.metrics["methods"]:
        method = verdict.main_method(b.metrics)
    gain, tone = gains.get(method), "open"
    if gain is None:
        head, numbers = f"{method}: no question that both runs answered", ""
    else:
        low, high = gain["interval"]
        tone = "good" if low > 0 else "bad" if high < 0 else "open"
        words = {"good": "is better in B", "bad": "is worse in B"}
        same = low == high == 0
        words["open"] = "in A and B: " + (
            "the same answers" if same else "no difference is shown"
        )
        head = f"{method} {words[tone]}"
        numbers = (
            f"{_points(gain['difference'])} points from A to B, "
            f"{_points(low)} to {_points(high)}, on {n:,} questions"
        )
    said = [side.metrics["warnings"] for side in (a, b)]
    return {
        "method": method,
        "head": head,
        "numbers": numbers,
        "tone": tone,
        "warnings": [
            verdict.warning(text)
            | {"text": f"Only in {side.letter}: {text}", "grave": False}
            for side, own, other in ((a, *said), (b, *reversed(said)))
            for text in own
            if text not in other
        ],
    }


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _methods(a: Side, b: Side, gains: dict[str, Any]) -> dict[str, Any]:
    """Both results tables as one, and what the charts need."""
    tables_ = [verdict.table(side.metrics) for side in (a, b)]
    cells = [
        {r[0][0]: dict(zip(found["headings"], r, strict=True)) for r in found["rows"]}
        for found in tables_
    ]
    names = list(dict.fromkeys([*cells[0], *cells[1]]))
    return {
        "headings": [
            "method",
            "B minus A",
            *(f"{name} {letter}" for name in BESIDE for letter in "AB"),
        ],
        "rows": [
            [
                [name, ""],
                [_gain(gains.get(name)), ""],
                *(
                    found.get(name, {}).get(heading, ["-", ""])
                    for heading in BESIDE
                    for found in cells
                ),
            ]
            for name in names
        ],
        "gains": [{"name": name, **found} for name, found in gains.items()],
        "methods": [
            {**method, "name": side.name(method["name"])}
            for name in names
            for side, found in zip((a, b), tables_, strict=True)
            for method in found["methods"]
            if method["name"] == name
        ],
        "about": [report.about(side.metrics) for side in (a, b)],
        "verdicts": [
            [side.name(name), found["verdict"]]
            for name in names
            for side in (a, b)
            if (found := side.metrics["methods"].get(name))
        ],
    }


def _gain(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    low, high = found["interval"]
    return f"{_points(found['difference'])} [{_points(low)}, {_points(high)}]"


def _subsets(a: Side, b: Side) -> dict[str, Any]:
    """Subsets of both against each other, if their pools have the same rows."""
    paths = [
        side.place(f"results/{side.metrics['dataset']}/pool.parquet") for side in (a, b)
    ]
    lost = [str(path) for path in paths if not path.is_file()]
    if lost:
        return {"names": [], "note": f"Not compared: {' and '.join(lost)} is missing."}
    pools = [tables.read("pool", path, ["sample_id", "text_hash"]) for path in paths]
    hashes = [set(pool["text_hash"]) for pool in pools]
    if hashes[0] != hashes[1]:
        shared = len(hashes[0] & hashes[1])
        note = (
            f"Not compared: the pools differ. A has {len(pools[0]):,} rows, B "
            f"{len(pools[1]):,}, and {shared:,} of them are in both."
        )
        return {"names": [], "note": note}
    place = pd.Series(range(len(pools[0])), index=pools[0]["text_hash"])
    place = place[~place.index.duplicated()]
    named, foreign = [], []
    for side, pool in zip((a, b), pools, strict=True):
        rows = pool.set_index("sample_id")["text_hash"].map(place)
        for (method, s), path in side.subsets.items():
            ids = tables.read("subset", path, ["sample_id"])["sample_id"]
            name = side.name(f"{method} s{s}")
            if ids.isin(rows.index).all():
                named.append((name, rows.loc[ids].to_numpy()))
            else:
                foreign.append(name)
    order = [name for name, _ in named]
    pairs = [
        [i, order.index(other)]
        for i, name in enumerate(order)
        if name[:1] == a.letter and (other := f"{b.letter}{name[1:]}") in order
    ]
    found = subsets.look(named, len(pools[0]), foreign)
    return {**found, "pairs": pairs, "note": ""}


def _asked(a: Side, b: Side) -> Asked:
    """The questions that both asked with the same words, options and right answer."""
    found = []
    for side in (a, b):
        path = side.place(f"results/{side.metrics['dataset']}/questions_test.parquet")
        if not path.is_file():
            return Asked(pd.DataFrame(), [], [], f"Not compared: {path} is missing.")
        found.append(tables.read("questions", path).set_index("question_id"))
    keys = [frame.apply(_words, axis=1) for frame in found]
    keys = [key[~key.duplicated()] for key in keys]
    twin = pd.Series(keys[1].index, index=keys[1])
    shared = keys[0][keys[0].isin(twin.index)]
    ids = [shared.index, pd.Index(twin.loc[shared])]
    ran, sides, missing = [], [], 0
    for side, frame, own in zip((a, b), found, ids, strict=True):
        answered = side.answers(frame)
        missing += len(list(side.arms())) - len(answered)
        for run in answered:
            predictions = run.predictions.loc[own].set_axis(shared.index)
            ran.append(Run(side.name(run.method), run.s, run.t, predictions, run.code))
            sides.append(side)
    said = []
    if len(shared) < max(map(len, found)):
        said.append(
            f"{len(shared):,} questions are the same in both runs; A asked "
            f"{len(found[0]):,}, B {len(found[1]):,}."
        )
    if missing:
        said.append(
            f"Answers that are no longer on disk: of {missing} run{'s'[: missing > 1]}."
        )
    return Asked(found[0].loc[shared.index], ran, sides, " ".join(said))


def _words(row: pd.Series) -> str:
    """All that is asked of a model, and the right answer."""
    choices = row["choices"]
    return repr(
        (row["question"], None if choices is None else list(choices), row["gold"])
    )


def _questions(a: Side, b: Side, asked: Asked) -> dict[str, Any]:
    ran = asked.runs
    if not ran or not len(asked.table):
        return {"n": 0, "note": asked.note or "The runs asked no question in common."}
    taken = [
        run.predictions[questions.column(side.metrics["metric"])]
        for run, side in zip(ran, asked.sides, strict=True)
    ]
    method = verdict.main_method(a.metrics)
    if b.name(method) not in {run.method for run in ran}:
        method = verdict.main_method(b.metrics)
    first, other = b.name(method), a.name(method)
    found = questions.look(ran, taken, asked.table, first, [other], QUESTIONS)
    reader = " / ".join(dict.fromkeys(side.metrics["metric"] for side in (a, b)))
    return {
        **found,
        "reader": reader,
        "first": first,
        "against": [other, a.name(YARDSTICK), a.name(UNTOUCHED)],
        "note": asked.note,
    }

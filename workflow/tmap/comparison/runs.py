"""Finished runs: the answers of fine-tuning runs, and the results of searches.

A file's path shows what it belongs to::

    results/{dataset}/{model}/{method}/s{s}/t{t}/predictions.parquet, train.json
    results/{dataset}/{model}/{method}/s{s}/weights.json, trace.parquet
    results/{dataset}/consensus-{method}/s{s}/weights.json, trace.parquet

`locate` is the only function that parses such a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tmap import dag
from tmap.artifacts import tables
from tmap.artifacts.files import read_document
from tmap.artifacts.names import CONSENSUS
from tmap.errors import TmapError

PATTERN = re.compile(
    rf"(?:^|/)(?:{CONSENSUS})?(?P<method>[a-z0-9_]+)"
    r"/s(?P<s>\d+)(?:/t(?P<t>\d+))?/(?P<name>[^/]+)$"
)
#: Reading of an answer -> column that says whether the answer is right by it.
READINGS = {"strict": "is_strict", "flexible": "is_flexible", "numeric": "is_numeric"}
#: Files of a run are under t{t}; files of a search are not.
RUN_FILES = ("predictions.parquet", "train.json")
SEARCH_FILES = ("weights.json", "trace.parquet", "certificate.json")


class Place(NamedTuple):
    """Method, selection seed s, training seed t (None for a search) and file name."""

    method: str
    s: int
    t: int | None
    name: str


@dataclass
class Run:
    """One fine-tuning run, or the one evaluation of `base`.

    Attributes
    ----------
    predictions : DataFrame of kind predictions, indexed by question_id, in its order
    code : fingerprint of the code that wrote the predictions
    training : content of train.json; None for `base`
    """

    method: str
    s: int
    t: int
    predictions: pd.DataFrame
    code: str
    training: dict[str, Any] | None = None

    @property
    def is_correct(self) -> np.ndarray:
        """(n_questions,) bool."""
        answers: np.ndarray = self.predictions["is_correct"].to_numpy(dtype=bool)
        return answers

    def accuracy(self, column: str = "is_correct") -> float | None:
        """Share of true values in a column; None if the task does not have it."""
        values = self.predictions[column]
        return None if values.isna().any() else float(values.mean())


@dataclass
class Search:
    """One search: weights.json, the trace with its metadata, and certificate.json."""

    method: str
    s: int
    weights: dict[str, Any]
    trace: pd.DataFrame
    code: str
    certificate: dict[str, Any] | None = None


@dataclass
class Runs:
    """All results for one dataset and model, sorted by method and seeds."""

    runs: list[Run] = field(default_factory=list)
    searches: list[Search] = field(default_factory=list)

    @property
    def methods(self) -> list[str]:
        """Methods in the order in which their files were given."""
        return list(dict.fromkeys(run.method for run in self.runs))

    def of(self, method: str) -> list[Run]:
        return [run for run in self.runs if run.method == method]

    def searches_of(self, method: str) -> list[Search]:
        """Searches that gave the method's weights: its own, or those of `weights_of:`."""
        name = dag.search.searcher(method)
        return [search for search in self.searches if search.method == name]

    def arm(self, method: str) -> np.ndarray:
        """(n_runs, n_questions) bool: one row per run, questions in a common order."""
        return np.stack([run.is_correct for run in self.of(method)])

    def arms(self) -> dict[str, np.ndarray]:
        """Method -> its arm."""
        return {name: self.arm(name) for name in self.methods}


def locate(path: str | Path) -> Place:
    """Parse the path of a run's or a search's file."""
    found = PATTERN.search(Path(path).as_posix())
    known = RUN_FILES if found and found["t"] else SEARCH_FILES
    if not found or found["name"] not in known:
        raise TmapError(
            f"'{path}' is not a file of a finished run; the path of one ends in "
            "METHOD/s0/t0/predictions.parquet or train.json, or in "
            "METHOD/s0/weights.json, trace.parquet or certificate.json. Name such files "
            "after `--`."
        )
    t = int(found["t"]) if found["t"] else None
    return Place(found["method"], int(found["s"]), t, found["name"])


def load(named: Iterable[str | Path], question_ids: Iterable[str]) -> Runs:
    """Read runs and searches, in any order of files.

    Parameters
    ----------
    named : predictions.parquet, train.json, weights.json and trace.parquet files
    question_ids : of the test questions; every run must have answered exactly these

    Raises
    ------
    TmapError
        for a file of another kind, other questions, or a file without its partner
    """
    files = {locate(path): path for path in named}
    wanted = pd.Index(sorted(question_ids), name="question_id")
    order = list(dict.fromkeys(place.method for place in files))

    def rank(place: Place) -> tuple[int, int, int]:
        return order.index(place.method), place.s, place.t or 0

    loaded = Runs()
    for place in sorted(files, key=rank):
        if place.name == "predictions.parquet":
            loaded.runs.append(_run(place, files, wanted))
        elif place.name == "weights.json":
            loaded.searches.append(_search(place, files))
    if not loaded.runs:
        raise TmapError(
            "No predictions.parquet is named, so there is nothing to compare; each run "
            "needs one. Name the files of finished runs after `--`."
        )
    return loaded


def load_answers(named: Sequence[str]) -> Runs:
    """Finished runs; they must all answer the same questions as the first."""
    first = next(path for path in named if path.endswith("predictions.parquet"))
    asked = tables.read("predictions", first, ["question_id"])["question_id"]
    return load(named, asked)


def _run(place: Place, files: dict[Place, str | Path], wanted: pd.Index) -> Run:
    path = files[place]
    frame = tables.read("predictions", path).set_index("question_id")
    if not frame.index.is_unique or set(frame.index) != set(wanted):
        missing = len(wanted.difference(frame.index))
        extra = len(frame.index.difference(wanted))
        raise TmapError(
            f"{path} does not answer the questions of the test set: {missing} missing, "
            f"{extra} unknown, {int(frame.index.duplicated().sum())} duplicated; it must "
            f"answer each of the {len(wanted)} once. Delete it and build it again."
        )
    report = files.get(place._replace(name="train.json"))
    return Run(
        method=place.method,
        s=place.s,
        t=place.t or 0,
        predictions=frame.loc[wanted],
        code=tables.metadata(path)["code"],
        training=read_document("train", report) if report else None,
    )


def _search(place: Place, files: dict[Place, str | Path]) -> Search:
    trace = files.get(place._replace(name="trace.parquet"))
    if trace is None:
        raise TmapError(
            f"{files[place]} is named without the trace.parquet next to it; both are "
            "needed. Name that file too."
        )
    certificate = files.get(place._replace(name="certificate.json"))
    return Search(
        method=place.method,
        s=place.s,
        weights=read_document("weights", files[place]),
        trace=tables.read("trace", trace),
        code=tables.metadata(trace)["code"],
        certificate=read_document("certificate", certificate) if certificate else None,
    )

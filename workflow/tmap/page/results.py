"""The files of a finished comparison, found by their paths."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tmap.artifacts import tables
from tmap.comparison import runs
from tmap.errors import TmapError
from tmap.selection import features, ranking
from tmap.selection.subset import values_of

#: Weights of methods that score no row by its columns.
UNRANKED = ("random", "oracle", "none")


@dataclass
class Subset:
    """One subset, and how its method ranks the whole pool.

    Attributes
    ----------
    rows : (M,) row numbers in the pool, best first
    order : (N,) rank of every row by score, from 0; None for a random subset
    weights : of its columns; None if it has none
    columns, normalise : of its method card
    mean : mean contribution of each column over the chosen rows; None without weights
    """

    method: str
    s: int
    rows: np.ndarray
    order: np.ndarray | None
    weights: list[float] | None
    columns: list[str]
    normalise: str
    mean: list[float] | None

    @property
    def name(self) -> str:
        return f"{self.method} s{self.s}"


@dataclass
class Column:
    """One indicator's column, in the order of the pool.

    Attributes
    ----------
    raw : (N,) float64, NaN where it is unscored
    status : (N,) text
    """

    raw: np.ndarray
    status: np.ndarray


class Columns(dict[str, Column]):
    """Columns by name, and each scaled to [0, 1] as a method card asks, once."""

    def __init__(self, files: Iterable[Path], ids: pd.Series) -> None:
        super().__init__({file.stem: _column(file, ids) for file in files})
        self._scaled: dict[tuple[str, str], np.ndarray] = {}

    def scaled(self, name: str, how: features.Normalise) -> np.ndarray:
        """(N,) float64 in [0, 1]: what a weight multiplies."""
        key = (name, how)
        if key not in self._scaled:
            self._scaled[key] = features.normalised(self[name].raw, how)
        return self._scaled[key]


@dataclass
class Results:
    """Everything that the page shows, except texts.

    Attributes
    ----------
    pool : sample_id and text_hash of all N candidates
    subsets : by method and seed, in the order of the comparison
    foreign : subsets whose rows are not of this pool, as of a method with rounds
    """

    metrics: dict[str, Any]
    pool: pd.DataFrame
    ties: np.ndarray
    finished: runs.Runs
    columns: Columns
    subsets: list[Subset]
    foreign: list[str]

    def subset(self, method: str) -> Subset | None:
        """The first subset of a method."""
        return next((found for found in self.subsets if found.method == method), None)


def load(
    metrics: dict[str, Any], pool: Path, questions: Iterable[str], named: Iterable[str]
) -> Results:
    """Read what `named` are: files of runs and searches, subsets, columns and values.

    Parameters
    ----------
    metrics : content of metrics.json
    pool : pool.parquet
    questions : ids of the test questions
    named : paths as the workflow writes them, in any order
    """
    ids = tables.read("pool", pool, ["sample_id", "text_hash"])
    ties = ranking.tie_rank(ids["text_hash"], ids["sample_id"])
    kinds: dict[str, list[Path]] = {"subset": [], "column": [], "values": [], "run": []}
    for path in map(Path, named):
        kinds[_kind(path)].append(path)
    columns = Columns(kinds["column"], ids["sample_id"])
    index = pd.Index(ids["sample_id"])
    subsets, foreign = [], []
    for path in kinds["subset"]:
        chosen = tables.read("subset", path)
        rows = index.get_indexer(chosen["sample_id"])
        if (rows < 0).any():
            foreign.append(" ".join(path.parts[-3:-1]))
        else:
            given = chosen["contributions"].tolist()
            about = tables.metadata(path)
            score = _score(path, about, ids, columns, kinds["values"])
            subsets.append(_subset(path, about, rows, given, score, ties))
    order = list(metrics["methods"])
    subsets.sort(key=lambda found: (order.index(found.method), found.s))
    finished = runs.load(kinds["run"], questions)
    return Results(metrics, ids, ties, finished, columns, subsets, foreign)


def _kind(path: Path) -> str:
    if path.name in ("subset.parquet", "values.parquet"):
        return path.stem
    return "column" if path.parent.name == "indicators" else "run"


def _column(path: Path, ids: pd.Series) -> Column:
    frame = tables.read("indicator", path).set_index("sample_id").loc[ids]
    return Column(
        frame["score"].to_numpy(dtype=float), frame["status"].to_numpy(dtype=object)
    )


def _subset(
    path: Path,
    about: dict[str, Any],
    rows: np.ndarray,
    given: list[np.ndarray],
    score: np.ndarray | None,
    ties: np.ndarray,
) -> Subset:
    place = runs.PATTERN.search(path.as_posix())
    if place is None:
        raise TmapError(
            f"'{path}' is not METHOD/s0/subset.parquet. Name subsets by the paths that "
            "the workflow gives them."
        )
    card = about["made"]["card"]
    means = np.array(given).reshape(len(rows), -1).mean(axis=0)
    order = None
    if score is not None:
        order = np.empty(len(ties), dtype=np.int64)
        order[np.lexsort((ties, -score))] = np.arange(len(ties))
    return Subset(
        method=place["method"],
        s=int(place["s"]),
        rows=rows,
        order=order,
        weights=about["weights"],
        columns=card["indicators"],
        normalise=card["normalise"],
        mean=means.tolist() if len(means) else None,
    )


def _score(
    path: Path,
    about: dict[str, Any],
    pool: pd.DataFrame,
    columns: Columns,
    values: list[Path],
) -> np.ndarray | None:
    """(N,) the score that ranks the pool for this subset; None for a draw."""
    card = about["made"]["card"]
    if isinstance(card["weights"], str) and card["weights"] in UNRANKED:
        return None
    if card.get("score") == "value":
        worth = [file for file in values if str(file) in about["made"]["inputs"]]
        if not worth:
            raise TmapError(
                f"{path} was ranked by values.parquet of its search, which is not "
                "named. Name that file too."
            )
        return values_of(pool, str(worth[0]))
    names, how = card["indicators"], card["normalise"]
    matrix = np.stack([columns.scaled(name, how) for name in names], axis=1)
    if card["weights"] == "product":
        return ranking.product(matrix)
    return ranking.scores(matrix, about["weights"])

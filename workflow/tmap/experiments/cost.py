"""Table 6: seconds per stage, with the indicators and judges that the paper leaves out.

The times come from the benchmark files that Snakemake wrote and from the searches' own
timings. They hold for this machine under its load at the time. A stage without a benchmark
file (a copied result) is left empty, not estimated.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from tmap import cards, dag, indicators
from tmap.artifacts import tables
from tmap.artifacts.files import read_document
from tmap.cards.experiment import ExperimentCard
from tmap.experiments.accuracy import column
from tmap.experiments.cells import Cells

BENCHMARKS = Path("results/benchmarks")
ABSENT = "no benchmark file: it was not computed here"
LINES = [
    "Per iteration of a search: only iterations whose answers were all new. The total "
    "includes all iterations, but not loading the model or confirming the weights. For a "
    "training: one epoch over the pool.",
    "Per 1,000 rows: the total for this one pool, divided. A column that compares pairs of "
    "rows (miwv, nuggets) grows faster than that. A search asks as many questions for any "
    "pool; the extra cost of ranking a larger one was not measured.",
    "A judge's replies that were already stored cost nothing here.",
]


def build(card: ExperimentCard) -> Cells:
    """Rows are stages; columns seconds per step, in total, and for 1,000 more rows."""
    found = Cells([], "seconds", 1.0, 1)
    several = len(card.datasets) * len(card.models) > 1
    for dataset, model in product(card.datasets, card.models):
        start = f"{column(card, dataset, model)}: " if several else ""
        n = tables.metadata(f"results/{dataset}/pool.parquet")["rows"]["total"]
        for row, cells in stages(card, dataset, model, n):
            found.rows += [{"row": start + row, "column": c, **v} for c, v in cells]
    noted = (c for c in found.rows if c["column"] == "total" and c.get("note"))
    found.lines = LINES + [f"{cell['row']}: {cell['note']}." for cell in noted]
    return found


Row = tuple[str, list[tuple[str, dict[str, Any]]]]


def stages(card: ExperimentCard, dataset: str, model: str, n: int) -> Iterator[Row]:
    """Searches and trainings of the methods, then every column that they use."""
    names: list[str] = []
    for method in card.methods:
        how = cards.load("methods", method)
        search = dag.search.search_room(dataset, model, method)
        if search:
            timings = tables.read("search_timings", f"{search}/s0/timings.parquet")
            trace = tables.read("trace", f"{search}/s0/trace.parquet", ["exemplars"])
            yield card.label(method), searching(timings, trace["exemplars"])
        elif how.fraction == 1:
            yield (
                f"{card.label(method)}, one epoch",
                training(dataset, model, method, n),
            )
        elif measures_itself(how.indicator_names()):
            yield (
                card.label(method),
                scoring(dataset, model, how.indicator_names()[0], n),
            )
            continue
        names += [name for name in how.indicator_names() if name not in names]
    for name in names:
        looks_at = indicators.get(name).looks_at
        kind = "judge" if looks_at == "judge" else "column"
        yield f"{kind} {card.label(name)}", scoring(dataset, model, name, n)


def measures_itself(names: list[str]) -> bool:
    """Whether a method's cost is that of one column that is not derived from others."""
    return len(names) == 1 and not indicators.get(names[0]).made_from


def searching(
    timings: pd.DataFrame, exemplars: pd.Series
) -> list[tuple[str, dict[str, Any]]]:
    """Cost of a search: per iteration (with no answers in the ledger), and in total.

    Parameters
    ----------
    timings : table 'search_timings', T rows
    exemplars : (T,) groups of demonstrations of each iteration, as in table 'trace'
    """
    seconds = timings["reward_seconds"] + timings["optimizer_seconds"]
    fresh = seconds[timings["ledger_hits"] == 0]
    note = f"{len(fresh)} of {len(seconds)} iterations had only new answers"
    each = float(fresh.mean()) if len(fresh) else float("nan")
    late = replayed(timings["ledger_hits"], exemplars)
    total: dict[str, Any] = {"value": float(seconds.sum())}
    if late:
        told = f"{late} of {len(seconds)} iterations were replayed from the ledger"
        total = {"value": float("nan"), "note": f"no total, because {told}"}
    return [("per iteration", {"value": each, "note": note}), ("total", total)]


def replayed(ledger_hits: pd.Series, exemplars: pd.Series) -> int:
    """Number of iterations with more known groups than earlier iterations had asked.

    If weights tie, a search asks its own groups again. That is not a replay: every run
    saves that time.
    """
    seen: set[tuple[str, ...]] = set()
    late = 0
    for hits, shown in zip(ledger_hits, exemplars, strict=True):
        groups = [tuple(group) for group in shown]
        late += hits > sum(group in seen for group in groups)
        seen.update(groups)
    return late


def training(
    dataset: str, model: str, method: str, n: int
) -> list[tuple[str, dict[str, Any]]]:
    """Cost of one training on the whole pool, per epoch."""
    clock = clocked(f"train_adapter/{dataset}/{model}/{method}/s0/t0.tsv")
    report = read_document(
        "train", f"results/{dataset}/{model}/{method}/s0/t0/train.json"
    )
    epochs = report["settings"]["train"]["epochs"]
    cells = _by_rows(clock, n, epochs)
    if clock is not None:
        cells[0] = ("per iteration", {"value": clock / epochs, "note": "one epoch"})
    return cells


def scoring(
    dataset: str, model: str, name: str, n: int
) -> list[tuple[str, dict[str, Any]]]:
    """Cost of one column over the pool."""
    room = f"{dataset}/{model}" if indicators.get(name).per_model else dataset
    return _by_rows(clocked(f"score_indicator/{room}/{name}.tsv"), n)


def clocked(name: str) -> float | None:
    """Seconds in a benchmark file, mean over its lines; None without one."""
    path = BENCHMARKS / name
    if not path.is_file():
        return None
    return float(pd.read_csv(path, sep="\t")["s"].mean())


def _by_rows(
    seconds: float | None, n: int, steps: float = 1.0
) -> list[tuple[str, dict[str, Any]]]:
    nothing = ("per iteration", {"value": float("nan"), "note": "not repeated"})
    if seconds is None:
        return [nothing, ("total", {"value": float("nan"), "note": ABSENT})]
    total = seconds / steps
    return [
        nothing,
        ("total", {"value": total}),
        ("per 1,000 rows", {"value": 1000 * total / n}),
    ]

"""Table 6: seconds per stage, with the indicators and judges that the paper leaves out.

Measured: the benchmark files that Snakemake wrote, and the searches' own timings. A clock
says what this machine needed when it was otherwise as busy as it was. What has no
benchmark file (a copied result) is not guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from tmap import cards, indicators, paths, tables
from tmap.cards.experiment import ExperimentCard
from tmap.experiments.accuracy import column
from tmap.experiments.cells import Cells
from tmap.files import read_json

BENCHMARKS = Path("results/benchmarks")
ABSENT = "no benchmark file: it was not computed here"


def build(card: ExperimentCard) -> Cells:
    """Rows are stages; columns seconds per step, in total, and for 1,000 more rows."""
    found = Cells([], "seconds", 1.0, 1)
    several = len(card.datasets) * len(card.models) > 1
    for dataset, model in product(card.datasets, card.models):
        start = f"{column(card, dataset, model)}: " if several else ""
        n = tables.metadata(f"results/{dataset}/pool.parquet")["rows"]["total"]
        for row, cells in stages(card, dataset, model, n):
            found.rows += [{"row": start + row, "column": c, **v} for c, v in cells]
    found.lines = [
        "Per 1,000 rows: what the total grows by with the pool; 0 for a search, whose "
        "cost does not depend on the pool's size. A judge's replies that were stored "
        "before, and a search's answers in its ledger, cost nothing here.",
    ]
    return found


Row = tuple[str, list[tuple[str, dict[str, Any]]]]


def stages(card: ExperimentCard, dataset: str, model: str, n: int) -> Iterator[Row]:
    """Searches and trainings of the methods, then every column that they weigh."""
    names: list[str] = []
    for method in card.methods:
        how = cards.load("methods", method)
        search = paths.search_room(dataset, model, method)
        if search:
            timings = tables.read("search_timings", f"{search}/s0/timings.parquet")
            yield card.label(method), searching(timings)
        elif how.fraction == 1:
            yield (
                f"{card.label(method)}, one epoch",
                training(dataset, model, method, n),
            )
        names += [name for name in how.indicator_names() if name not in names]
    for name in names:
        looks_at = indicators.get(name).looks_at
        kind = "judge" if looks_at == "judge" else "column"
        yield f"{kind} {card.label(name)}", scoring(dataset, model, name, n)


def searching(timings: pd.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    """Cost of a search: per iteration whose answers were not in the ledger, in total."""
    seconds = timings["reward_seconds"] + timings["optimizer_seconds"]
    fresh = seconds[timings["ledger_hits"] == 0]
    note = f"{len(fresh)} of {len(seconds)} iterations asked everything anew"
    each = float(fresh.mean()) if len(fresh) else float("nan")
    return [
        ("per iteration", {"value": each, "note": note}),
        ("total", {"value": float(seconds.sum())}),
        ("per 1,000 rows", {"value": 0.0}),
    ]


def training(
    dataset: str, model: str, method: str, n: int
) -> list[tuple[str, dict[str, Any]]]:
    """Cost of one training on the whole pool, per epoch."""
    clock = clocked(f"train_adapter/{dataset}/{model}/{method}/s0/t0.tsv")
    report = read_json(f"results/{dataset}/{model}/{method}/s0/t0/train.json")
    epochs = report["settings"]["train"]["epochs"]
    return _by_rows(clock, n, epochs)


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

"""A plan: the cost of jobs by stage, and the search that a budget allows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tmap import cards
from tmap.artifacts import tables
from tmap.errors import TmapError
from tmap.operations.planning import costs
from tmap.operations.planning.costs import Sizes, Work
from tmap.operations.planning.jobs import Job

#: Lengths that are assumed until a pool is there; answers are those of a written task.
ROW_TOKENS, QUESTION_TOKENS, ANSWER_TOKENS = 250, 120, 200
LETTERS = 4  # per token, in English
GRID = ((205, 165, 125, 85, 45, 25), (100, 80, 60, 40, 24, 12), (16, 8, 5, 4, 2))
HEADINGS = ("stage", "jobs", "passes", "M tokens", "API calls", "GPU-hours", "GB")


@dataclass
class Plan:
    """Work by rule in Snakemake's order, and the assumptions."""

    stages: dict[str, Work]
    assumed: list[str]
    searches: list[tuple[Job, Sizes]]


def sizes(dataset: str, rows: int | None, questions: int | None) -> tuple[Sizes, list]:
    """Sizes of a dataset from its tables, else as given, and the assumptions as sentences.

    Raises
    ------
    TmapError : neither a table nor an option gives its size
    """
    room = Path(f"results/{dataset}")
    said: list[str] = []
    row_tokens = ROW_TOKENS
    if (room / "pool.parquet").is_file():
        pool = tables.read("pool", room / "pool.parquet", ["instruction", "response"])
        letters = sum(int(pool[name].str.len().sum()) for name in pool)
        rows, row_tokens = len(pool), max(1, round(letters / LETTERS / len(pool)))
        said.append(
            f"{dataset}: {LETTERS} letters per token, {row_tokens} tokens per row"
        )
    elif rows is not None:
        said.append(f"{dataset}: {rows} rows (--rows) of {ROW_TOKENS} tokens")
    else:
        raise TmapError(
            f"The pool of {dataset} is not fetched, so its size is unknown. Give it "
            f"(--rows {dataset}=7473), or build results/{dataset}/pool.parquet first."
        )
    share = cards.load("datasets", dataset).reward_share
    counts = {}
    for role, part in (("reward", share), ("test", 1 - share)):
        path = room / f"questions_{role}.parquet"
        if path.is_file():
            counts[role] = int(tables.metadata(path)["rows"]["total"])
        else:
            counts[role] = round(part * (questions or 1000))
            said.append(f"{dataset}: {counts[role]} {role} questions assumed")
    found = Sizes(rows, row_tokens, counts["reward"], counts["test"], 0, 0)
    return replace(
        found, question_tokens=QUESTION_TOKENS, answer_tokens=ANSWER_TOKENS
    ), said


def counts(option: str, said: Sequence[str]) -> dict[str, int]:
    """Numbers by dataset card, the one for all others under "": `7473`, `gsm8k=7473`.

    Raises
    ------
    TmapError : not a whole number above 0, or no such dataset
    """
    found = {}
    for text in said:
        dataset, _, number = text.rpartition("=")
        if not re.fullmatch("[0-9]{1,15}", number) or int(number) < 1:
            shown = text if len(text) <= 60 else f"{text[:40]}...{text[-15:]}"
            raise TmapError(
                f"{option} '{' '.join(shown.split())}' is not a number. Give a whole "
                f"number above 0, such as {option} 7473, or for one dataset {option} "
                "gsm8k=7473."
            )
        if dataset:
            cards.load("datasets", dataset)
        found[dataset] = int(number)
    return found


def make(
    jobs: Sequence[Job], rows: Mapping[str, int], questions: Mapping[str, int]
) -> Plan:
    """Sum the work of all jobs by rule; `rows` and `questions` come from `counts`."""
    known: dict[str, Sizes] = {}
    plan = Plan({}, [], [])
    for job in jobs:
        dataset = job.names.get("dataset")
        if dataset and dataset not in known:
            own = (given.get(dataset, given.get("")) for given in (rows, questions))
            known[dataset], said = sizes(dataset, *own)
            plan.assumed += said
        total = plan.stages.setdefault(job.rule, Work())
        total.add(costs.work(job, known[dataset]) if dataset else Work(jobs=1))
        if job.rule in ("search_weights", "search_consensus") and dataset:
            plan.searches.append((job, known[dataset]))
    return plan


def gpu_hours(plan: Plan, *, search: bool | None = None) -> float:
    """Known GPU-hours of all stages, of the searches only, or of the others only."""
    return sum(
        work.hours * work.gpus
        for rule, work in plan.stages.items()
        if work.hours is not None and search in (None, rule.startswith("search_"))
    )


def unknown(plan: Plan) -> list[str]:
    """Stages on a GPU with a job that has no estimate: a model of unknown size."""
    return [rule for rule, w in plan.stages.items() if w.gpus and w.hours is None]


def propose(plan: Plan, budget: float) -> str:
    """Propose T, S and m for searches within a budget, in a sentence.

    Of the settings that fit, those with the most answers (T x m x S) are compared, up to a
    tenth fewer. The larger m wins, because too few rows leave dozens of weights tied, then
    the larger T.
    """
    search, rest = gpu_hours(plan, search=True), gpu_hours(plan, search=False)
    if not search or not plan.searches:
        return "No search here runs on a GPU, so there is nothing to propose."
    now = sum(answers(job, known) for job, known in plan.searches)
    n = len(plan.searches)
    room = budget - rest
    fits = [
        (t, s, m) for t, s, m in product(*GRID) if n * t * s * m / now * search <= room
    ]
    if not fits:
        return (
            f"{budget:g} GPU-hours less {rest:.1f} for the rest leave {room:.1f} for {n} "
            "searches; not even T = 25, S = 12, m = 2 fits. Name fewer methods or seeds."
        )
    most = max(t * s * m for t, s, m in fits)
    near = [one for one in fits if one[0] * one[1] * one[2] >= 0.9 * most]
    t, s, m = max(near, key=lambda one: (one[2], one[0], one[1]))
    hours = n * t * s * m / now * search
    return (
        f"Within {budget:g} GPU-hours ({rest:.1f} for the rest, {hours:.1f} for {n} "
        f"searches): T = {t} (n_initial 5, n_iterations {t - 5}), S = {s} (n_anchors), "
        f"m = {m} (n_groups)."
    )


def answers(job: Job, known: Sizes) -> float:
    """T x m x S of a search, times the number of models of a consensus."""
    how = cards.load("methods", job.names["method"])
    t = how.search.n_initial + how.search.n_iterations
    t = len(how.indicators) if how.weights == "best_single" else t
    s = costs.questions_of(job.names["dataset"], job.names["method"], known)
    return t * how.search.n_groups * s * max(1, len(how.models))


def records(plan: Plan) -> list[dict[str, Any]]:
    """One row per stage as numbers, for other programs; None: unknown."""
    return [
        {
            "stage": rule,
            "jobs": work.jobs,
            "passes": round(work.passes),
            "tokens": round(work.read + work.written + work.trained),
            "api_calls": round(work.calls),
            "gpu_hours": None
            if work.gpus and work.hours is None
            else (work.hours or 0.0) * work.gpus,
            "bytes": round(work.disk),
        }
        for rule, work in plan.stages.items()
    ]


def show(plan: Plan, console: Console) -> None:
    """Print one row per stage, the sums, and the assumptions."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    total = Work()
    for rule, work in plan.stages.items():
        table.add_row(*map(Text, row(rule, work)))
        total.add(work)
    cells = row("total", total)
    hours = f"{gpu_hours(plan):.1f}{' + ?' if unknown(plan) else ''}"
    table.add_row(*map(Text, (*cells[:5], hours, cells[6])))
    console.print(table)
    for line in assumptions(plan):
        console.print(line, markup=False, highlight=False)


def assumptions(plan: Plan) -> list[str]:
    """How the numbers were found, as sentences."""
    n = sum(work.measured for work in plan.stages.values())
    return [
        f"Hours: {n} jobs estimated from earlier runs (results/benchmarks); the others "
        "from a roofline of one A100 that has not been compared with any run. ?: a model "
        "whose size is unknown until it is fetched; it is in no sum and no budget.",
        *plan.assumed,
    ]


def row(rule: str, work: Work) -> tuple[str, ...]:
    """A stage as text, in the order of `HEADINGS`; CPU stages have no GPU-hours."""
    tokens = (work.read + work.written + work.trained) / 1e6
    hours = "-"
    if work.gpus:
        hours = "?" if work.hours is None else f"{work.hours * work.gpus:.1f}"
    return (
        rule,
        str(work.jobs),
        f"{work.passes:,.0f}" if work.passes else "-",
        f"{tokens:,.1f}" if tokens else "-",
        f"{work.calls:,.0f}" if work.calls else "-",
        hours,
        f"{work.disk / 2**30:.2f}" if work.disk else "-",
    )

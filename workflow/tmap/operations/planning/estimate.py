"""A plan: the cost of jobs by stage, and the search that a budget allows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tmap import cards, dag
from tmap.artifacts import tables
from tmap.cards.dataset import DatasetCard, Source
from tmap.data import pool as pools
from tmap.data import questions as benchmarks
from tmap.data.overlap import question_ngrams
from tmap.errors import TmapError
from tmap.operations.planning import costs
from tmap.operations.planning.costs import Sizes, Work
from tmap.operations.planning.jobs import Job

#: Tokens of rows, questions and answers that are assumed until pool and questions are here.
TOKENS = 250, 120, 200
LETTERS = 4  # per token, in English
GRID = ((205, 165, 125, 85, 45, 25), (100, 80, 60, 40, 24, 12), (16, 8, 5, 4, 2))
HEADINGS = (
    *("stage", "jobs", "passes", "M tokens", "API calls", "GPU-hours", "CPU-hours"),
    "GB",
)


@dataclass
class Plan:
    """Work by rule in Snakemake's order, and the assumptions."""

    stages: dict[str, Work]
    assumed: list[str]
    searches: list[tuple[Job, Sizes]]


def sizes(dataset: str, rows: int | None, questions: int | None) -> tuple[Sizes, list]:
    """Sizes of a dataset, and the assumptions as sentences.

    They come from its tables, else from `rows` and `questions`, else from files on this
    machine that its card names, which are read as `fetch_pool` reads them.

    Raises
    ------
    TmapError : nothing gives its size, or a file that its card names cannot be read
    """
    room, said = Path(f"results/{dataset}"), list[str]()
    card = cards.load("datasets", dataset)
    row_tokens, question_tokens, answer_tokens = TOKENS
    lengths = np.empty(0)
    pool = _pool(room / "pool.parquet", dataset, card, rows)
    if pool is not None:
        rows = len(pool)
        lengths = np.sort(_lengths(pool, "instruction", "response"))
        row_tokens = _mean(lengths)
        answer_tokens = _mean(_lengths(pool, "response"))
        said.append(
            f"{dataset}: {rows} rows of {row_tokens} tokens ({LETTERS} letters per token); "
            f"answers of {answer_tokens}, as in the pool"
        )
    elif rows is not None:
        said.append(f"{dataset}: {rows} rows (--rows) of {row_tokens} tokens")
    else:
        raise TmapError(
            f"The pool of {dataset} is not fetched, so its size is unknown. Give it "
            f"(--rows {dataset}=7473), or build results/{dataset}/pool.parquet first."
        )
    counts = {}
    here = questions is None and is_here(card.questions)
    for role, part in (("reward", card.reward_share), ("test", 1 - card.reward_share)):
        path = room / f"questions_{role}.parquet"
        found = getattr(asked(dataset), role) if here else None
        if path.is_file():
            found = tables.read("questions", path, ["question"])
        if found is not None:
            counts[role] = len(found)
            question_tokens = _mean(_lengths(found, "question"))
        else:
            counts[role] = round(part * (questions or 1000))
            said.append(f"{dataset}: {counts[role]} {role} questions assumed")
    sizes = (rows, row_tokens, counts["reward"], counts["test"])
    return Sizes(*sizes, question_tokens, answer_tokens, lengths), said


def _pool(
    table: Path, dataset: str, card: DatasetCard, rows: int | None
) -> pd.DataFrame | None:
    """The texts of a pool that is fetched, or whose files are here; else None."""
    if table.is_file():
        return tables.read("pool", table, ["instruction", "response"])
    if rows is not None or not is_here(card.pool):
        return None
    grams = question_ngrams([], [], card.overlap.ngram)
    if is_here(card.questions):
        grams = asked(dataset).ngrams
    return pools.read(**dag.params.fetch_pool(dataset), question_ngrams=grams).kept


def _lengths(frame: pd.DataFrame, *columns: str) -> np.ndarray:
    """(N,) tokens of each row's texts."""
    letters = sum(frame[name].str.len().to_numpy(dtype=float) for name in columns)
    return np.asarray(letters) / LETTERS


def _mean(lengths: np.ndarray) -> int:
    """Mean tokens of a row, at least 1."""
    return max(1, round(float(lengths.sum()) / max(1, len(lengths))))


def is_here(source: Source) -> bool:
    """Whether a source is read without the network."""
    return bool(source.path or getattr(source, "world", None))


@cache
def asked(dataset: str) -> benchmarks.Questions:
    """Both sides of a benchmark whose files are here."""
    return benchmarks.read(**dag.params.fetch_questions(dataset))


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
            "cpu_hours": work.cpu_hours,
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
    known = [work.cpu_hours for work in plan.stages.values()]
    cpu = (
        f"{sum(h for h in known if h is not None):.2f}{' + ?' if None in known else ''}"
    )
    table.add_row(*map(Text, (*cells[:5], hours, cpu, cells[7])))
    console.print(table)
    for line in assumptions(plan):
        console.print(line, markup=False, highlight=False)


def assumptions(plan: Plan) -> list[str]:
    """How the numbers were found, as sentences."""
    n = sum(work.measured for work in plan.stages.values())
    probed = sum(work.probed for work in plan.stages.values())
    return [
        f"Hours: {n} jobs estimated from earlier runs (results/benchmarks), {probed} from "
        "a probe of this machine's CPU, one job at a time; those on a GPU else from a "
        "roofline of one A100 that has not been compared with any run. Jobs that run no "
        "model take seconds and count if they ran before. ?: a model whose size or files "
        "are unknown until it is fetched, or one on a CPU that is too large for a probe. "
        "It is in no sum and no budget.",
        *plan.assumed,
    ]


def row(rule: str, work: Work) -> tuple[str, ...]:
    """A stage as text, in the order of `HEADINGS`."""
    tokens = (work.read + work.written + work.trained) / 1e6
    hours = "-"
    if work.gpus:
        hours = "?" if work.hours is None else f"{work.hours * work.gpus:.1f}"
    cpu = "?" if work.cpu_hours is None else f"{work.cpu_hours:.2f}"
    return (
        rule,
        str(work.jobs),
        f"{work.passes:,.0f}" if work.passes else "-",
        f"{tokens:,.1f}" if tokens else "-",
        f"{work.calls:,.0f}" if work.calls else "-",
        hours,
        cpu if work.cpu_hours != 0 else "-",
        f"{work.disk / 2**30:.2f}" if work.disk else "-",
    )

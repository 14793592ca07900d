"""Pool and questions of a dataset card, read as the workflow will read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

from tmap import dag
from tmap.cards.dataset import DatasetCard
from tmap.data import formats, options, pool, questions
from tmap.data.overlap import question_ngrams
from tmap.data.sources import rows
from tmap.embeddings import index
from tmap.selection import ranking
from tmap.tiny import choose

Columns = list[tuple[str, str]]
EXAMPLES = 2
ASKED = ("id", "question", "context", "gold")
CHOSEN = (*ASKED, "choices", "labels")


@dataclass
class QuestionFindings:
    """Benchmark questions: their source, columns ours -> theirs, and size of each side.

    `unread` has columns that are not read -> questions that have them; `warnings` are
    about golds that may not be marked as a human would.
    """

    place: str
    columns: Columns
    n_reward: int
    n_test: int
    warnings: list[str]
    unread: dict[str, int]


def spread(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most that many rows, evenly spread, in their order."""
    places = np.linspace(0, len(table) - 1, min(most, len(table))).round().astype(int)
    return table.iloc[np.unique(places)]


@dataclass
class PoolFindings:
    """The pool: what could be read, and what could not.

    Attributes
    ----------
    columns : columns ours -> theirs
    unread : column that is not read -> kept rows that have it
    placeholders : cell that only says there is nothing, read as empty -> rows
    kept : table 'pool'
    reasons : kind of reason -> rows rejected for it, examples as "line N, detail"
    overlap : share of rows with a benchmark question among rows that are otherwise good,
        in [0, 1]; None if there are no questions to compare with
    n_chosen : rows that a method would select
    """

    place: str
    licence: str
    format: str
    columns: Columns
    unread: dict[str, int]
    placeholders: dict[str, int]
    kept: pd.DataFrame
    reasons: dict[str, tuple[int, list[str]]]
    overlap: float | None
    n_chosen: int

    @property
    def n_rejected(self) -> int:
        return sum(count for count, _ in self.reasons.values())

    @property
    def n_rows(self) -> int:
        return len(self.kept) + self.n_rejected


def read_questions(dataset: str) -> questions.Questions:
    """Both sides of the benchmark, and its n-grams."""
    return questions.read(**dag.params.fetch_questions(dataset))


def about_questions(card: DatasetCard, found: questions.Questions) -> QuestionFindings:
    """The source of the questions, and how their columns are read."""
    table = rows.open_source(card.questions)
    own = {str(ours): theirs for ours, theirs in card.questions.columns.items()}
    columns = _asked(card, table, own)
    sizes = len(found.reward), len(found.test)
    unread = found.notes["not_read"]
    return QuestionFindings(table.place, columns, *sizes, found.warnings, unread)


def check_tiny(card: DatasetCard, n_reward: int) -> None:
    """Refuse a tiny set that is larger than the reward questions."""
    choose.check_size(n_reward, card.tiny.n_anchors, card.tiny.n_confirm)


def look_at_pool(
    dataset: str, card: DatasetCard, asked: questions.Questions | None
) -> PoolFindings:
    """Read the pool like `fetch_pool`, without questions if there are none."""
    grams = asked.ngrams if asked else question_ngrams([], [], card.overlap.ngram)
    found = pool.read(**dag.params.fetch_pool(dataset), question_ngrams=grams)
    table = rows.open_source(card.pool)
    seen = pool.columns(table)
    form, columns = _mapping(card, table, seen)
    return PoolFindings(
        place=table.place,
        licence=table.licence,
        format=form,
        columns=columns,
        unread=found.notes["not_read"],
        placeholders=found.notes["placeholders"],
        kept=found.kept,
        reasons=_reasons(found),
        overlap=found.notes["overlap_share"] if asked else None,
        n_chosen=ranking.n_selected(card.fraction, len(found.kept)),
    )


def notes(
    card: DatasetCard, found: PoolFindings | None, asked: QuestionFindings | None
) -> list[str]:
    """Notes on what stops nothing but should be known."""
    told = []
    limit = card.overlap.warn_above
    if found and found.overlap is not None and found.overlap > limit:
        told.append(
            f"{found.overlap:.1%} of the pool contain a benchmark question, more than "
            f"{limit:.0%}: they are dropped, but check where the pool comes from."
        )
    if found and found.licence == "unknown":
        told.append(
            "`pool.licence:` is unknown and will be recorded as unknown in data cards."
        )
    if found and len(found.kept) > index.EXACT and find_spec("faiss") is None:
        told.append(
            f"{len(found.kept):,} rows: above {index.EXACT:,}, column miwv and `filter: "
            "diversity` find neighbours with faiss, which is not installed here. For "
            "these, install it where jobs run (pip install -c constraints.txt -e "
            "'.[large]')."
        )
    if card.responses is None:
        told.append(
            "No history (`responses:`): the tiny set is chosen by the questions' texts."
        )
    if asked and asked.n_test < 100:
        told.append(
            f"{asked.n_test} test questions can resolve only large differences."
        )
    return [*asked.warnings, *told] if asked else told


def _mapping(
    card: DatasetCard, table: rows.Table, seen: Mapping[str, bool]
) -> tuple[str, Columns]:
    form, columns = formats.mapping(card.pool, seen)
    if form == "multiple_choice":
        return form, _asked(card, table, columns)
    columns = columns | formats.also_read(form, columns, seen)
    order = "id system history instruction input response messages".split()
    return form, [(ours, columns[ours]) for ours in order if ours in columns]


def _asked(card: DatasetCard, table: rows.Table, own: Mapping[str, str]) -> Columns:
    """Columns of the first question."""
    names = CHOSEN if card.task == "multiple_choice" else ASKED
    first: Mapping[str, Any] = next(
        (row.value for row in table if isinstance(row.value, Mapping)), {}
    )
    found = ((ours, options.column(first, own, ours)) for ours in names)
    return [(ours, theirs) for ours, theirs in found if theirs]


def _reasons(found: pool.Pool) -> dict[str, tuple[int, list[str]]]:
    """By kind of reason, the commonest first."""
    counts: dict[str, int] = found.notes["rejected"]
    lines = found.rejected.to_dict("records")
    told = {}
    for kind in sorted(counts, key=lambda kind: (-counts[kind], kind)):
        told[kind] = counts[kind], _examples(lines, kind)
    return told


def _examples(lines: list[dict[str, Any]], kind: str) -> list[str]:
    told: list[str] = []
    for row in lines:
        what, _, detail = str(row["reason"]).partition(": ")
        if what == kind and len(told) < EXAMPLES:
            told.append(f"line {row['line']}" + (f", {detail}" if detail else ""))
    return told

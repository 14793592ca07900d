"""What gradient-based selection aims at: reward questions with a right answer in full.

The answer is what the source works out (GSM8K: the steps and `#### N`), for gradients of
a bare result would favour samples without steps. A source that knows the result only
gives that, in the form that the dataset's reader reads: `#### N`, the option's text, or
its letter.

The questions that confirm a search's reward are no targets: a column that was fitted to
them would look better there than it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import pandas as pd

from tmap.cards.dataset import QuestionSource
from tmap.data import options, rows
from tmap.data.questions import MARK, Reader
from tmap.errors import TmapError
from tmap.evaluation import readers

#: Where a world's rows hold their worked answer.
WORLD_ANSWER = "solution"


def read(
    source: QuestionSource,
    reader: Reader,
    questions: pd.DataFrame,
    held_out: Set[str] = frozenset(),
) -> pd.DataFrame:
    """Table 'targets' of these questions but for those held out, in their order.

    Parameters
    ----------
    source : where they came from, and its columns
    reader : how an answer is read
    questions : table 'questions', those of the reward
    held_out : ids of those that confirm; not all of them

    Raises
    ------
    TmapError
        If the source no longer has a question's row, or lacks a named column.
    """
    questions = questions[~questions["question_id"].isin(held_out)]
    columns = {str(ours): theirs for ours, theirs in source.columns.items()}
    if source.world:
        columns.setdefault("answer", WORLD_ANSWER)
    wanted = set(questions["row"])
    found = {
        row.number: row.value
        for row in rows.open_source(source)
        if row.number in wanted and isinstance(row.value, Mapping)
    }
    gone = wanted - set(found)
    if gone:
        raise TmapError(
            f"The questions' source lacks row {min(gone)} of a reward question; it must "
            "be the one that they were read from. Run `tmap fetch-questions` again."
        )
    return pd.DataFrame(
        [
            {
                "question_id": asked["question_id"],
                "question": asked["question"],
                "answer": _answer(asked, found[asked["row"]], columns, reader),
                "subtask": _text(found[asked["row"]], columns, "subtask"),
            }
            for asked in questions.to_dict("records")
        ]
    )


def _answer(
    asked: Mapping[str, Any],
    row: Mapping[str, Any],
    columns: Mapping[str, str],
    reader: Reader,
) -> str:
    """A right answer, written out."""
    if reader == "option":
        return str(asked["choices"][int(asked["gold"])])
    if reader == "letter":
        return readers.letters(len(asked["choices"]))[int(asked["gold"])]
    gold = options.column(row, columns, "gold")
    worked = _text(row, columns, "answer") or str(row[gold] if gold else "")
    if MARK in worked:
        return worked
    steps = worked if "answer" in columns else ""
    return f"{steps}\n{MARK} {asked['gold']}".strip()


def _text(row: Mapping[str, Any], columns: Mapping[str, str], name: str) -> str:
    """The text under a column that the card may name; empty if it names none."""
    if name not in columns:
        return ""
    if columns[name] not in row:
        raise TmapError(
            f"The questions have no column '{columns[name]}' for {name}; they have "
            f"{', '.join(map(str, row))}. Mend `questions: columns:` in the dataset card."
        )
    value = row[columns[name]]
    return "" if value is None else str(value)

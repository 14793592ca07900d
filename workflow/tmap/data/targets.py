"""Targets of gradient-based selection: reward questions with a full right answer.

The answer is the source's worked one (GSM8K: the steps and `#### N`), because gradients of
a bare result would favour samples without steps. If a source has the result only, that is
used, in the form that the dataset's reader reads: `#### N`, the option's text, or its
letter.

The questions that confirm a search's reward are not targets: a column fitted to them would
look better on them than it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import pandas as pd

from tmap.cards.dataset import QuestionSource
from tmap.data import options
from tmap.data.golds import MARK
from tmap.data.questions import Reader
from tmap.data.sources import rows
from tmap.errors import TmapError, several
from tmap.evaluation import readers

#: The column of a world's rows that has the worked answer.
WORLD_ANSWER = "solution"


def read(
    source: QuestionSource,
    reader: Reader,
    questions: pd.DataFrame,
    held_out: Set[str] = frozenset(),
) -> pd.DataFrame:
    """Table 'targets' of these questions except those held out, in their order.

    Parameters
    ----------
    source : where they came from, and its columns
    reader : how an answer is read
    questions : table 'questions' of the reward
    held_out : ids of the confirming questions; not all ids

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
            f"{several(row)}. Fix `questions: columns:` in the dataset card."
        )
    value = row[columns[name]]
    return "" if value is None else str(value)

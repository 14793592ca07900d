"""The test questions: who answered which, what was answered, and what was read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tmap.comparison.runs import READINGS, Run
from tmap.evaluation.marking import reading_of
from tmap.page import packing

#: Characters of a question and of an answer that are kept.
LONGEST = 2_000


def column(reader: str) -> str:
    """The column of predictions that has what a reader took from an answer."""
    found = reading_of(reader)
    return found if found in READINGS else "text"


def look(
    ran: Sequence[Run],
    taken: Sequence[pd.Series],
    asked: pd.DataFrame,
    method: str,
    references: Sequence[str],
    room: int,
) -> dict[str, Any]:
    """Marks of all questions and runs, and texts of as many questions as fit.

    Parameters
    ----------
    ran : runs that answered the same questions
    taken : for each run, what was read in each answer; null for nothing
    asked : rows of questions_test.parquet, by question_id
    method : whose gains and losses against `references` come first
    room : most characters of the packed texts
    """
    index = ran[0].predictions.index
    asked = asked.loc[index]
    right = np.stack([run.is_correct for run in ran])
    order = _order(ran, right, method, references)
    texts = (_texts(asked.iloc[i], ran, taken, int(i)) for i in order)
    chunks = packing.until_full(texts, room, 32)
    return {
        "n": len(index),
        "ids": packing.texts(index.tolist()),
        "runs": [[run.method, run.s, run.t] for run in ran],
        "right": [packing.bits(row) for row in right],
        "read": [packing.bits(values.notna().to_numpy()) for values in taken],
        "order": packing.integers(order),
        "texts": chunks,
    }


def _order(
    ran: Sequence[Run], right: np.ndarray, method: str, references: Sequence[str]
) -> np.ndarray:
    """(n,) questions, those with the largest differences from a reference first."""
    methods = np.array([run.method for run in ran])

    def share(name: str) -> np.ndarray | None:
        rows = right[methods == name]
        return rows.mean(axis=0) if len(rows) else None

    own = share(method)
    others = [o for o in map(share, references) if o is not None]
    if own is None or not others:
        return np.arange(right.shape[1])
    gap = np.max([np.abs(own - other) for other in others], axis=0)
    return np.argsort(-gap, kind="stable")


def _texts(
    question: pd.Series, ran: Sequence[Run], taken: Sequence[pd.Series], number: int
) -> dict[str, Any]:
    choices = question["choices"]
    answers: list[int] = []
    seen: dict[tuple[str, str | None], int] = {}
    for run, values in zip(ran, taken, strict=True):
        read = values.iloc[number]
        text = run.predictions["text"].iloc[number]
        said = (_cut(text), None if pd.isna(read) else _cut(read))
        answers.append(seen.setdefault(said, len(seen)))
    return {
        "q": _cut(question["question"]),
        "gold": _cut(question["gold"]),
        "choices": None if choices is None else [_cut(text) for text in choices],
        "said": [list(said) for said in seen],
        "by": answers,
    }


def _cut(text: Any) -> str:
    return packing.cut(text, LONGEST)

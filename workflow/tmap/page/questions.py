"""The test questions: who answered which, what was answered, and what was read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tmap.artifacts import tables
from tmap.comparison.looks import UNTOUCHED, YARDSTICK
from tmap.comparison.runs import READINGS
from tmap.page import packing
from tmap.page.results import Results

#: Characters of a question and of an answer that are kept.
LONGEST = 2_000


def look(found: Results, path: Path, method: str, room: int) -> dict[str, Any]:
    """Marks of all questions and runs, and texts of as many questions as fit.

    Parameters
    ----------
    path : questions_test.parquet
    method : whose gains and losses against random and base come first
    room : most characters of the packed texts
    """
    asked = tables.read("questions", path).set_index("question_id")
    ran = found.finished.runs
    index = ran[0].predictions.index
    asked = asked.loc[index]
    right = np.stack([run.is_correct for run in ran])
    reading = found.metrics["metric"]
    column = reading if reading in READINGS else "text"
    order = _order(found, right, method)
    texts = (_texts(asked.iloc[i], ran, int(i), column) for i in order)
    chunks = packing.until_full(texts, room, 32)
    return {
        "n": len(index),
        "ids": packing.texts(index.tolist()),
        "runs": [[run.method, run.s, run.t] for run in ran],
        "right": [packing.bits(row) for row in right],
        "read": [
            packing.bits(~run.predictions[column].isna().to_numpy()) for run in ran
        ],
        "order": packing.integers(order),
        "texts": chunks,
        "reader": reading,
    }


def _order(found: Results, right: np.ndarray, method: str) -> np.ndarray:
    """(n,) questions, those with the largest differences from random or base first."""
    methods = np.array([run.method for run in found.finished.runs])

    def share(name: str) -> np.ndarray | None:
        rows = right[methods == name]
        return rows.mean(axis=0) if len(rows) else None

    own = share(method)
    others = [o for o in (share(YARDSTICK), share(UNTOUCHED)) if o is not None]
    if own is None or not others:
        return np.arange(right.shape[1])
    gap = np.max([np.abs(own - other) for other in others], axis=0)
    return np.argsort(-gap, kind="stable")


def _texts(question: pd.Series, ran: list, number: int, column: str) -> dict[str, Any]:
    choices = question["choices"]
    answers: list[int] = []
    seen: dict[tuple[str, str | None], int] = {}
    for run in ran:
        row = run.predictions.iloc[number]
        taken = None if pd.isna(row[column]) else _cut(row[column])
        said = (_cut(row["text"]), taken)
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

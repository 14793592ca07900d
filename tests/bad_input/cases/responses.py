"""Histories: every answer is right or wrong, and belongs to a subject and a question."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from cases import Case, Room
from tmap.cards.dataset import ResponseSource
from tmap.data import responses
from tmap.tiny import irt


def asked(n: int = 1) -> pd.DataFrame:
    """Reward questions q0, q1, ... in every second row of their source."""
    return pd.DataFrame(
        {
            "question_id": [f"q{i}" for i in range(n)],
            "question": [f"What is {i} plus {i}?" for i in range(n)],
            "choices": None,
            "row": [2 * i for i in range(n)],
        }
    )


def long(**answers: list[Any]) -> list[dict[str, Any]]:
    return [
        {"subject_id": subject, "question_id": f"q{i}", "is_correct": right}
        for subject, given in answers.items()
        for i, right in enumerate(given)
    ]


def read(room: Room, rows: list[Any], n: int = 1, **source: Any) -> None:
    responses.read(ResponseSource(path=room.jsonl(rows), **source), asked(n))


def leaderboard(room: Room, texts: list[str], **source: Any) -> None:
    """A folder with the details of one subject, which answered `texts`."""
    (room.path / "details").mkdir()
    frame = pd.DataFrame({"full_prompt": texts, "acc": 1.0})
    frame.to_parquet(room.path / "details/org__m.parquet")
    where = ResponseSource(path="details", format="leaderboard_v1", **source)
    responses.read(where, asked())


def no_details(room: Room) -> None:
    source = ResponseSource(path=".", format="leaderboard_v1", subset="harness_gsm8k_5")
    responses.read(source, asked())


WIDE = {"subject_id": "m", "q0": 1}
SOLVED = "Question: What is 0 plus 0?\nAnswer:"
CASES = [
    Case(
        "too few subjects to learn from",
        lambda room: irt.fit(np.eye(3), dimensions=1),
        "The history has 3 distinct subjects and 3 questions",
        "at least 10 and 2",
        "Add subjects to the source under `responses:`",
    ),
    Case(
        "two answers to one question",
        partial(read, rows=long(a=[1]) * 2),
        "subject 'a' answers question 'q0' a second time",
        "one answer per question",
        "Keep one",
    ),
    Case(
        "a mark between right and wrong",
        partial(read, rows=long(a=[2])),
        "2 is neither right nor wrong",
        "true or false, or 1 or 0",
        "leave unanswered ones empty",
    ),
    Case(
        "a question that is none",
        partial(read, rows=[{**long(a=[1])[0], "question_id": 0.5}]),
        "row 0: the question is 0.5",
        "not an id",
        "name another column under `responses.question:`",
    ),
    Case(
        "a mark in words",
        partial(read, rows=long(a=["yes"])),
        "'yes' is neither right nor wrong",
        "true or false, or 1 or 0",
        "leave unanswered ones empty",
    ),
    Case(
        "a subject that is a number",
        partial(read, rows=[{"subject_id": 3, "question_id": "q0", "is_correct": 1}]),
        "row 0: the subject is 3",
        "not a name",
        "name another column under `responses.subject:`",
    ),
    Case(
        "a column that is not there",
        partial(read, rows=[{"model": "m", "question_id": "q0"}]),
        "row 0 has no column 'subject_id'",
        "it has model, question_id",
        "Name the columns under `responses:`",
    ),
    Case(
        "a torn row",
        partial(read, rows=[*long(a=[1]), '{"subject_id"']),
        "row 1 is not a record (invalid JSON",
        "Expecting",
        "Fix the file",
    ),
    Case(
        "one subject in two wide rows",
        partial(read, rows=[WIDE] * 2, format="wide"),
        "subject 'm' occurs a second time",
        "Keep one row per subject",
        "name another column under `subject:`",
    ),
    Case(
        "a pattern without the row's number",
        partial(read, rows=[WIDE], n=2, format="wide", item_pattern="item"),
        "responses.item_pattern 'item' does not give every row its own column",
        "i{row:05d}",
        "Include the row number",
    ),
    Case(
        "a pattern with another field",
        partial(read, rows=[WIDE], n=2, format="wide", item_pattern="i{nonsense}"),
        "responses.item_pattern 'i{nonsense}' does not give",
        "i{row:05d}",
        "Include the row number",
    ),
    Case(
        "another benchmark's questions",
        partial(read, rows=[{**WIDE, "q0": 1}], n=2, format="wide"),
        "Only 1 of 2 reward questions are found in the columns",
        "at least 99% are needed",
        "Give questions and history the same ids",
    ),
    Case(
        "subjects that are all excluded",
        partial(read, rows=long(a=[1]), exclude=["*"]),
        "has no subject left (1 excluded)",
        "a file with answers",
        "Loosen `exclude:`",
    ),
    Case(
        "a folder without details",
        no_details,
        "has no Parquet file for 'harness_gsm8k_5'",
        "one folder details_ORG__MODEL per subject",
        "fix `responses.subset:`",
    ),
    Case(
        "a metric that the details lack",
        partial(leaderboard, texts=[SOLVED], correct="acc_norm"),
        "have None as 'acc_norm'",
        "acc or acc_norm",
        "Name the benchmark's metric under `responses.correct:`",
    ),
    Case(
        "details of another benchmark",
        partial(leaderboard, texts=["Question: Why?\nAnswer:"]),
        "Only 0 of 1 reward questions are found by their text in the details of 'org/m'",
        "at least 99% are needed",
        "Check that `responses.subset:` is this benchmark",
    ),
]

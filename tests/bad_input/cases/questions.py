"""Questions: a benchmark must be complete, so one broken row is an error."""

from __future__ import annotations

from functools import partial
from typing import Any

from cases import Case, Room
from tmap.cards.dataset import QuestionSource
from tmap.data import questions
from tmap.evaluation import readers
from tmap.tiny import choose

ARC = {
    "id": "a1",
    "question": "Which is warm?",
    "choices": {"text": ["ice", "fire", "snow"], "label": ["A", "B", "C"]},
    "answerKey": "B",
}
GOOD = {"generation": {"question": "q", "answer": "1"}, "multiple_choice": ARC}


def read(room: Room, rows: list[Any], task: str, protocol="paper", **columns) -> None:
    questions.read(
        "bench",
        QuestionSource(path=room.jsonl(rows), columns=columns),
        task=task,
        reader="number" if task == "generation" else "option",
        protocol=protocol,
        reward_share=0.25,
        ngram=13,
    )


def broken(name: str, task: str, row: Any, reason: str) -> Case:
    """Two rows that are not questions, after a good one."""
    return Case(
        name,
        partial(read, rows=[GOOD[task], row, row], task=task),
        f"the first is row 1: {reason}",
        "2 of the questions in 'rows.jsonl' cannot be used",
        "Fix the file or `questions.columns:`",
    )


TEXT, CHOICE = (
    partial(broken, task="generation"),
    partial(broken, task="multiple_choice"),
)
CASES = [
    TEXT("no question", row={"answer": "1"}, reason="no column 'question'"),
    TEXT(
        "a blank question",
        row={"question": " ", "answer": "1"},
        reason="empty question",
    ),
    TEXT(
        "a question that is a number",
        row={"question": 5, "answer": "1"},
        reason="question is not text (got int)",
    ),
    TEXT("no gold", row={"question": "q"}, reason="no gold under 'gold'"),
    TEXT(
        "a gold that is only the mark",
        row={"question": "q", "answer": "####"},
        reason="no gold under 'answer'",
    ),
    TEXT(
        "a gold that is a truth value",
        row={"question": "r", "answer": True},
        reason="no gold under 'answer'",
    ),
    TEXT("a row that is a list", row=[], reason="not an object but list"),
    TEXT("a torn line", row='{"question": "q', reason="invalid JSON"),
    CHOICE(
        "a label that no option has",
        row={**ARC, "answerKey": "D"},
        reason="gold 'D' is none of the 3 choices",
    ),
    CHOICE(
        "an empty label",
        row={**ARC, "answerKey": ""},
        reason="no gold under 'answerKey'",
    ),
    CHOICE(
        "an index behind the last option",
        row={"question": "q", "choices": ["a", "b"], "gold": 2},
        reason="gold 2 is none of the 2 choices",
    ),
    CHOICE(
        "one option",
        row={"question": "q", "choices": ["a"], "gold": 0},
        reason="1 choices (2 to 26 are read)",
    ),
    CHOICE(
        "two equal options",
        row={"question": "q", "choices": ["a", "a"], "gold": 0},
        reason="two choices are the same",
    ),
    CHOICE(
        "an empty option",
        row={"question": "q", "choices": ["a", " "], "gold": 0},
        reason="a choice is empty or not text",
    ),
    CHOICE(
        "no options",
        row={"question": "q", "gold": 0},
        reason="no column 'choices' for choices",
    ),
    CHOICE(
        "code where options belong",
        row={"question": "q", "choices": "__import__('os').abort()", "gold": 0},
        reason="choices are not a list",
    ),
    Case(
        "an id that occurs twice",
        partial(
            read,
            rows=[GOOD["generation"] | {"key": "k"}] * 2,
            task="generation",
            id="key",
        ),
        "1 question ids in 'rows.jsonl' occur twice; the first is 'k'",
        "Make ids unique",
        "remove `columns.id`",
    ),
    Case(
        "too few questions to split",
        partial(read, rows=[GOOD["generation"]], task="generation", protocol="heldout"),
        "all fell on one side of reward_share 0.25",
        "towards 0.5",
        "Use more questions",
    ),
    Case(
        "no questions",
        partial(read, rows=[], task="generation"),
        "'rows.jsonl' has no questions",
        "a file with rows",
        "Name a file",
    ),
    Case(
        "a tiny set larger than what it is taken from",
        lambda room: choose.check_size(30, 25, 25),
        "There are 30 reward questions, but tiny.n_anchors (25)",
        "tiny.n_confirm (25) need 50",
        "Lower these keys of the dataset card",
    ),
    Case(
        "a gold without a number for a metric of numbers",
        lambda room: readers.mark(readers.read_number("1"), "Paris", "numeric"),
        "The gold answer 'Paris' contains no number",
        "metric numeric needs one",
        "Fix the questions file",
    ),
]

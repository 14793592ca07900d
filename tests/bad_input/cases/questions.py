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


def read(
    room: Room, rows: list[Any], task: str, protocol="paper", metric=None, **columns
) -> None:
    questions.read(
        "bench",
        QuestionSource(path=room.jsonl(rows), columns=columns),
        task=task,
        reader="number" if task == "generation" else "option",
        protocol=protocol,
        reward_share=0.25,
        ngram=13,
        metric=metric,
    )


def asked(*golds: str) -> list[Any]:
    return [{"question": f"q{n}", "answer": gold} for n, gold in enumerate(golds)]


def unreadable(metric: str, gold: str) -> Case:
    """One gold of two that the metric has no value for."""
    return Case(
        f"{metric} finds no value in {gold}",
        partial(read, rows=asked("18", gold), task="generation", metric=metric),
        f"1 of 2 golds in 'rows.jsonl' have no value under metric {metric}: {gold!r}",
        "A gold must be one number",
        READ_BY.get(gold, "questions.columns.gold"),
    )


#: Golds whose fix is another metric.
READ_BY = {
    "around 7": "`metric: numeric`",
    "\\frac{1}{2}": "`metric: numeric`",
    "2\\sqrt{3}": "`metric: math_verify`",
}


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
        row={"question": "q", "choices": ["a", "b"], "gold": 3},
        reason="gold 3 is none of the 2 choices",
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
    CHOICE(
        "an index that may count from 0 or from 1",
        row={"question": "q", "choices": ["a", "b", "c"], "gold": 1},
        reason="gold 1 may be read from_0 ('b') or from_1 ('a'), and no gold of the file",
    ),
    Case(
        "a question that nobody sees",
        partial(
            read, rows=[{"question": "\u200b \ufeff", "answer": "1"}], task="generation"
        ),
        "row 0: empty question",
        "cannot be used",
        "Fix the file",
    ),
    Case(
        "golds that count from 1, and a 0",
        lambda room: read(
            room,
            [
                {"question": f"q{n}", "choices": ["a", "b"], "gold": gold}
                for n, gold in enumerate((0, 2, 2, 1))
            ],
            "multiple_choice",
        ),
        "gold 0 may be read from_0 ('a')",
        "but most golds of the file do not fit that",
        "set `gold_is:`",
    ),
    CHOICE(
        "a number that may be a text or a position",
        row={"question": "q", "choices": ["1", "2", "3"], "gold": 1},
        reason="gold 1 may be read from_0 ('2') or from_1 ('1') or text ('1')",
    ),
    CHOICE(
        "a letter that is the text of another option",
        row={"question": "q", "choices": ["B", "A"], "gold": "A"},
        reason="gold 'A' is the letter of one choice and the text of another",
    ),
    CHOICE(
        "a number that no numbered option has",
        row={
            "question": "q",
            "choices": {"text": ["a", "b"], "label": [1, 2]},
            "gold": 0,
        },
        reason="gold 0 is none of the 2 choices",
    ),
    CHOICE(
        "labels that mark the right option",
        row={
            "question": "q",
            "choices": ["a", "b", "c"],
            "labels": [1, 0, 0],
            "gold": 0,
        },
        reason="two choices have the same label",
    ),
    CHOICE(
        "fewer labels than options",
        row={"question": "q", "choices": ["a", "b"], "labels": ["A"], "gold": "A"},
        reason="1 labels for 2 choices",
    ),
    CHOICE(
        "the -1 of a hidden gold",
        row={"question": "q", "choices": ["a", "b"], "gold": -1},
        reason="gold -1 is none of the 2 choices",
    ),
    CHOICE(
        "two letters",
        row={"question": "q", "choices": ["a", "b"], "gold": "A, B"},
        reason="gold 'A, B' is none of the 2 choices",
    ),
    CHOICE(
        "a letter with another option's text",
        row={"question": "q", "choices": ["ice", "fire"], "gold": "A. fire"},
        reason="gold 'A. fire' is none of the 2 choices",
    ),
    CHOICE(
        "the empty cell of a column of numbers",
        row='{"question": "q", "choices": ["a", "b"], "gold": NaN}',
        reason="no gold under 'gold'",
    ),
    TEXT(
        "the empty cell of a column of golds",
        row='{"question": "q", "answer": NaN}',
        reason="no gold under 'answer'",
    ),
    TEXT(
        "a gold that is a list of two",
        row={"question": "q", "answer": ["18", "18.0"]},
        reason="no gold under 'answer', but list",
    ),
    TEXT(
        "a gold that is a mapping",
        row={"question": "q", "answer": {"value": 18}},
        reason="no gold under 'answer', but dict",
    ),
    TEXT(
        "a written gold that is true",
        row={"question": "q", "answer": True},
        reason="no gold under 'answer', but bool",
    ),
    CHOICE(
        "options that mark the right one, as TruthfulQA has them",
        row={
            "question": "q",
            "choices": {"targets": ["a", "b"], "marks": [1, 0]},
            "gold": "a",
        },
        reason="a choice is empty or not text (['a', 'b'])",
    ),
    CHOICE(
        "options that are truth values",
        row={"question": "q", "choices": [True, False], "gold": "True"},
        reason="a choice is empty or not text (True)",
    ),
    CHOICE(
        "options in one text",
        row={"question": "q", "choices": "a ) 38 , b ) 27", "gold": "a"},
        reason="choices are not a list",
    ),
    CHOICE(
        "a gold that marks the right option",
        row={"question": "q", "choices": ["a", "b"], "gold": [1, 0]},
        reason="gold [1, 0] is none of the 2 choices",
    ),
    TEXT(
        "an infinite gold",
        row='{"question": "q", "answer": Infinity}',
        reason="no gold under 'answer'",
    ),
    TEXT(
        "a question with options among written ones",
        row={"question": "q", "options": ["1", "2"], "answer": "B", "answer_index": 1},
        reason="a question with options (column 'options'): set `task: multiple_choice`",
    ),
    *(
        unreadable(metric, gold)
        for metric, gold in [
            ("flexible", "twelve"),
            ("flexible", "yes"),
            ("flexible", "B"),
            ("flexible", "nan"),
            ("strict", "around 7"),
            ("strict", "\\frac{1}{2}"),
            ("numeric", "10:30"),
            ("numeric", "2 or 3"),
            ("numeric", "3,5"),
            ("numeric", "5k"),
            ("numeric", "1.2.3"),
            ("numeric", "2\\sqrt{3}"),
            ("numeric", "between 3 and 5"),
            ("numeric", "She has 3. So 7."),
        ]
    ),
    Case(
        "golds that are all marked wrong by their own text",
        partial(
            read, rows=asked("5 apples", "50%"), task="generation", metric="strict"
        ),
        "No gold in 'rows.jsonl' can be marked right under metric strict",
        "one number, as 18 or -0.5",
        "Set `metric: numeric`",
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

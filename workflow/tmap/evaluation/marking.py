"""Ask a model questions and mark its answers, in the same way for reward and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from tmap.engines.base import Ids, LanguageModel
from tmap.evaluation import expressions
from tmap.evaluation.readers import choose, gold_value, letters, mark, read_number
from tmap.prompts.renderer import Demo, Renderer


@dataclass(frozen=True)
class Marking:
    """How answers are requested and marked, from the dataset card and the model card.

    Attributes
    ----------
    reader : number (written freely), option or letter (the likeliest is chosen)
    metric : strict, flexible, numeric or math_verify for an answer; acc or acc_norm for a
        choice
    max_new_tokens : of a written answer
    """

    reader: Literal["number", "option", "letter"]
    metric: str
    max_new_tokens: int

    @property
    def is_choice(self) -> bool:
        return self.reader != "number"

    @property
    def reading(self) -> str:
        """The column of table 'predictions' with what the metric's reader found."""
        return reading_of(self.metric)


def reading_of(metric: str) -> str:
    """The column of table 'predictions' with what a metric's reader found.

    Both `numeric` and `math_verify` compare values, and share a column.
    """
    return "numeric" if metric == expressions.METRIC else metric


class Marked(NamedTuple):
    """One marked answer: the columns that table 'predictions' adds to a question id.

    For a choice, `strict`, `flexible` and `numeric` are all the index of the chosen
    option, and every mark equals `is_correct`: there is nothing to read.
    """

    text: str
    strict: str | None
    flexible: str | None
    numeric: str | None
    is_strict: bool
    is_flexible: bool
    is_numeric: bool
    is_correct: bool


class Examination(NamedTuple):
    """Marks of S questions after each of m groups of examples.

    Attributes
    ----------
    is_correct : (m, S) bool
    replies : [m][S]
    n_new_tokens : (m,) tokens generated; 0 if the answer is a choice of options
    """

    is_correct: np.ndarray
    replies: list[list[Marked]]
    n_new_tokens: np.ndarray


def examine(
    lm: LanguageModel,
    renderer: Renderer,
    questions: pd.DataFrame,
    groups: Sequence[Sequence[Demo]],
    marking: Marking,
) -> Examination:
    """Ask every question after every group of worked examples (paper eq. 2).

    Parameters
    ----------
    questions : table 'questions', S rows; the answers keep their order
    groups : m groups of examples, best last; `[()]` asks with none
    """
    rows = questions.to_dict("records")
    replies: list[list[Marked]] = [[] for _ in groups]
    n_new_tokens = np.zeros(len(groups), dtype=int)
    for where, prefixes, asked in _batches(renderer, rows, groups):
        if marking.is_choice:
            options = [option_ids(renderer, row, marking) for row in rows]
            found = lm.option_nll(prefixes, asked, options)
            marked = [mark_choices(nll, rows, marking) for nll in found]
        else:
            written = lm.generate(
                prefixes,
                asked,
                max_new_tokens=marking.max_new_tokens,
                stop=renderer.stop,
            )
            n_new_tokens[where] = [sum(map(len, group)) for group in written]
            marked = [mark_answers(renderer, group, rows, marking) for group in written]
        for group, its_replies in zip(where, marked, strict=True):
            replies[group] = its_replies
    marks = np.array([[r.is_correct for r in group] for group in replies], dtype=bool)
    return Examination(marks.reshape(len(groups), len(rows)), replies, n_new_tokens)


def mark_answer(text: str, gold: str, metric: str) -> Marked:
    """Read the number in a written answer and compare it with `gold`.

    The metric "numeric" refuses a gold answer without a number; under another metric
    `is_numeric` is then just false. Under "math_verify", `numeric` is the expression that
    Math-Verify read, and `is_numeric` whether it equals the gold.
    """
    reading = read_number(text)
    marks = {name: mark(reading, gold, name) for name in ("strict", "flexible")}
    if metric == expressions.METRIC:
        value, marks["numeric"] = expressions.compare(text, gold)
        reading = reading._replace(numeric=value)
    elif metric == "numeric" or gold_value(gold) is not None:
        marks["numeric"] = mark(reading, gold, "numeric")
    else:
        marks["numeric"] = False
    return Marked(
        text,
        reading.strict,
        reading.flexible,
        reading.numeric,
        is_strict=marks["strict"],
        is_flexible=marks["flexible"],
        is_numeric=marks["numeric"],
        is_correct=marks[reading_of(metric)],
    )


def mark_choice(nll: Sequence[float], row: dict[str, Any], marking: Marking) -> Marked:
    """Choose the likeliest option of a question row and compare its index with gold.

    `nll` is the negative log-likelihood of each option in nats, in their order.
    """
    chosen = choose(list(nll), option_texts(row, marking), marking.metric)
    is_correct = chosen == int(row["gold"])
    read = str(chosen)
    text = str(row["choices"][chosen])
    return Marked(
        text, read, read, read, is_correct, is_correct, is_correct, is_correct
    )


def option_texts(row: dict[str, Any], marking: Marking) -> list[str]:
    """The text that is scored for each option: its own, or its letter in brackets."""
    if marking.reader == "letter":
        return letters(len(row["choices"]))
    return [str(choice) for choice in row["choices"]]


def option_ids(
    renderer: Renderer, row: dict[str, Any], marking: Marking
) -> list[list[int]]:
    """Token ids of each option as an answer after the prompt, without an end token."""
    return [renderer.answer(text) for text in option_texts(row, marking)]


def mark_choices(
    nll: list[list[float]], rows: list[dict[str, Any]], marking: Marking
) -> list[Marked]:
    """`mark_choice` of each question row."""
    return [mark_choice(n, row, marking) for n, row in zip(nll, rows, strict=True)]


def mark_answers(
    renderer: Renderer,
    written: list[list[int]],
    rows: list[dict[str, Any]],
    marking: Marking,
) -> list[Marked]:
    """`mark_answer` of the token ids written for each question row."""
    return [
        mark_answer(renderer.read(ids), row["gold"], marking.metric)
        for ids, row in zip(written, rows, strict=True)
    ]


def _batches(
    renderer: Renderer,
    rows: list[dict[str, Any]],
    groups: Sequence[Sequence[Demo]],
) -> list[tuple[list[int], list[Ids], list[list[int]]]]:
    """(group numbers, prefixes, questions) of groups that share the questions' ids.

    Groups of the same size always do. Groups of different sizes may not, because a
    template can treat the first question differently.
    """
    found: list[tuple[list[int], list[Ids], list[list[int]]]] = []
    for number, demos in enumerate(groups):
        prompts = [renderer.render(row["question"], demos) for row in rows]
        asked = [prompt.question for prompt in prompts]
        for where, prefixes, known in found:
            if known == asked:
                where.append(number)
                prefixes.append(prompts[0].prefix)
                break
        else:
            found.append(([number], [prompts[0].prefix], asked))
    return found

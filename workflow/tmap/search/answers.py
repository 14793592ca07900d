"""Answers as reward and probe keep them: how one is identified, recorded and doubted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from tmap.engines.base import LanguageModel
from tmap.evaluation.marking import Marked, Marking
from tmap.evaluation.readers import READER_VERSION
from tmap.prompts.renderer import Renderer
from tmap.search.ledger import Ledger

#: Share of unreadable answers above which to warn, and the distance from 100 % or from
#: guessing within which a model's accuracy makes its rewards uninformative.
UNREAD, MARGIN = 0.05, 0.05


def request(
    lm: LanguageModel,
    renderer: Renderer,
    questions: Sequence[dict[str, Any]],
    marking: Marking,
) -> dict[str, Any]:
    """What changes an answer besides the prompt: for the digest that identifies it."""
    return {
        "ids": [row["question_id"] for row in questions],
        "choices": [
            None if row["choices"] is None else list(row["choices"])
            for row in questions
        ],
        "gold": [row["gold"] for row in questions],
        "marking": [READER_VERSION, *asdict(marking).values()],
        "stop": list(renderer.stop),
        "engine": lm.key,
    }


def keep(
    ledger: Ledger,
    key: str,
    replies: Sequence[Marked],
    new_tokens: int,
    marking: Marking,
    rows: int,
) -> None:
    """Record the answers to one request.

    Parameters
    ----------
    replies : one per question
    new_tokens : generated for all of them
    rows : prompts that the engine computed together
    """
    ledger.append(
        {
            "type": "answers",
            "key": key,
            "correct": "".join("01"[reply.is_correct] for reply in replies),
            "new_tokens": new_tokens,
            "unread": unread(replies, marking),
            "rows": rows,
        }
    )


def unread(replies: Sequence[Marked], marking: Marking) -> int:
    """Written answers in which the metric's reader found nothing."""
    if marking.is_choice:
        return 0
    return sum(getattr(reply, marking.reading) is None for reply in replies)


def n_tokens(ledger: Ledger, keys: Iterable[str]) -> int:
    """Tokens generated for these requests, now or in an earlier attempt."""
    return sum(ledger.answers[key]["new_tokens"] for key in keys)


def warnings(
    ledger: Ledger, keys: Iterable[str], questions: pd.DataFrame, marking: Marking
) -> list[str]:
    """Reasons why these answers are a poor guide."""
    answers = [ledger.answers[key] for key in sorted(keys)]
    n = sum(len(answer["correct"]) for answer in answers)
    if not n:
        return []
    n_unread = sum(answer.get("unread", 0) for answer in answers)
    right = sum(answer["correct"].count("1") for answer in answers)
    return doubts(n, right, n_unread, questions, marking)


def doubts(
    n: int, n_right: int, n_unread: int, questions: pd.DataFrame, marking: Marking
) -> list[str]:
    """Reasons why n >= 1 answers are a poor guide, from how many are right and unread."""
    found = []
    missed, right = n_unread / n, n_right / n
    if missed > UNREAD:
        found.append(
            f"{missed:.1%} of {n} answers contain nothing that the reader "
            f"({marking.metric}) can find; they count as wrong. Check the "
            "prompt template, the stop texts and max_new_tokens"
        )
    guessed = by_guessing(questions, marking)
    if right >= 1 - MARGIN:
        found.append(
            f"the model is at the ceiling: {right:.1%} of {n} answers are right, so "
            "demonstrations cannot help; take harder questions"
        )
    elif right <= guessed + MARGIN:
        found.append(
            f"the model is at the floor: {right:.1%} of {n} answers are right, where "
            f"guessing gives {guessed:.1%}, so rewards are noise; "
            "take easier questions or a stronger model, or check that its answers are "
            "read correctly"
        )
    return found


def by_guessing(questions: pd.DataFrame, marking: Marking) -> float:
    """Accuracy of guessing: 1 over the number of options; 0 for a written answer."""
    if not marking.is_choice:
        return 0.0
    return float(np.mean([1 / len(c) for c in questions["choices"]]))

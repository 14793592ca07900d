"""The reward of a choice of demonstrations: few-shot accuracy on the tiny set.

R(w) = mean over groups of the estimated accuracy      paper equations 2, 3 and 6
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tmap.answers import READER_VERSION
from tmap.examine import Exam, examine
from tmap.ledger import Ledger, digest
from tmap.outcome import Outcome
from tmap.prompts import Demo


@dataclass
class Reward:
    """Evaluates groups of demonstrations on one question set, through the ledger.

    Parameters
    ----------
    exam : the model, its renderer, the questions and how answers are marked
    estimate : (m, S) bool marks -> (m,) accuracy estimates
    se_items : standard error that the choice of items adds
    ledger : answers already paid for
    """

    exam: Exam
    estimate: Callable[[np.ndarray], np.ndarray]
    se_items: float
    ledger: Ledger

    def __call__(self, groups: Sequence[Sequence[Demo]]) -> Outcome:
        """Ask what the ledger does not know, and estimate each group's accuracy."""
        keys = [self.key(demos) for demos in groups]
        unknown = {
            key: demos
            for key, demos in zip(keys, groups, strict=True)
            if key not in self.ledger.answers
        }
        start = time.monotonic()
        new_tokens = self._ask(unknown) if unknown else 0
        seconds = time.monotonic() - start if unknown else 0.0
        marks = np.array([_bits(self.ledger.answers[key]["correct"]) for key in keys])
        accuracy = np.asarray(self.estimate(marks), dtype=float)
        m = len(accuracy)
        return Outcome(
            reward=float(accuracy.mean()),
            group_accuracy=accuracy,
            se_items=self.se_items,
            se_groups=float(accuracy.std(ddof=1) / m**0.5) if m > 1 else float("nan"),
            new_tokens=new_tokens,
            ledger_hits=len(keys) - len(unknown),
            seconds=seconds,
        )

    def _ask(self, unknown: dict[str, Sequence[Demo]]) -> int:
        """One group at a time, so that a kill loses one group at most."""
        total = 0
        for key, demos in unknown.items():
            sheet = examine(self.exam, [demos])
            total += sheet.new_tokens
            self.ledger.append(
                {
                    "type": "answers",
                    "key": key,
                    "correct": "".join("01"[bool(mark)] for mark in sheet.correct[0]),
                    "new_tokens": sheet.new_tokens,
                }
            )
        return total

    def key(self, demos: Sequence[Demo]) -> str:
        """The exact request: token ids, question ids, how it is decoded and read."""
        exam = self.exam
        prompts = [exam.renderer.render(q, demos) for q in exam.questions["question"]]
        request = {
            "prefix": list(prompts[0].prefix),
            "questions": [list(prompt.question) for prompt in prompts],
            "ids": exam.questions["question_id"].tolist(),
            "choices": _choices(exam.questions),
            "gold": exam.questions["gold"].tolist(),
            "reading": [READER_VERSION, exam.task, exam.reader, exam.metric],
            "decoding": [exam.max_new_tokens, list(exam.renderer.stop)],
            "engine": exam.lm.key,
        }
        return digest(request)


def _choices(questions: Any) -> list[list[str] | None]:
    return [None if c is None else list(c) for c in questions["choices"]]


def _bits(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), dtype=np.uint8) == ord("1")

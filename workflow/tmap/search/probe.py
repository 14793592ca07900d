"""What a group of rows is worth, asked one question at a time.

A group is n rows of the pool, shown as demonstrations, and the questions that are asked
after them. Each answer is one observation of the group model (`tmap.search.group_model`):
many groups with one question each say more than few groups with many questions, because
rows vary more than questions do. The price is a prompt of its own for every answer.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tmap.engines.base import LanguageModel, Spent
from tmap.evaluation.marking import (
    Marked,
    Marking,
    mark_answer,
    mark_choice,
    option_ids,
)
from tmap.evaluation.readers import READER_VERSION
from tmap.prompts.renderer import Demo, Renderer
from tmap.search.ledger import Ledger, short_digest


class Group(NamedTuple):
    """What is shown and what is asked.

    Attributes
    ----------
    rows : row numbers of the demonstrations, the last one nearest to the question
    questions : numbers of the questions that are asked after them
    """

    rows: tuple[int, ...]
    questions: tuple[int, ...]


@dataclass
class FewShot:
    """Answers to questions after groups of demonstrations, through the ledger.

    Parameters
    ----------
    lm, renderer : the target model, and how prompts are written for it
    questions : table 'questions', those that groups refer to by number
    marking : how answers are read and compared
    texts : the rows of the pool as demonstrations
    ledger : answers already paid for

    Attributes
    ----------
    spent, seconds, new_tokens, hits : of the last call of `ask`
    unread : answers so far in which the reader found nothing
    """

    lm: LanguageModel
    renderer: Renderer
    questions: pd.DataFrame
    marking: Marking
    texts: Sequence[Demo]
    ledger: Ledger
    spent: Spent = field(default_factory=Spent)
    seconds: float = 0.0
    new_tokens: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        self._rows: list[dict[str, Any]] = self.questions.to_dict("records")

    def ask(self, groups: Sequence[Group]) -> np.ndarray:
        """(G, q) bool: whether each group's questions are answered correctly.

        All groups have the same number q of questions. As many prompts are computed
        together as the engine takes; a kill loses those.
        """
        start, before = time.monotonic(), copy(self.lm.spent)
        keys = [self.key(group) for group in groups]
        known = self.ledger.answers
        missing = [i for i, key in enumerate(keys) if key not in known]
        self.hits = len(groups) - len(missing)
        self.new_tokens = 0
        while missing:
            self.ledger.keep_batch(self.lm)
            n = max(1, self.lm.batch_size // len(groups[0].questions))
            some, missing = missing[:n], missing[n:]
            found = self._answer([groups[i] for i in some])
            self.ledger.keep_batch(self.lm)
            for i, (marked, tokens) in zip(some, found, strict=True):
                self.new_tokens += tokens
                self.ledger.append(
                    {
                        "type": "answers",
                        "key": keys[i],
                        "correct": "".join("01"[reply.is_correct] for reply in marked),
                        "new_tokens": tokens,
                        "unread": self._unread(marked),
                        "rows": self.lm.batch_size,
                    }
                )
        self.spent = self.lm.spent.since(before)
        self.seconds = time.monotonic() - start if self.hits < len(groups) else 0.0
        n = len(groups[0].questions) if groups else 0
        return self.ledger.marks(keys, n)

    def _answer(self, groups: Sequence[Group]) -> list[tuple[list[Marked], int]]:
        """Marked answers of each group and how many tokens were generated for them."""
        asked = [self._rows[q] for group in groups for q in group.questions]
        prompts = [prompt for group in groups for prompt in self._prompts(group)]
        if self.marking.is_choice:
            options = [option_ids(self.renderer, row, self.marking) for row in asked]
            (found,) = self.lm.option_nll([[]], prompts, options)
            marked = [
                (mark_choice(nll, row, self.marking), 0)
                for nll, row in zip(found, asked, strict=True)
            ]
        else:
            (written,) = self.lm.generate(
                [[]],
                prompts,
                max_new_tokens=self.marking.max_new_tokens,
                stop=self.renderer.stop,
            )
            read, metric = self.renderer.read, self.marking.metric
            marked = [
                (mark_answer(read(ids), row["gold"], metric), len(ids))
                for ids, row in zip(written, asked, strict=True)
            ]
        q = len(groups[0].questions)
        parts = [marked[i : i + q] for i in range(0, len(marked), q)]
        return [([m for m, _ in part], sum(n for _, n in part)) for part in parts]

    def _prompts(self, group: Group) -> list[list[int]]:
        """Token ids of the whole prompt of each question."""
        demos = [self.texts[row] for row in group.rows]
        texts = [self._rows[q]["question"] for q in group.questions]
        found = [self.renderer.render(text, demos) for text in texts]
        return [[*prompt.prefix, *prompt.question] for prompt in found]

    def _unread(self, marked: Sequence[Marked]) -> int:
        """Written answers in which the metric's reader found nothing."""
        if self.marking.is_choice:
            return 0
        return sum(getattr(reply, self.marking.metric) is None for reply in marked)

    def identity(self) -> str:
        """Digest of all that can change an answer, except the rows that are shown."""
        return short_digest(
            [self.key(Group((), (q,))) for q in range(len(self.questions))]
        )

    def key(self, group: Group) -> str:
        """Digest of the exact request: token ids, question ids, decoding and reading."""
        rows = [self._rows[q] for q in group.questions]
        request = {
            "prompts": self._prompts(group),
            "ids": [row["question_id"] for row in rows],
            "choices": [
                None if row["choices"] is None else list(row["choices"]) for row in rows
            ],
            "gold": [row["gold"] for row in rows],
            "marking": [READER_VERSION, *asdict(self.marking).values()],
            "stop": list(self.renderer.stop),
            "engine": self.lm.key,
        }
        return short_digest(request)

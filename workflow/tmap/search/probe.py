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
from dataclasses import dataclass, field
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
from tmap.prompts.renderer import Demo, Renderer
from tmap.search import answers
from tmap.search.ledger import Ledger, short_digest

#: Token ids of one whole prompt.
Prompt = list[int]


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
    used : keys of the groups asked so far
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
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._rows: list[dict[str, Any]] = self.questions.to_dict("records")

    def ask(self, groups: Sequence[Group]) -> np.ndarray:
        """(G, q) bool: whether each group's questions are answered correctly.

        All groups have the same number q of questions. As many prompts are computed
        together as the engine takes; a kill loses those.
        """
        start, before = time.monotonic(), copy(self.lm.spent)
        prompts = [self._prompts(group) for group in groups]
        keys = [self._key(g, p) for g, p in zip(groups, prompts, strict=True)]
        missing = [i for i, key in enumerate(keys) if key not in self.ledger.answers]
        self.hits = len(groups) - len(missing)
        self.new_tokens = 0
        while missing:
            self.ledger.keep_batch(self.lm)
            n = max(1, self.lm.batch_size // len(groups[0].questions))
            some, missing = missing[:n], missing[n:]
            found = self._answer([groups[i] for i in some], [prompts[i] for i in some])
            self.ledger.keep_batch(self.lm)
            for i, (marked, tokens) in zip(some, found, strict=True):
                self.new_tokens += tokens
                rows = self.lm.batch_size
                answers.keep(self.ledger, keys[i], marked, tokens, self.marking, rows)
        self.used |= set(keys)
        self.spent = self.lm.spent.since(before)
        self.seconds = time.monotonic() - start if self.hits < len(groups) else 0.0
        return answers.marks(self.ledger, keys).reshape(len(groups), -1)

    def _answer(
        self, groups: Sequence[Group], prompts_of: Sequence[list[Prompt]]
    ) -> list[tuple[list[Marked], int]]:
        """Marked answers of each group and how many tokens were generated for them."""
        asked = [self._rows[q] for group in groups for q in group.questions]
        prompts = [prompt for its in prompts_of for prompt in its]
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

    def _prompts(self, group: Group) -> list[Prompt]:
        """The whole prompt of each question."""
        demos = [self.texts[row] for row in group.rows]
        texts = [self._rows[q]["question"] for q in group.questions]
        found = [self.renderer.render(text, demos) for text in texts]
        return [[*prompt.prefix, *prompt.question] for prompt in found]

    @property
    def n_tokens(self) -> int | None:
        """Tokens behind all answers; None where options are scored, nothing is written."""
        if self.marking.is_choice:
            return None
        return answers.n_tokens(self.ledger, self.used)

    def warnings(self) -> list[str]:
        """Reasons why the answers so far are a poor guide."""
        return answers.warnings(self.ledger, self.used, self.questions, self.marking)

    def identity(self) -> str:
        """Digest of all that can change an answer, except the rows that are shown."""
        return short_digest(
            [self.key(Group((), (q,))) for q in range(len(self.questions))]
        )

    def key(self, group: Group) -> str:
        """Digest of the exact request: token ids, question ids, decoding and reading."""
        return self._key(group, self._prompts(group))

    def _key(self, group: Group, prompts: list[Prompt]) -> str:
        rows = [self._rows[q] for q in group.questions]
        asked = answers.request(self.lm, self.renderer, rows, self.marking)
        return short_digest({"prompts": prompts} | asked)

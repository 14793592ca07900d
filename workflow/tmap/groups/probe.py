"""What a group of rows is worth: the interface, and the paper's few-shot accuracy.

A group is rows of the pool and the questions that are asked after them. A probe turns each
question into a number; each number is one observation of the group model
(`tmap.groups.group_model`), which does not care what was measured:

    icl           whether the answer is right, the rows shown as demonstrations
    icl_logprob   log-likelihood of the right answer, less what it is without rows
                  (`tmap.groups.likelihood`)
    sft           the same after a short training on the rows, without demonstrations
                  (`tmap.groups.short_training`)

Many groups with one question each say more than few groups with many, because rows vary
more than questions do. The price is a prompt of its own for every answer.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tmap.engines.base import LanguageModel, Spent
from tmap.evaluation.marking import (
    Marked,
    Marking,
    mark_answers,
    mark_choices,
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
    rows : row numbers; of demonstrations, the last one is nearest to the question
    questions : numbers of the questions that are asked after them
    """

    rows: tuple[int, ...]
    questions: tuple[int, ...]


@dataclass(frozen=True)
class Exam:
    """Who is asked, what, and how answers are read.

    Attributes
    ----------
    lm, renderer : the target model, and how prompts are written for it
    questions : table 'questions', those that groups refer to by number
    marking : how answers are read and compared
    ledger : answers already paid for
    """

    lm: LanguageModel
    renderer: Renderer
    questions: pd.DataFrame
    marking: Marking
    ledger: Ledger

    @property
    def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.questions.to_dict("records")
        return found


class Probe(ABC):
    """Measures groups through the ledger; a group that was measured costs nothing.

    Parameters
    ----------
    exam : the questions, the model and the ledger

    Attributes
    ----------
    name : as in a method card
    unit : of its numbers
    asks_all : whether every group is asked all questions
    spent, seconds, new_tokens, hits : of the last call of `ask`
    used : keys of the groups asked so far
    """

    name = ""
    unit = ""
    asks_all = False

    def __init__(self, exam: Exam) -> None:
        self.lm, self.ledger, self.questions = exam.lm, exam.ledger, exam.questions
        self.renderer, self.marking = exam.renderer, exam.marking
        self.rows = exam.rows
        self.spent, self.seconds = Spent(), 0.0
        self.new_tokens = self.hits = 0
        self.used: set[str] = set()

    def ask(self, groups: Sequence[Group]) -> np.ndarray:
        """(G, q) float64: a number for each question of each group.

        All groups have the same number q of questions. As many are measured together as
        the probe can; a kill loses those.
        """
        start, before = time.monotonic(), copy(self.lm.spent)
        self.new_tokens = 0
        keys, self.hits = self._fill(groups)
        self.used |= set(keys)
        self.spent = self.lm.spent.since(before)
        self.seconds = time.monotonic() - start if self.hits < len(groups) else 0.0
        return self._values(keys, groups).reshape(len(groups), -1)

    def _fill(self, groups: Sequence[Group]) -> tuple[list[str], int]:
        """Measure what the ledger lacks; the keys of all, and how many it had."""
        requests = [self.request(group) for group in groups]
        keys = [short_digest(asked) for asked in requests]
        missing = [i for i, key in enumerate(keys) if not self._known(key)]
        hits = len(groups) - len(missing)
        while missing:
            self.ledger.keep_batch(self.lm)
            n = self._together(len(groups[0].questions))
            some, missing = missing[:n], missing[n:]
            asked = [groups[i] for i in some]
            self._measure([keys[i] for i in some], asked, [requests[i] for i in some])
        return keys, hits

    @abstractmethod
    def request(self, group: Group) -> dict[str, Any]:
        """All that can change the numbers of a group."""

    @abstractmethod
    def _known(self, key: str) -> bool:
        """Whether the ledger has this group."""

    def _together(self, n_questions: int) -> int:
        """Number of groups that are measured at once: as many as the engine takes."""
        return max(1, self.lm.batch_size // n_questions)

    @abstractmethod
    def _measure(
        self,
        keys: Sequence[str],
        groups: Sequence[Group],
        requests: Sequence[dict[str, Any]],
    ) -> None:
        """Measure groups and put them into the ledger under their keys."""

    @abstractmethod
    def _values(self, keys: Sequence[str], groups: Sequence[Group]) -> np.ndarray:
        """The numbers of groups that the ledger has."""

    def key(self, group: Group) -> str:
        """Digest of the request."""
        return short_digest(self.request(group))

    def identity(self) -> str:
        """Digest of all that can change an answer, except the rows that are shown."""
        return short_digest(
            [self.key(Group((), (q,))) for q in range(len(self.questions))]
        )

    @property
    def n_tokens(self) -> int | None:
        """Tokens written for all answers; None where nothing is written."""
        return None

    def warnings(self) -> list[str]:
        """Reasons why the numbers so far are a poor guide."""
        return []

    def tokens(self, groups: Sequence[Group]) -> int:
        """What groups cost on any machine: tokens read, written and trained on.

        A trained token counts three times, for its pass forward and back.
        """
        return sum(self._cost(self.request(group)) for group in groups)

    def _cost(self, request: dict[str, Any]) -> int:
        """The tokens of one group; of these, the base class knows those of prompts."""
        return sum(map(len, request["prompts"]))

    def prompts(self, group: Group, texts: Sequence[Demo]) -> list[Prompt]:
        """The whole prompt of each question after these demonstrations."""
        demos = [texts[row] for row in group.rows]
        asked = [self.rows[q]["question"] for q in group.questions]
        found = [self.renderer.render(text, demos) for text in asked]
        return [[*prompt.prefix, *prompt.question] for prompt in found]


class FewShot(Probe):
    """Whether the model answers rightly with the rows as demonstrations.

    Parameters
    ----------
    exam : the questions, the model and the ledger
    texts : the rows of the pool as demonstrations
    """

    name, unit = "icl", "accuracy"

    def __init__(self, exam: Exam, texts: Sequence[Demo]) -> None:
        super().__init__(exam)
        self.texts = texts

    def request(self, group: Group) -> dict[str, Any]:
        """Token ids, question ids, decoding and reading."""
        rows = [self.rows[q] for q in group.questions]
        asked = answers.request(self.lm, self.renderer, rows, self.marking)
        return {"prompts": self.prompts(group, self.texts)} | asked

    @property
    def n_tokens(self) -> int | None:
        if self.marking.is_choice:
            return None
        return answers.n_tokens(self.ledger, self.used)

    def _cost(self, request: dict[str, Any]) -> int:
        written = answers.n_tokens(self.ledger, [short_digest(request)])
        return super()._cost(request) + written

    def warnings(self) -> list[str]:
        return answers.warnings(self.ledger, self.used, self.questions, self.marking)

    def _known(self, key: str) -> bool:
        return key in self.ledger.answers

    def _values(self, keys: Sequence[str], groups: Sequence[Group]) -> np.ndarray:
        return self.ledger.marks(keys, len(groups[0].questions)).astype(float)

    def _measure(
        self,
        keys: Sequence[str],
        groups: Sequence[Group],
        requests: Sequence[dict[str, Any]],
    ) -> None:
        asked = [self.rows[q] for group in groups for q in group.questions]
        found = self._answer(asked, [p for its in requests for p in its["prompts"]])
        self.ledger.keep_batch(self.lm)
        q, rows = len(groups[0].questions), self.lm.batch_size
        for i, key in enumerate(keys):
            part = found[i * q : (i + 1) * q]
            tokens = sum(n for _, n in part)
            self.new_tokens += tokens
            marked = [reply for reply, _ in part]
            answers.keep(self.ledger, key, marked, tokens, self.marking, rows)

    def _answer(
        self, asked: list[dict[str, Any]], prompts: list[Prompt]
    ) -> list[tuple[Marked, int]]:
        """The marked answer to each prompt, and how many tokens were written for it."""
        if self.marking.is_choice:
            options = [option_ids(self.renderer, row, self.marking) for row in asked]
            (nll,) = self.lm.option_nll([[]], prompts, options)
            return [(marked, 0) for marked in mark_choices(nll, asked, self.marking)]
        (written,) = self.lm.generate(
            [[]],
            prompts,
            max_new_tokens=self.marking.max_new_tokens,
            stop=self.renderer.stop,
        )
        marked = mark_answers(self.renderer, written, asked, self.marking)
        return list(zip(marked, map(len, written), strict=True))

"""Probe `sft`: what a short training on a group of rows does to the right answers.

The adapter is trained on the rows as the trainer would train it, and the questions are
asked without demonstrations. The number is the gain of the right answer's log-likelihood
(`tmap.groups.likelihood`). A training is read in full: every group answers the same
questions.

The learning rate is the card's, or the one of a few at which training on worked answers to
other reward questions helps most: few rows need larger steps than many.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tmap.cards.method import SftSection
from tmap.errors import TmapError
from tmap.groups.budget import MULTIPLES, TRIES
from tmap.groups.likelihood import GoldScorer, Scored
from tmap.groups.probe import Exam, Group
from tmap.prompts.conversation import Turn
from tmap.search.ledger import short_digest
from tmap.training.rows import Row, encode

logger = logging.getLogger(__name__)


class Learner(Protocol):
    """What the probe needs of `tmap.training.short.ShortTraining`."""

    limit: int
    settings: Any
    version: int

    def train(self, rows: Sequence[Row], rate: float, epochs: float) -> list[float]:
        """Train from the start on these rows."""

    def reset(self) -> None:
        """Forget what was learned."""


class Trained(Scored):
    """The gain of the right answer's log-likelihood by training on the rows.

    Parameters
    ----------
    exam : its model answers with what `learner` has learned
    learner : trains the adapter of that model
    chats : row number -> the row as a conversation
    worked : question_id -> the full right answer, for answers that are written
    how : of the method card
    about : of the learner, for the ledger: all that changes a training but its rows
    """

    name, asks_all = "sft", True

    def __init__(
        self,
        exam: Exam,
        learner: Learner,
        chats: Callable[[int], Sequence[Turn]],
        worked: Mapping[str, str],
        how: SftSection,
        about: dict[str, Any],
    ) -> None:
        super().__init__(exam)
        self.learner, self.chats, self.how, self.about = learner, chats, how, about
        self.score = GoldScorer(self.lm, self.renderer, self.marking, worked)
        self._rate = how.learning_rate

    @property
    def rate(self) -> float:
        """The learning rate.

        Raises
        ------
        TmapError : neither the card nor a calibration has set it
        """
        if self._rate is None:
            raise TmapError(
                "A short training needs a learning rate: set `search: {sft: "
                "{learning_rate: ...}}` in the method card, or calibrate it."
            )
        return self._rate

    def set_rate(self, rate: float) -> None:
        """Use a learning rate that a calibration chose."""
        self._rate = rate

    def calibrate(self, questions: Sequence[Mapping[str, Any]], seed: int) -> float:
        """Choose the learning rate, unless the card names it.

        Parameters
        ----------
        questions : reward questions that no group is asked, with their right answers

        Returns
        -------
        The rate at which training on their answers raises the mean of this probe most.
        """
        if self._rate is not None:
            return self._rate
        rng = np.random.default_rng([seed, 3])
        every = tuple(range(len(self.questions)))
        size = min(self.how.rows, len(questions))
        parts = [rng.permutation(len(questions))[:size] for _ in range(TRIES)]
        shown = [[self._worked(questions[i]) for i in part] for part in parts]
        gains = {}
        for multiple in MULTIPLES:
            self._rate = multiple * self.learner.settings.learning_rate
            found = [self._gain(chats, every) for chats in shown]
            gains[self._rate] = float(np.mean(found))
            logger.info(
                "calibration: learning rate %g, gain %+.3f nats",
                self._rate,
                gains[self._rate],
            )
        self._rate = max(gains, key=lambda rate: (gains[rate], -rate))
        if gains[self._rate] <= 0:
            logger.warning(
                "training on worked answers to other questions helps at no learning rate "
                "tried; the probe takes %g",
                self._rate,
            )
        return self._rate

    def _worked(self, row: Mapping[str, Any]) -> list[Turn]:
        return [Turn("user", row["question"]), Turn("assistant", self.score.text(row))]

    def _gain(self, chats: Sequence[Sequence[Turn]], questions: Sequence[int]) -> float:
        group = Group((), tuple(questions))
        asked = self._request(self._encoded(chats), group)
        key = short_digest(asked)
        if not self._known(key):
            self._measure([key], [group], [asked])
        return float(self._values([key], [group]).mean())

    def identity(self) -> str:
        """As of any probe; also how rows are trained on, and how many groups."""
        how = self.how.model_dump() | {"learning_rate": self.rate}
        return short_digest([super().identity(), how, self.about])

    def request(self, group: Group) -> dict[str, Any]:
        chats = [self.chats(row) for row in group.rows]
        return self._request(self._encoded(chats), group)

    def _request(self, rows: Sequence[Row], group: Group) -> dict[str, Any]:
        asked = [self.rows[q] for q in group.questions]
        trained = (
            {"rows": [list(row) for row in rows], "rate": self.rate, **self.about}
            if rows
            else {}
        )
        prompts = self.prompts(Group((), group.questions), [])
        found = {"probe": self.name, "prompts": prompts, "training": trained}
        return found | self.score.identity(asked)

    def _encoded(self, chats: Sequence[Sequence[Turn]]) -> list[Row]:
        if not chats:
            return []
        key = "`train.max_length` in the model card, or the model's context"
        return encode(self.renderer, chats, self.learner.limit, key).rows

    def _cost(self, request: dict[str, Any]) -> int:
        trained = sum(len(ids) for ids, _ in request["training"].get("rows", []))
        return super()._cost(request) + round(3 * self.how.epochs * trained)

    def _together(self, n_questions: int) -> int:
        return 1  # one adapter at a time

    def _measure(
        self,
        keys: Sequence[str],
        groups: Sequence[Group],
        requests: Sequence[dict[str, Any]],
    ) -> None:
        for key, group, asked in zip(keys, groups, requests, strict=True):
            rows = [Row(*row) for row in asked["training"].get("rows", [])]
            if rows:
                self.learner.train(rows, self.rate, self.how.epochs)
            else:
                self.learner.reset()
            scores = self.score(
                asked["prompts"], [self.rows[q] for q in group.questions]
            )
            self.ledger.keep_batch(self.lm)
            self._keep(key, scores)

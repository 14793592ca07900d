"""Probe `icl_logprob`: how likely the right answer is after a group of rows.

For options it is the log of the gold option's share, as the metric weighs options
(`acc`: summed likelihoods; `acc_norm`: per character). For written answers it is the mean
log-likelihood of the tokens of the worked answer. Each question's value without any rows
is subtracted, so that easy and hard questions compare. Unlike a right or wrong answer, the
number moves with every row, so fewer of them tell as much; what it says of *answers* is
for `tmap.groups.fidelity` to judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import log_softmax

from tmap.engines.base import LanguageModel
from tmap.errors import TmapError
from tmap.evaluation.marking import Marking, option_ids, option_texts
from tmap.groups.probe import Exam, Group, Probe, Prompt
from tmap.prompts.renderer import Demo, Renderer
from tmap.search import answers
from tmap.search.reward import answer_room


def gold_share(nll: Sequence[float], row: Mapping[str, Any], marking: Marking) -> float:
    """Log of the gold option's share among all options, nats; at most 0.

    Worked example: two options with summed likelihoods 0.2 and 0.6 under `acc`:
    log(0.2 / 0.8) = -1.386 for the first.
    """
    scores = -np.asarray(nll, dtype=np.float64)
    if marking.metric == "acc_norm":
        texts = option_texts(dict(row), marking)
        scores = scores / np.array([max(len(text), 1) for text in texts])
    return float(log_softmax(scores)[int(row["gold"])])


class GoldScorer:
    """The log-likelihood of right answers under a model.

    Parameters
    ----------
    lm, renderer, marking : who answers, and how
    worked : question_id -> the full right answer, for answers that are written
    """

    def __init__(
        self,
        lm: LanguageModel,
        renderer: Renderer,
        marking: Marking,
        worked: Mapping[str, str],
    ) -> None:
        self.lm, self.renderer, self.marking = lm, renderer, marking
        self.worked = worked

    def __call__(
        self, prompts: Sequence[Prompt], rows: Sequence[dict[str, Any]]
    ) -> np.ndarray:
        """(n,) nats: of each row's right answer after its prompt."""
        if self.marking.is_choice:
            options = [option_ids(self.renderer, row, self.marking) for row in rows]
            (nll,) = self.lm.option_nll([[]], prompts, options)
            return np.array(
                [
                    gold_share(each, row, self.marking)
                    for each, row in zip(nll, rows, strict=True)
                ]
            )
        total, count = self.lm.answer_nll(prompts, [self.answer(row) for row in rows])
        return -np.asarray(total) / np.asarray(count)

    def text(self, row: Mapping[str, Any]) -> str:
        """The right answer to a question in full: its option, or the worked answer."""
        if self.marking.is_choice:
            return option_texts(dict(row), self.marking)[int(row["gold"])]
        text = self.worked.get(row["question_id"], "")
        if not text.strip():
            raise TmapError(
                f"Question '{row['question_id']}' has no worked answer in targets.parquet, "
                "which a probe by likelihood needs. Fix the question source, or set "
                "`search: {probe: icl}` in the method card."
            )
        return text

    def answer(self, row: Mapping[str, Any]) -> list[int]:
        """Token ids of the right answer to a question.

        Of a long one the first ones, as many as demonstrations leave room for: the same
        with and without them, because later tokens are easier.
        """
        ids = self.renderer.answer(self.text(row))
        context, most = self.lm.context, self.marking.max_new_tokens
        return ids if context is None else ids[: answer_room(context, most)]

    def identity(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """What changes a score besides the prompt."""
        asked = answers.request(self.lm, self.renderer, rows, self.marking)
        if not self.marking.is_choice:
            asked["worked"] = [self.answer(row) for row in rows]
        return asked


class Scored(Probe):
    """A probe whose numbers are the gain of the right answer's log-likelihood."""

    unit = "nats"

    def _known(self, key: str) -> bool:
        return key in self.ledger.scores

    def _keep(self, key: str, scores: np.ndarray) -> None:
        rows = self.lm.batch_size
        self.ledger.append(
            {"type": "scores", "key": key, "scores": scores.tolist(), "rows": rows}
        )

    def _values(self, keys: Sequence[str], groups: Sequence[Group]) -> np.ndarray:
        found = np.array([self.ledger.scores[key]["scores"] for key in keys])
        base = self._without_rows(sorted({q for g in groups for q in g.questions}))
        return found - np.array([[base[q] for q in g.questions] for g in groups])

    def _without_rows(self, questions: Sequence[int]) -> dict[int, float]:
        """The score of each question where nothing is shown or trained on."""
        keys, _ = self._fill([Group((), (q,)) for q in questions])
        known = self.ledger.scores
        return {
            q: known[key]["scores"][0] for q, key in zip(questions, keys, strict=True)
        }


class GoldLikelihood(Scored):
    """The right answer's log-likelihood with the rows as demonstrations.

    Parameters
    ----------
    exam : the questions, the model and the ledger
    texts : the rows of the pool as demonstrations
    worked : question_id -> the full right answer, for answers that are written
    """

    name = "icl_logprob"

    def __init__(
        self, exam: Exam, texts: Sequence[Demo], worked: Mapping[str, str]
    ) -> None:
        super().__init__(exam)
        self.texts = texts
        self.score = GoldScorer(self.lm, self.renderer, self.marking, worked)

    def request(self, group: Group) -> dict[str, Any]:
        rows = [self.rows[q] for q in group.questions]
        asked = {"probe": self.name, "prompts": self.prompts(group, self.texts)}
        return asked | self.score.identity(rows)

    def _measure(
        self,
        keys: Sequence[str],
        groups: Sequence[Group],
        requests: Sequence[dict[str, Any]],
    ) -> None:
        rows = [self.rows[q] for group in groups for q in group.questions]
        scores = self.score([p for asked in requests for p in asked["prompts"]], rows)
        self.ledger.keep_batch(self.lm)
        for key, part in zip(keys, scores.reshape(len(groups), -1), strict=True):
            self._keep(key, part)

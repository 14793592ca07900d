"""The reward of a choice of demonstrations: few-shot accuracy on the tiny set.

R(w) = mean over groups of the estimated accuracy      paper equations 2, 3 and 6
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tmap.answers import READER_VERSION
from tmap.engines.base import LanguageModel
from tmap.examine import Marking, Reply, examine, option_ids
from tmap.ledger import Ledger, digest
from tmap.outcome import Outcome
from tmap.prompts import Demo, Renderer

#: Share of unreadable answers above which to warn, and how near to all or to no more
#: than guessing a model may be before its rewards can tell little.
UNREAD, MARGIN = 0.05, 0.05


@dataclass
class Reward:
    """Evaluates groups of demonstrations on one question set, through the ledger.

    Parameters
    ----------
    lm, renderer : the target model, and how it is spoken to
    questions : table 'questions', the S rows that are asked
    marking : how answers are read and compared
    estimate : (m, S) bool marks -> (m,) accuracy estimates
    se_items : standard error that the choice of items adds
    ledger : answers already paid for
    """

    lm: LanguageModel
    renderer: Renderer
    questions: pd.DataFrame
    marking: Marking
    estimate: Callable[[np.ndarray], np.ndarray]
    se_items: float
    ledger: Ledger
    used: set[str] = field(default_factory=set)

    def __call__(
        self, groups: Sequence[Sequence[Demo]], beat: float | None = None
    ) -> Outcome:
        """Ask what the ledger does not know, and estimate each group's accuracy.

        With `beat`, a reward to beat, the first half of the groups is asked first; if
        they leave no hope (`hopeless`), the others are not asked.
        """
        keys = [self.key(demos) for demos in groups]
        start, before = time.monotonic(), copy(self.lm.spent)
        n_first = len(keys) if beat is None else max(2, (len(keys) + 1) // 2)
        new_tokens, n_unknown = self.ask(groups[:n_first])
        accuracy = self._accuracy(keys[:n_first])
        raced = n_first < len(keys) and beat is not None and hopeless(accuracy, beat)
        if raced:
            keys = keys[:n_first]
        else:
            more = self.ask(groups[n_first:])
            new_tokens, n_unknown = new_tokens + more[0], n_unknown + more[1]
            accuracy = self._accuracy(keys)
        self.used |= set(keys)
        m = len(accuracy)
        return Outcome(
            reward=float(accuracy.mean()),
            group_accuracy=accuracy,
            se_items=self.se_items,
            se_groups=float(accuracy.std(ddof=1) / m**0.5) if m > 1 else float("nan"),
            new_tokens=new_tokens,
            ledger_hits=len(keys) - n_unknown,
            seconds=time.monotonic() - start if n_unknown else 0.0,
            spent=self.lm.spent.since(before),
            raced=raced,
        )

    def _accuracy(self, keys: Sequence[str]) -> np.ndarray:
        marks = np.array([_bits(self.ledger.answers[key]["correct"]) for key in keys])
        return np.asarray(self.estimate(marks), dtype=float)

    def ask(self, groups: Sequence[Sequence[Demo]]) -> tuple[int, int]:
        """Ask what the ledger does not know: (new tokens, groups asked).

        As many groups at a time as the engine computes together: a kill loses those.
        """
        named = {self.key(demos): demos for demos in groups}
        unknown = {k: d for k, d in named.items() if k not in self.ledger.answers}
        keys, total = list(unknown), 0
        n = max(1, self.lm.batch_size // len(self.questions))
        for some in (keys[i : i + n] for i in range(0, len(keys), n)):
            its = [unknown[key] for key in some]
            self._keep_batch()
            found = examine(self.lm, self.renderer, self.questions, its, self.marking)
            self._keep_batch()
            total += found.n_new_tokens.sum()
            for i, key in enumerate(some):
                self.ledger.append(
                    {
                        "type": "answers",
                        "key": key,
                        "correct": "".join("01"[int(x)] for x in found.is_correct[i]),
                        "new_tokens": int(found.n_new_tokens[i]),
                        "unread": self._unread(found.replies[i]),
                    }
                )
        return int(total), len(keys)

    def _keep_batch(self) -> None:
        """Rows at once as this ledger began with, or fewer where memory ran out.

        Another batch may round otherwise, so a resumed search takes what is recorded.
        """
        rows, known = self.lm.batch_size, self.ledger.batches.get(self.lm.key)
        if known is None or rows < known:
            record = {"type": "batch", "engine": self.lm.key, "rows": rows}
            self.ledger.append(record)
        else:
            self.lm.batch_size = known

    def room(self, n_shots: int) -> int | None:
        """Tokens that each of n demonstrations may take; None if there is no limit.

        What the longest question and its answer leave of the context, in equal parts.
        An answer is cut where the context ends, so at most a quarter is kept for it.
        """
        if self.lm.context is None:
            return None
        empty = self.renderer.render("")
        longest = 0
        for row in self.questions.to_dict("records"):
            asked = self.renderer.render(row["question"], [Demo("", "")]).question
            longest = max(longest, len(asked) + self._answer_length(row))
        return (self.lm.context - len(empty.prefix) - longest) // n_shots

    def _answer_length(self, row: dict[str, Any]) -> int:
        if self.marking.is_choice:
            return max(map(len, option_ids(self.renderer, row, self.marking)))
        assert self.lm.context is not None
        return min(self.marking.max_new_tokens, self.lm.context // 4)

    @property
    def n_tokens(self) -> int:
        """Tokens behind all that was asked for, now or in an earlier try."""
        return sum(self.ledger.answers[key]["new_tokens"] for key in self.used)

    def warnings(self) -> list[str]:
        """What makes the answers behind this reward a poor guide, by name."""
        answers = [self.ledger.answers[key] for key in sorted(self.used)]
        n = len(answers) * len(self.questions)
        if not n:
            return []
        found = []
        unread = sum(answer.get("unread", 0) for answer in answers) / n
        if unread > UNREAD:
            found.append(
                f"{unread:.1%} of {n} answers hold nothing that the reader "
                f"({self.marking.metric}) finds; they count as wrong. Look at the "
                "prompt template, the stop texts and max_new_tokens"
            )
        right = sum(answer["correct"].count("1") for answer in answers) / n
        guessed = self._guessed()
        if right >= 1 - MARGIN:
            found.append(
                f"the model is at the ceiling: {right:.1%} of {n} answers on the tiny "
                "set are right, so demonstrations cannot help; take harder questions"
            )
        elif right <= guessed + MARGIN:
            found.append(
                f"the model is at the floor: {right:.1%} of {n} answers on the tiny set "
                f"are right, where guessing gives {guessed:.1%}, so rewards are noise; "
                "take easier questions, a stronger model, or see whether it is read well"
            )
        return found

    def _guessed(self) -> float:
        """Accuracy of guessing: 1 over the number of options; 0 of a written answer."""
        if not self.marking.is_choice:
            return 0.0
        return float(np.mean([1 / len(c) for c in self.questions["choices"]]))

    def _unread(self, replies: Sequence[Reply]) -> int:
        """Written answers in which the metric's reader found nothing."""
        if self.marking.is_choice:
            return 0
        return sum(getattr(reply, self.marking.metric) is None for reply in replies)

    def identity(self) -> str:
        """Names the reward as a function: what is asked, and what answers are worth.

        The estimate is known by what it says of fixed answers, so that a change of
        estimator, item parameters or formula makes it another reward.
        """
        rng = np.random.default_rng(0)
        marks = rng.random((64, len(self.questions))) < rng.random((64, 1))
        worth = np.round(np.asarray(self.estimate(marks), dtype=float), 9)
        return digest([self.key([]), round(self.se_items, 9), worth.tolist()])

    def key(self, demos: Sequence[Demo]) -> str:
        """The exact request: token ids, question ids, how it is decoded and read."""
        asked = self.questions
        prompts = [self.renderer.render(q, demos) for q in asked["question"]]
        request = {
            "prefix": list(prompts[0].prefix),
            "questions": [list(prompt.question) for prompt in prompts],
            "ids": asked["question_id"].tolist(),
            "choices": [None if c is None else list(c) for c in asked["choices"]],
            "gold": asked["gold"].tolist(),
            "marking": [READER_VERSION, *asdict(self.marking).values()],
            "stop": list(self.renderer.stop),
            "engine": self.lm.key,
        }
        return digest(request)


def hopeless(accuracy: np.ndarray, beat: float) -> bool:
    """Whether groups that were asked leave little hope of a mean above `beat`.

    So if their mean and two standard errors of it lie below: about one good candidate
    in forty is lost, fewer if groups differ little.
    """
    error = accuracy.std(ddof=1) / len(accuracy) ** 0.5
    return bool(accuracy.mean() + 2 * error < beat)


def _bits(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), dtype=np.uint8) == ord("1")

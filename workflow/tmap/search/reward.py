"""The reward of a choice of demonstrations: few-shot accuracy on the tiny set.

R(w) = mean over groups of the estimated accuracy      paper equations 2, 3 and 6
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import t

from tmap.engines.base import LanguageModel, Spent
from tmap.evaluation.marking import Marking, examine, option_ids
from tmap.prompts.renderer import Demo, Renderer
from tmap.search import answers
from tmap.search.ledger import Ledger, short_digest
from tmap.search.outcome import Outcome

#: Largest share of candidates exactly as good as the best that a race may lose.
LOST = 0.025


@dataclass(frozen=True)
class Cost:
    """The cost of the answers for one group: its share of what was asked together."""

    seconds: float
    new_tokens: int
    spent: Spent


def answer_room(context: int, max_new_tokens: int) -> int:
    """Tokens that are kept for a written answer: at most a quarter of the context."""
    return min(max_new_tokens, context // 4)


def room(
    renderer: Renderer,
    questions: pd.DataFrame,
    marking: Marking,
    context: int,
    n_shots: int,
) -> int:
    """Tokens that each of n demonstrations may take.

    The context less the longest question and its answer, in equal parts. An answer is cut
    where the context ends, so at most a quarter is kept for it.
    """
    longest = 0
    for row in questions.to_dict("records"):
        asked = renderer.render(row["question"], [Demo("", "")]).question
        if marking.is_choice:
            answer = max(map(len, option_ids(renderer, row, marking)))
        else:
            answer = answer_room(context, marking.max_new_tokens)
        longest = max(longest, len(asked) + answer)
    return (context - len(renderer.render("").prefix) - longest) // n_shots


@dataclass
class Reward:
    """Evaluates groups of demonstrations on one question set, through the ledger.

    Parameters
    ----------
    lm, renderer : the target model, and the renderer of its prompts
    questions : table 'questions', the S rows that are asked
    marking : how answers are read and compared
    estimate : (m, S) bool marks -> (m,) accuracy estimates
    se_items : standard error that the choice of items adds
    ledger : answers already paid for

    Attributes
    ----------
    used : keys of the groups that rewards were computed from
    unbooked : costs that no outcome has reported yet, by group
    """

    lm: LanguageModel
    renderer: Renderer
    questions: pd.DataFrame
    marking: Marking
    estimate: Callable[[np.ndarray], np.ndarray]
    se_items: float
    ledger: Ledger
    used: set[str] = field(default_factory=set)
    unbooked: dict[str, Cost] = field(default_factory=dict)

    def __call__(
        self,
        groups: Sequence[Sequence[Demo]],
        beat: float | None = None,
        since: float | None = None,
    ) -> Outcome:
        """Ask what the ledger does not have, and estimate each group's accuracy.

        With `beat`, a reward to beat, the first half of the groups is asked first; if
        they leave no hope (`hopeless`), the others are not asked. `since`, a reading of
        `time.monotonic`, is when the work on these groups began.
        """
        since = time.monotonic() if since is None else since
        ahead = set(self.unbooked)
        keys = [self.key(demos) for demos in groups]
        n_first = len(keys) if beat is None else max(2, (len(keys) + 1) // 2)
        self._ask(dict(zip(keys[:n_first], groups, strict=False)), since)
        accuracy = self._accuracy(keys[:n_first])
        n_first = min(n_first, len(keys))
        raced = (
            n_first < len(keys)
            and beat is not None
            and hopeless(accuracy, beat, len(self.questions))
        )
        if raced:
            keys = keys[:n_first]
        else:
            rest = dict(zip(keys[n_first:], groups[n_first:], strict=True))
            self._ask(rest, time.monotonic())
            accuracy = self._accuracy(keys)
        self.used |= set(keys)
        costs = {k: self.unbooked.pop(k) for k in {*keys} & {*self.unbooked}}
        seconds = time.monotonic() - since
        seconds += sum(cost.seconds for key, cost in costs.items() if key in ahead)
        m = len(accuracy)
        return Outcome(
            reward=float(accuracy.mean()),
            group_accuracy=accuracy,
            se_items=self.se_items,
            se_groups=float(accuracy.std(ddof=1) / m**0.5) if m > 1 else float("nan"),
            new_tokens=sum(cost.new_tokens for cost in costs.values()),
            ledger_hits=len(keys) - len(costs),
            seconds=seconds if costs else 0.0,
            spent=sum((cost.spent for cost in costs.values()), Spent()),
            raced=raced,
        )

    def _accuracy(self, keys: Sequence[str]) -> np.ndarray:
        marks = self.ledger.marks(keys, len(self.questions))
        return np.asarray(self.estimate(marks), dtype=float)

    def ask(self, groups: Sequence[Sequence[Demo]], since: float | None = None) -> None:
        """Ask what the ledger does not have, and note the cost of each group's answers.

        Groups are asked in batches of as many as the engine computes together; a kill
        loses at most one batch.
        """
        since = time.monotonic() if since is None else since
        self._ask({self.key(demos): demos for demos in groups}, since)

    def _ask(self, named: dict[str, Sequence[Demo]], since: float) -> None:
        """The same as `ask`, for groups whose keys are known."""
        keys = [key for key in named if key not in self.ledger.answers]
        while keys:
            self.ledger.keep_batch(self.lm)
            n = max(1, self.lm.batch_size // len(self.questions))
            some, keys = keys[:n], keys[n:]
            before = copy(self.lm.spent)
            its = [named[key] for key in some]
            found = examine(self.lm, self.renderer, self.questions, its, self.marking)
            self.ledger.keep_batch(self.lm)
            new_tokens = [int(count) for count in found.n_new_tokens]
            for i, key in enumerate(some):
                answers.keep(
                    self.ledger,
                    key,
                    found.replies[i],
                    new_tokens[i],
                    self.marking,
                    self.lm.batch_size,
                )
            each = (time.monotonic() - since) / len(some)
            shares = self.lm.spent.since(before).parts(len(some))
            for key, tokens, spent in zip(some, new_tokens, shares, strict=True):
                self.unbooked[key] = Cost(each, tokens, spent)
            since = time.monotonic()

    def room(self, n_shots: int) -> int | None:
        """Tokens that each of n demonstrations may take; None if there is no limit."""
        context = self.lm.context
        parts = self.renderer, self.questions, self.marking
        return None if context is None else room(*parts, context, n_shots)

    @property
    def n_tokens(self) -> int:
        """Tokens generated for all answers used, now or in an earlier attempt."""
        return answers.n_tokens(self.ledger, self.used)

    def warnings(self) -> list[str]:
        """Reasons why the answers behind this reward are a poor guide."""
        return answers.warnings(self.ledger, self.used, self.questions, self.marking)

    def identity(self) -> str:
        """Identifies the reward as a function: the request, and how answers are scored.

        The estimate is identified by its values on fixed answers, so that a change of
        estimator, item parameters or formula makes it another reward.
        """
        rng = np.random.default_rng(0)
        marks = rng.random((64, len(self.questions))) < rng.random((64, 1))
        worth = np.round(np.asarray(self.estimate(marks), dtype=float), 9)
        return short_digest([self.key([]), round(self.se_items, 9), worth.tolist()])

    def key(self, demos: Sequence[Demo]) -> str:
        """The exact request: token ids, question ids, how it is decoded and read."""
        rows = self.questions.to_dict("records")
        prompts = [self.renderer.render(row["question"], demos) for row in rows]
        asked = {
            "prefix": list(prompts[0].prefix),
            "questions": [list(prompt.question) for prompt in prompts],
        }
        return short_digest(
            asked | answers.request(self.lm, self.renderer, rows, self.marking)
        )


def hopeless(accuracy: np.ndarray, beat: float, n_questions: int) -> bool:
    """Whether the groups asked so far leave little hope of a mean above `beat`.

    True if the upper end of a one-sided 97.5 % interval of their mean is below `beat`:
    Student's t with n - 1 degrees of freedom. The standard error is that of the groups or,
    if larger, that of as many independent answers, because few groups may look alike.

    Simulated (100,000 candidates each; 50 and 100 questions; rewards 0.3 to 0.9; groups
    that differ by 0 to 8 points): of candidates exactly as good as `beat`, 2 groups lose
    none, 3 lose 0 to 0.8 % and 5 lose 0.1 to 2.3 %. Of those 20 points worse, 2 groups
    stop under 3 %, 3 stop 36 to 100 % and 5 stop 88 to 100 %: racing pays from m = 5.

    Parameters
    ----------
    accuracy : (n,) of the groups asked, n > 1
    beat : the reward to beat
    n_questions : number asked of each group
    """
    n = len(accuracy)
    asked = n * n_questions
    mean = float(np.clip(accuracy.mean(), 0, 1))
    share = (mean * asked + 1) / (asked + 2)
    error = max(accuracy.std(ddof=1) / n**0.5, (share * (1 - share) / asked) ** 0.5)
    return bool(accuracy.mean() + t.ppf(1 - LOST, n - 1) * error < beat)

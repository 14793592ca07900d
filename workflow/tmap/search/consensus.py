"""Several models as one: the mean of their rewards (paper 4.4.3, Table 3).

    R(w) = mean over models k of R_k(w)

The same w ranks the pool once per model, by that model's own columns (perplexity, for
example, differs), so each model is shown its own demonstrations. In the end, every model
selects its rows with the same w*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tmap.engines.base import Spent
from tmap.search import prepare
from tmap.search.learn import Result, Task, learn
from tmap.search.ledger import Ledger, short_digest
from tmap.search.outcome import Evaluation, Outcome


@dataclass(frozen=True)
class Consensus:
    """A task whose reward is the mean of several models' rewards.

    Parameters
    ----------
    members : model -> its own task; all have the same K columns, in the same order
    """

    members: Mapping[str, Task]

    @property
    def names(self) -> list[str]:
        return self._first.names

    @property
    def ledger(self) -> Ledger:
        return self._first.ledger

    @property
    def notes(self) -> dict[str, Any]:
        """Each model's notes under `models`, and all warnings, prefixed with the model."""
        notes = {model: dict(task.notes) for model, task in self.members.items()}
        warnings = _named({m: note.pop("warnings") for m, note in notes.items()})
        return {"models": notes, "warnings": warnings}

    @property
    def start(self) -> list[list[float]]:
        return self._first.start

    def evaluate(self, weights: np.ndarray, beat: float | None = None) -> Evaluation:
        return mean([task.evaluate(weights) for task in self.members.values()])

    def ahead(self, points: list[np.ndarray]) -> None:
        for task in self.members.values():
            task.ahead(points)

    def confirm(self, weights: np.ndarray) -> Evaluation:
        return mean([task.confirm(weights) for task in self.members.values()])

    def key(self, bounds: tuple[float, float], seed: int) -> str:
        return short_digest([task.key(bounds, seed) for task in self.members.values()])

    def warnings(self) -> list[str]:
        return _named({m: task.warnings() for m, task in self.members.items()})

    def n_tokens(self) -> int | None:
        counts = [task.n_tokens() for task in self.members.values()]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    @property
    def _first(self) -> Task:
        return next(iter(self.members.values()))


def mean(evaluations: Sequence[Evaluation]) -> Evaluation:
    """One evaluation from those of several models: mean reward, all groups in order.

    The standard error over groups is that of a mean of independent means. The models share
    the questions, so the standard error from the questions is averaged, as if the models'
    errors were fully correlated.
    """
    outcomes = [evaluation.outcome for evaluation in evaluations]
    n = len(outcomes)
    outcome = Outcome(
        reward=float(np.mean([one.reward for one in outcomes])),
        group_accuracy=np.concatenate([one.group_accuracy for one in outcomes]),
        se_items=float(np.mean([one.se_items for one in outcomes])),
        se_groups=float(np.sqrt(sum(one.se_groups**2 for one in outcomes)) / n),
        new_tokens=sum(one.new_tokens for one in outcomes),
        ledger_hits=sum(one.ledger_hits for one in outcomes),
        seconds=sum(one.seconds for one in outcomes),
        spent=sum((one.spent for one in outcomes), Spent()),
    )
    exemplars = [group for e in evaluations for group in e.exemplars]
    return Evaluation(outcome, exemplars)


def run(
    cards: Mapping[str, dict[str, Any]],
    inputs: prepare.Inputs,
    models: Sequence[Path],
    ledger: Path,
    seed: int,
) -> Result:
    """Search for several models together.

    Parameters
    ----------
    cards : from `settings.search_consensus`: model -> its settings
    inputs : as for one model; `indicators` lists those of the first model, then those of
        the second, and so on
    models : the record of each model
    ledger, seed : as for `adaptation.run`
    """
    book = Ledger(ledger)
    k = len(inputs.indicators) // len(models)
    members = {}
    for i, (model, card) in enumerate(cards.items()):
        own = inputs.indicators[i * k : (i + 1) * k]
        files = replace(inputs, model=models[i], indicators=own)
        members[model] = prepare.prepare(card, files, book)
    return learn(Consensus(members), next(iter(cards.values())), seed)


def _named(texts: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"{model}: {text}" for model, found in texts.items() for text in found]

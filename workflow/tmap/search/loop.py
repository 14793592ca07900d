"""Bayesian optimisation of the indicator weights (paper 3.5, algorithm 1).

The optimiser is `skopt.gp_minimize` on -R. A killed search is resumed by replay: the same
seed proposes the same points, and points in the ledger cost nothing. The replay is checked
point by point. Other library versions may propose other points; the search then stops with
an error, because a mixture of two trajectories would be neither.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd
from skopt.space import Real
from threadpoolctl import threadpool_limits

from tmap.artifacts.provenance import versions
from tmap.cards.method import SearchSection
from tmap.errors import TmapError
from tmap.jobs.log import duration
from tmap.search.ledger import Ledger
from tmap.search.optimiser import minimise
from tmap.search.outcome import Evaluation, Outcome, timing

logger = logging.getLogger(__name__)


class Objective(Protocol):
    """The reward of (K,) weights. The search itself knows no language model."""

    def __call__(self, weights: np.ndarray, beat: float | None = None) -> Evaluation:
        """Evaluate; with `beat`, stop early if a reward above it has become unlikely."""


@dataclass
class Found:
    """A finished search.

    Attributes
    ----------
    points : (T, K) weights in the order they were tried
    rewards : (T,)
    trace, timings : the tables with these names
    model, space : the fitted Gaussian process of -reward and its space; None without
        guided iterations
    """

    points: np.ndarray
    rewards: np.ndarray
    trace: pd.DataFrame
    timings: pd.DataFrame
    model: Any
    space: Any


@dataclass
class _Recorder:
    """The function that gp_minimize sees: evaluates, checks the replay, records."""

    objective: Objective
    ledger: Ledger
    search: str
    total: int
    racing: bool = False
    rows: list[dict[str, Any]] = field(default_factory=list)
    times: list[dict[str, Any]] = field(default_factory=list)
    last: float = field(default_factory=time.monotonic)

    def __call__(self, point: list[float]) -> float:
        thinking = time.monotonic() - self.last
        iteration = len(self.rows)
        weights = np.array(point, dtype=float)
        self._check_replay(iteration, point)
        best = self.best() if self.racing else None
        evaluation = (
            self.objective(weights) if best is None else self.objective(weights, best)
        )
        outcome = evaluation.outcome
        if iteration not in self.ledger.proposals.get(self.search, {}):
            self.ledger.append(
                {
                    "type": "proposal",
                    "search": self.search,
                    "iteration": iteration,
                    "weights": [float(x) for x in point],
                    "reward": outcome.reward,
                }
            )
        self._record(iteration, weights, evaluation, thinking)
        self.last = time.monotonic()
        return -outcome.reward

    def ahead(self, ask: Callable[[], None]) -> None:
        """Ask for points together; this does not count as the optimiser's time."""
        start = time.monotonic()
        ask()
        self.last += time.monotonic() - start

    def best(self) -> float | None:
        """The best reward of a complete evaluation so far."""
        return max((r["reward"] for r in self.rows if not r["raced"]), default=None)

    def _check_replay(self, iteration: int, point: list[float]) -> None:
        known = self.ledger.proposals.get(self.search, {}).get(iteration)
        if known is None or known["weights"] == [float(x) for x in point]:
            return
        raise TmapError(
            f"Iteration {iteration} of the search now proposes other weights than "
            f"{self.ledger.path} records ({_changed(self.ledger, self.search)}). "
            "Restore the environment of constraints.txt to resume, set "
            "`search: {warm_start: true}` in the method card to continue from the recorded "
            "evaluations without bit-identity, or delete the ledger to start again."
        )

    def _record(
        self, t: int, weights: np.ndarray, evaluation: Evaluation, thinking: float
    ) -> None:
        outcome = evaluation.outcome
        self.rows.append(
            {
                "iteration": t,
                "weights": weights,
                "reward": outcome.reward,
                "reward_se_items": outcome.se_items,
                "reward_se_groups": outcome.se_groups,
                "group_accuracy": outcome.group_accuracy,
                "exemplars": evaluation.exemplars,
                "raced": outcome.raced,
            }
        )
        self.times.append(
            timing(
                t,
                outcome.seconds,
                outcome.spent,
                thinking,
                outcome.new_tokens,
                outcome.ledger_hits,
            )
        )
        self._log(t, outcome)

    def _log(self, t: int, outcome: Outcome) -> None:
        spent = [row["reward_seconds"] + row["optimizer_seconds"] for row in self.times]
        fresh = [
            s for s, row in zip(spent, self.times, strict=True) if row["reward_seconds"]
        ]
        left = (self.total - t - 1) * float(np.mean(fresh[-20:] or spent[-20:]))
        logger.info(
            "iteration %d/%d reward %.4f%s (best %.4f) %.1fs%s, ETA %s",
            t + 1,
            self.total,
            outcome.reward,
            " raced" if outcome.raced else "",
            self.best() or 0.0,
            spent[-1],
            _told(self.times[-1]) if outcome.seconds else " from the ledger",
            duration(left),
        )


def _told(row: dict[str, Any]) -> str:
    """How the seconds of one iteration were spent."""
    names = ("prefill", "decode", "score", "optimizer")
    parts = " ".join(f"{name} {row[f'{name}_seconds']:.1f}" for name in names)
    n, seconds = row["new_tokens"], row["decode_seconds"] or row["reward_seconds"]
    if not n:  # options are scored; no text is written
        n, seconds = row["prompt_tokens"], row["prefill_seconds"] or seconds
    floor = row["floor_seconds"]
    known = f", floor {floor:.2f}s" if floor > 0 else ""
    return f" ({parts}; {n} tokens, {n / seconds:.0f}/s{known})"


def _changed(ledger: Ledger, search: str) -> str:
    """The package versions that differ from those the ledger was written with."""
    then, now = ledger.searches.get(search, {}).get("versions", {}), versions()
    differ = [
        f"{name} {then.get(name, 'absent')} -> {now.get(name, 'absent')}"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
    return ", ".join(differ) or "the same package versions, so probably another machine"


def run(
    objective: Objective,
    n_weights: int,
    bounds: tuple[float, float],
    settings: SearchSection,
    seed: int,
    ledger: Ledger,
    search: str,
    ahead: Callable[[list[np.ndarray]], None] = lambda points: None,
    start: Sequence[Sequence[float]] = (),
) -> Found:
    """Maximise the reward over weights within `bounds`.

    Parameters
    ----------
    objective : weights -> Evaluation
    n_weights : K
    bounds : of every weight
    settings : n_initial random points, then n_iterations guided ones
    seed : of the optimiser
    ledger : where proposals and answers are kept
    search : key of this search in the ledger; everything that affects it is in this key
    ahead : called with points that are proposed together, before each is evaluated
    start : points to try first, in place of random ones

    Raises
    ------
    TmapError : a replayed proposal differs from the recorded one
    """
    total = settings.n_initial + settings.n_iterations
    first = [[float(x) for x in point] for point in start][: settings.n_initial]
    name = search
    if settings.warm_start is True and (known := _recorded(ledger, search)[:total]):
        first, name = known, f"{search}+{len(known)}"
    if name not in ledger.searches:
        ledger.append({"type": "search", "search": name, "versions": versions()})
    recorder = _Recorder(objective, ledger, name, total, settings.racing)
    # One BLAS thread: with another number, rounding and so the path may differ.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The objective has been evaluated")
        space = [Real(*bounds, name=f"w{j}") for j in range(n_weights)]
        models, known_space = minimise(
            recorder,
            total,
            space,
            settings,
            seed,
            first,
            lambda points: recorder.ahead(lambda: ahead(points)),
        )
    return Found(
        points=np.array([row["weights"] for row in recorder.rows]),
        rewards=np.array([row["reward"] for row in recorder.rows]),
        trace=pd.DataFrame(recorder.rows),
        timings=pd.DataFrame(recorder.times),
        model=models[-1] if models else None,
        space=known_space,
    )


def try_out(
    objective: Objective, points: np.ndarray, ledger: Ledger, search: str
) -> Found:
    """Evaluate only these weights, in this order, without fitting a process.

    Parameters
    ----------
    objective, ledger, search : as for `run`
    points : (T, K) weights
    """
    recorder = _Recorder(objective, ledger, search, len(points))
    for point in points:
        recorder([float(x) for x in point])
    return Found(
        points=np.asarray(points, dtype=float),
        rewards=np.array([row["reward"] for row in recorder.rows]),
        trace=pd.DataFrame(recorder.rows),
        timings=pd.DataFrame(recorder.times),
        model=None,
        space=None,
    )


def _recorded(ledger: Ledger, search: str) -> list[list[float]]:
    """The weights that this search has already proposed, in order."""
    steps = ledger.proposals.get(search, {})
    return [steps[t]["weights"] for t in sorted(steps)]

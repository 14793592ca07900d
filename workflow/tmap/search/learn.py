"""Learn the weights: search, choose the best point, confirm it on fresh questions."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tmap.artifacts import files, provenance, tables
from tmap.search import choose, loop, outcome
from tmap.search.ledger import Ledger

logger = logging.getLogger(__name__)


class Task(Protocol):
    """What can be searched: gives weights a reward and a confirmed reward."""

    @property
    def names(self) -> list[str]:
        """The K columns that the weights apply to."""

    @property
    def ledger(self) -> Ledger:
        """Where answers and proposals are kept."""

    @property
    def notes(self) -> dict[str, Any]:
        """Notes for weights.json."""

    @property
    def start(self) -> list[list[float]]:
        """Weights to try first; from another run, best first."""

    def evaluate(
        self, weights: np.ndarray, beat: float | None = None
    ) -> outcome.Evaluation:
        """The reward of (K,) weights on the tiny set, or `raced` if it is below `beat`."""

    def ahead(self, points: list[np.ndarray]) -> None:
        """Ask for these points together; `evaluate` then finds their answers."""

    def confirm(self, weights: np.ndarray) -> outcome.Evaluation:
        """Their reward on the confirm set, with demonstrations dealt differently."""

    def key(self, bounds: tuple[float, float], seed: int) -> str:
        """Identifies a search: all that affects it, except its length."""

    def warnings(self) -> list[str]:
        """Reasons why the rewards so far are a poor guide."""

    def n_tokens(self) -> int | None:
        """Tokens generated so far; None if options are scored and no text is written."""


@dataclass(frozen=True)
class Result:
    """The finished search and the content of weights.json."""

    found: loop.Found
    summary: dict[str, Any]

    def write(
        self,
        trace: Path,
        timings: Path,
        weights: Path,
        seed: int,
        code: str,
        made: dict[str, Any],
    ) -> None:
        """Write the tables and weights.json; each records its code and its inputs."""
        about: dict[str, Any] = {"seed": seed, "code": code, "made": made}
        names = self.summary["indicators"]
        tables.write("trace", self.found.trace, trace, **about, indicators=names)
        tables.write("search_timings", self.found.timings, timings, **about)
        versions = provenance.versions()
        files.write_json(weights, {**self.summary, **about, "versions": versions})


def learn(task: Task, card: dict[str, Any], seed: int) -> Result:
    """Search, choose, confirm; for `best_single`, try every column alone and choose.

    Parameters
    ----------
    task : gives weights their rewards
    card : its `weights`, `bounds` and `search`
    seed : of the optimiser
    """
    bounds, key = card["bounds"], task.key(card["bounds"], seed)
    k = len(task.names)
    if card["weights"] == "best_single":
        found = loop.try_out(task.evaluate, np.eye(k), task.ledger, f"{key}-alone")
    else:
        found = loop.run(
            task.evaluate,
            k,
            bounds,
            card["search"],
            seed,
            task.ledger,
            key,
            task.ahead,
            task.start,
        )
    best = choose.choose(found, bounds, seed)
    rows = choose.confirm(task.confirm, found, best, card["search"].confirm_top)
    about = choose.guidance(found, card["search"].n_initial, len(task.start))
    poor = [*task.warnings(), *choose.constant(found.rewards), *choose.doubts(about)]
    for warning in poor:
        logger.warning(warning)
    notes = {**task.notes, "warnings": [*task.notes["warnings"], *poor]}
    notes["new_tokens"] = task.n_tokens()
    notes["process"] = about
    return Result(found, choose.summary(task.names, found, best, rows, notes))

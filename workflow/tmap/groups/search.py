"""A search that asks groups of rows and learns from every answer.

Each round asks groups (`tmap.groups.design`), fits the group model to all answers so far
(`tmap.groups.group_model`), and stops where little is left to gain. Weights, row values
and uniform weights are then confirmed on questions that the search never used. Where the
columns know nothing of the answers, the search abstains: its weights are uniform.

A killed search resumes by replay: the same seed deals the same groups, and answers in the
ledger cost nothing. Each round's groups are recorded; other ones stop the search.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from tmap.artifacts import files, provenance, tables
from tmap.cards.method import FEWEST_GROUPS
from tmap.errors import TmapError
from tmap.groups import group_model, value_model
from tmap.groups.design import Design
from tmap.groups.group_model import Data, Fit
from tmap.groups.probe import Group, Probe
from tmap.search import posterior
from tmap.search.demonstrations import Candidates
from tmap.search.ledger import short_digest
from tmap.search.outcome import Evaluation, confirmed, timing
from tmap.selection import ranking

logger = logging.getLogger(__name__)
#: Draws of the coefficients behind the expected gain of going on.
GAIN_DRAWS = 200


@dataclass
class Asked:
    """The groups asked so far, with their answers.

    Attributes
    ----------
    rounds : round of each group
    answers : (q,) numbers of each group, by the probe
    """

    groups: list[Group] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    answers: list[np.ndarray] = field(default_factory=list)

    def data(self, matrix: np.ndarray) -> Data:
        rows = np.array([group.rows for group in self.groups])
        measured = np.array([values.mean() for values in self.answers])
        return Data(matrix[rows].mean(axis=1), measured)


@dataclass(frozen=True)
class Result:
    """The tables of a finished group search, and the content of weights.json."""

    trace: pd.DataFrame
    timings: pd.DataFrame
    groups: pd.DataFrame
    values: pd.DataFrame
    summary: dict[str, Any]

    def write(
        self, paths: dict[str, Path], seed: int, code: str, made: dict[str, Any]
    ) -> None:
        """Write each file under its name; each records its code and its inputs."""
        about: dict[str, Any] = {"seed": seed, "code": code, "made": made}
        names = self.summary["indicators"]
        tables.write("trace", self.trace, paths["trace"], **about, indicators=names)
        tables.write("search_timings", self.timings, paths["timings"], **about)
        tables.write("groups", self.groups, paths["groups"], **about)
        tables.write("values", self.values, paths["values"], **about)
        versions = provenance.versions()
        files.write_json(
            paths["weights"], {**self.summary, **about, "versions": versions}
        )


class Search:
    """A group search.

    Parameters
    ----------
    candidates : the pool and its columns; `search.groups` of its card is set
    probe : answers to questions after groups
    bounds : of the weights
    seed : of groups, draws and trees
    """

    def __init__(
        self,
        candidates: Candidates,
        probe: Probe,
        bounds: tuple[float, float],
        seed: int,
    ) -> None:
        how = candidates.search
        assert how.groups is not None
        self.candidates, self.probe = candidates, probe
        self.budget, self.bounds, self.seed = how.groups, bounds, seed
        self.matrix = candidates.features.matrix
        self.names = list(candidates.features.names)
        self.signed = bounds[0] < 0
        self.asked = Asked()
        self.trace: list[dict[str, Any]] = []
        self.times: list[dict[str, Any]] = []
        self.rng = np.random.default_rng([seed, 1])
        n_questions = len(probe.questions)
        per_group = min(self.budget.per_group, n_questions)
        self.total = self.budget.n_answers // per_group
        if probe.asks_all:
            per_group, self.total = n_questions, how.sft.n_groups
        self.design = Design(
            self.matrix, candidates.rows, how.n_shots, n_questions, per_group, seed
        )

    def run(self, key: str) -> tuple[Fit, float]:
        """Ask round after round; the last fit, and the gain that is still expected.

        Parameters
        ----------
        key : names this search in the ledger
        """
        rounds = min(self.budget.rounds, self.total // FEWEST_GROUPS)
        sizes = np.diff(np.linspace(0, self.total, rounds + 1).astype(int))
        found, lacks, drawn = None, 0.0, np.empty((0, 0))
        last = time.monotonic()
        for number, size in enumerate(sizes.tolist()):
            if found is None:
                groups = self.design.spread(size)
            else:
                first, second = (self.select(b) for b in drawn[:2])
                groups = self.design.dividing(size, first, second)
            self._check_replay(key, number, groups)
            thinking = time.monotonic() - last
            measured = self.probe.ask(groups)
            last = time.monotonic()
            self.asked.groups += groups
            self.asked.rounds += [number] * len(groups)
            self.asked.answers += list(measured)
            with threadpool_limits(1):  # another number may round differently
                data = self.asked.data(self.matrix)
                found = group_model.fit(data, self.signed)
                drawn = found.draws(GAIN_DRAWS, self.signed, self.rng)
                lacks = group_model.regret(found, drawn, self.matrix, self.select)
            self._record(number, measured, groups, found, lacks, thinking)
            if lacks < self.budget.stop_below:
                break
        assert found is not None
        return found, lacks

    def select(self, weights: np.ndarray) -> np.ndarray:
        """(M,) row numbers that (K,) weights would select."""
        score = ranking.scores(self.matrix, weights)
        return ranking.top(score, self.candidates.ties, self.candidates.n_selected)

    def _check_replay(self, key: str, number: int, groups: list[Group]) -> None:
        ledger = self.probe.ledger
        said = short_digest([list(map(list, group)) for group in groups])
        known = ledger.proposals.get(key, {}).get(number)
        if known is None:
            if key not in ledger.searches:
                ledger.append(
                    {"type": "search", "search": key, "versions": provenance.versions()}
                )
            ledger.append(
                {"type": "proposal", "search": key, "iteration": number, "groups": said}
            )
        elif known["groups"] != said:
            raise TmapError(
                f"Round {number} of the search now asks other groups than {ledger.path} "
                "records. Restore the environment of constraints.txt to resume, or "
                "delete the ledger to start again."
            )

    def _record(
        self,
        number: int,
        measured: np.ndarray,
        groups: list[Group],
        found: Fit,
        lacks: float,
        thinking: float,
    ) -> None:
        means = measured.mean(axis=1)
        spread = means.std(ddof=1) / len(means) ** 0.5
        self.trace.append(
            {
                "iteration": number,
                "weights": group_model.scaled(found.beta, self.bounds),
                "reward": float(means.mean()),
                "reward_se_items": float("nan"),
                "reward_se_groups": float(spread),
                "group_accuracy": means,
                "exemplars": self.candidates.ids(np.array([g.rows for g in groups])),
                "raced": False,
            }
        )
        probe = self.probe
        self.times.append(
            timing(
                number,
                probe.seconds,
                probe.spent,
                thinking,
                probe.new_tokens,
                probe.hits,
            )
        )
        logger.info(
            "round %d: %d of %d groups asked, mean %.3f %s, a better selection may gain "
            "%.4f, %.1fs",
            number + 1,
            len(self.asked.groups),
            self.total,
            means.mean(),
            probe.unit,
            lacks,
            probe.seconds,
        )

    def table(self, found: Fit) -> pd.DataFrame:
        """Table 'groups'."""
        questions = self.probe.questions["question_id"].to_numpy()
        rows = np.array([group.rows for group in self.asked.groups])
        return pd.DataFrame(
            {
                "round": self.asked.rounds,
                "sample_ids": self.candidates.ids(rows),
                "question_ids": [
                    questions[list(group.questions)].tolist()
                    for group in self.asked.groups
                ],
                "answers": [values.tolist() for values in self.asked.answers],
                "expected": found.predict(self.asked.data(self.matrix).x),
            }
        )


def learn(
    search: Search,
    key: str,
    confirm: Callable[[np.ndarray], Evaluation],
    notes: dict[str, Any],
) -> Result:
    """Ask, fit, test, confirm.

    Parameters
    ----------
    search : not yet run
    key : names it in the ledger
    confirm : (N,) scores of all rows -> their reward on the confirm set
    notes : for weights.json
    """
    found, lacks = search.run(key)
    matrix, names, seed = search.matrix, search.names, search.seed
    with threadpool_limits(1):
        data = search.asked.data(matrix)
        known = group_model.skill(data, search.signed, found.penalty, seed)
        trees = value_model.fit(data, seed)
        worth = value_model.skill(data, seed)
        values = trees.predict(matrix)
        curves = value_model.partial_dependence(trees, matrix, names, seed)
        plain = group_model.fit(data, search.signed, penalty=0.0)
        drawn = plain.draws(group_model.N_DRAWS, search.signed, search.rng)
    uniform = np.ones(len(names))
    learns = known.learns and bool(found.beta.any())
    weights = group_model.scaled(found.beta, search.bounds) if learns else uniform
    relative = posterior.relative(weights)
    interval = group_model.relative_intervals(drawn, relative) if learns else None
    if not worth.learns:
        values = matrix.mean(axis=1)
    rankings = {
        "weights": ranking.scores(matrix, weights),
        "value": values,
        "uniform": ranking.scores(matrix, uniform),
    }
    checked = [
        confirmed(name, confirm(score).outcome) for name, score in rankings.items()
    ]
    reacts = notes["probe"].get("compared")
    poor = [*search.probe.warnings(), *_doubts(known, worth, learns, reacts)]
    for warning in poor:
        logger.warning(warning)
    summary = {
        "indicators": names,
        "weights": weights.tolist(),
        "weights_relative": relative.tolist(),
        "interval": None if interval is None else interval.tolist(),
        "abstains": not learns,
        "iteration": None,
        "reward": checked[0]["reward"],
        "reward_search": None,
        "uniform_reward": checked[-1]["reward"],
        "confirm": checked,
        "n_evaluations": len(search.asked.groups),
        "groups": group_model.about(names, found, plain, known, data, lacks),
        "value": worth.about() | {"partial_dependence": curves},
        **notes,
        "warnings": [*notes["warnings"], *poor],
        "new_tokens": search.probe.n_tokens,
    }
    ids = search.candidates.pool["sample_id"].to_numpy()
    return Result(
        pd.DataFrame(search.trace),
        pd.DataFrame(search.times),
        search.table(found),
        pd.DataFrame({"sample_id": ids, "value": values}),
        summary,
    )


def _doubts(
    known: group_model.Skill,
    worth: value_model.Skill,
    learns: bool,
    compared: dict[str, Any] | None,
) -> list[str]:
    found = []
    if not learns:
        found.append(
            f"the columns do not predict which groups answer better (p {known.p:.2f}, "
            f"held-out R2 {known.r2:.3f}), so the search abstains: its weights are equal, "
            f"as in method uniform; {_advice(compared)}"
        )
    if not worth.learns:
        found.append(
            f"the trees predict no answers that they have not seen (R2 {worth.r2:.3f}), "
            "so row values are the mean of the columns"
        )
    return found


def _advice(compared: dict[str, Any] | None) -> str:
    more = "ask more (search: groups: n_answers) or bring columns that see what matters"
    if compared is None:
        return more
    name = compared["chosen"]
    faults = compared["probes"][name]["faults"]
    seen = [fault for fault, found in faults.items() if found["sees"]]
    if not seen:
        return f"probe {name} reacts to no planted fault either; try another probe"
    told = ", ".join(f"{fault} (t {faults[fault]['t']:.1f})" for fault in seen)
    return (
        f"its probe {name} does react to planted faults: {told}; so it is the columns "
        "that do not know: bring others that see what matters"
    )

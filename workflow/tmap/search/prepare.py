"""TMAP for one dataset, model and method: from tables to learned weights."""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tmap import engines
from tmap.artifacts import tables
from tmap.artifacts.files import read_document
from tmap.cards.method import SearchSection
from tmap.engines.base import LanguageModel
from tmap.errors import TmapError
from tmap.evaluation.marking import Marking
from tmap.prompts.renderer import Demo, Renderer
from tmap.search import outcome
from tmap.search.demonstrations import Candidates, Texts, short_enough
from tmap.search.learn import Result, learn
from tmap.search.ledger import Ledger
from tmap.search.reward import Reward
from tmap.selection import features, ranking
from tmap.tiny import estimators

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """The files that a search reads; `history` is irt, abilities, responses or empty."""

    pool: Path
    questions: Path
    tiny: Path
    confirm: Path
    model: Path
    history: list[str]
    indicators: list[Path]


@dataclass(frozen=True)
class Prepared:
    """A task that gives weights a reward: one reward to search, one to confirm.

    Attributes
    ----------
    candidates : the pool, ranked by weights
    main, check : rewards on the tiny set and on the confirm set
    notes : for weights.json
    """

    candidates: Candidates
    main: Reward
    check: Reward
    notes: dict[str, Any]

    @property
    def names(self) -> list[str]:
        return list(self.candidates.features.names)

    @property
    def ledger(self) -> Ledger:
        return self.main.ledger

    @cached_property
    def start(self) -> list[list[float]]:
        return earlier(self.candidates.search, self.names)

    def evaluate(
        self, weights: np.ndarray, beat: float | None = None
    ) -> outcome.Evaluation:
        return self.candidates.evaluate(self.main, weights, beat=beat)

    def ahead(self, points: list[np.ndarray]) -> None:
        self.candidates.ask(self.main, points)

    def confirm(self, weights: np.ndarray) -> outcome.Evaluation:
        return self.candidates.evaluate(self.check, weights, turn=1)

    def key(self, bounds: tuple[float, float], seed: int) -> str:
        return self.candidates.key(bounds, seed, self.main.identity(), self.start)

    def warnings(self) -> list[str]:
        return self.main.warnings()

    def n_tokens(self) -> int | None:
        # Options are scored and no text is written: new tokens would not show the cost.
        if self.main.marking.is_choice:
            return None
        return self.main.n_tokens + self.check.n_tokens


@dataclass(frozen=True)
class HistoryTables:
    """Earlier answers of other models; all None for a task without such a record."""

    irt: pd.DataFrame | None = None
    abilities: pd.DataFrame | None = None
    responses: pd.DataFrame | None = None


def run(card: dict[str, Any], inputs: Inputs, ledger: Path, seed: int) -> Result:
    """Search, choose, confirm.

    Parameters
    ----------
    card : `settings.search_weights` of the dataset, model and method
    inputs : files to read
    ledger : answers and proposals of earlier attempts, continued
    seed : of the optimiser
    """
    return learn(prepare(card, inputs, Ledger(ledger)), card, seed)


def prepare(
    card: dict[str, Any],
    inputs: Inputs,
    ledger: Ledger,
    lm: LanguageModel | None = None,
    shows: bool = True,
) -> Prepared:
    """Load pool, columns, history and model; measure zero-shot to choose an estimator.

    Parameters
    ----------
    lm : the model, if it is loaded already, to be trained on rows as conversations
    shows : whether rows are shown as demonstrations, so that they must fit the context
    """
    history = read_history(inputs.history, card["aliases"])
    pool = tables.read("pool", inputs.pool, ["sample_id", "text_hash"])
    texts = Texts(tables.batches("pool", inputs.pool), chats=lm is not None)
    columns = features.load(
        pool["sample_id"],
        inputs.indicators,
        normalise=card["normalise"],
        max_unscored=card["max_unscored"],
    )
    for warning in columns.warnings:
        logger.warning(warning)
    rewards = Rewards(card, inputs, history, ledger, lm)
    main, name, why = rewards.main()
    check = rewards.confirm(name)
    shown = np.ones(len(pool), dtype=bool)
    warnings: list[str] = []
    if shows:
        asked = [main, check]
        if card["search"].groups:  # these are asked more than the tiny set
            asked.append(replace(main, questions=rewards.questions))
        shown, warnings = demonstrable(texts, card["search"], *asked)
    if name == "full":
        warnings.append(
            "estimator full asks all reward questions, so none is left to confirm with: "
            "the published reward comes from the questions of the search, with another "
            "dealing, and is too high"
        )
    elif not rewards.has_confirm_set:
        warnings.append(
            "without a confirm set the published reward comes from the questions of the "
            "search and is too high; set tiny.n_confirm in the dataset card"
        )
    notes = {
        "estimator": name,
        "estimator_reason": why,
        "n_anchors": len(main.questions),
        "n_confirm": len(check.questions) if rewards.has_confirm_set else 0,
        "warnings": [*columns.warnings, *warnings],
    }
    m = ranking.n_selected(card["fraction"], len(pool))
    candidates = Candidates(pool, texts, columns, card["search"], m, shown)
    return Prepared(candidates, main, check, notes)


def earlier(how: SearchSection, names: list[str]) -> list[list[float]]:
    """The best points of the run that `warm_start:` names, best first.

    Raises
    ------
    TmapError : it had other columns, or there is no such file
    """
    if not isinstance(how.warm_start, str):
        return []
    path = Path(how.warm_start)
    if not path.is_file():
        raise TmapError(
            f"There is no file '{path}', which `search: {{warm_start: ...}}` names; it "
            "takes the trace.parquet of a finished search. Fix the path in the method card."
        )
    theirs = tables.metadata(path)["indicators"]
    if theirs != names:
        raise TmapError(
            f"{path} has weights for {', '.join(theirs)}; this method has "
            f"{', '.join(names)}. A warm start needs the same columns in the same order."
        )
    trace = tables.read("trace", path)
    best = trace[~trace["raced"]].sort_values("reward", ascending=False, kind="stable")
    return [list(weights) for weights in best["weights"]]


def demonstrable(
    texts: Sequence[Demo], how: SearchSection, *rewards: Reward
) -> tuple[np.ndarray, list[str]]:
    """(N,) bool, rows short enough to be shown n at a time, and the warnings.

    Raises
    ------
    TmapError : too few are left for m groups of n
    """
    rooms = [
        r for r in (reward.room(how.n_shots) for reward in rewards) if r is not None
    ]
    room = min(rooms, default=None)
    shown = short_enough(texts, rewards[0].renderer, room)
    n_long = int((~shown).sum())
    if not n_long:
        return shown, []
    told = (
        f"{n_long} of {len(texts)} samples have more than {room} tokens, too long for "
        f"{how.n_shots} demonstrations and a question in a context of "
        f"{rewards[0].lm.context}"
    )
    if shown.sum() < how.n_groups * how.n_shots:
        raise TmapError(
            f"{told}; {how.n_groups} groups need {how.n_groups * how.n_shots} shorter "
            f"samples, and there are only {shown.sum()}. Lower search.n_shots or "
            "search.n_groups, or use a model with a longer context."
        )
    warning = f"{told}: they can be selected, but the search never shows them"
    logger.warning(warning)
    return shown, [warning]


def read_history(paths: list[str], aliases: list[str]) -> HistoryTables:
    """Read the history; refuse one that contains the target model or its derivatives."""
    if not paths:
        return HistoryTables()
    names = ("irt", "abilities", "responses")
    frames = [tables.read(n, p) for n, p in zip(names, paths, strict=True)]
    subjects = frames[1]["subject_id"].tolist()
    found = [
        s
        for s in subjects
        if any(fnmatch.fnmatchcase(s.lower(), alias.lower()) for alias in aliases)
    ]
    if found:
        raise TmapError(
            f"{paths[1]} contains the target model or its derivatives ({found[0]}; "
            f"{len(found)} in all), so its reward would be known in advance. Add a "
            "pattern for them to `responses: {exclude: [...]}` of the dataset card."
        )
    return HistoryTables(*frames)


class Rewards:
    """The rewards of a search: on the tiny set, and on the confirm set.

    Parameters
    ----------
    card, inputs, history : as for `run`
    ledger : shared by both
    lm : the model, if it is loaded already
    """

    def __init__(
        self,
        card: dict[str, Any],
        inputs: Inputs,
        history: HistoryTables,
        ledger: Ledger,
        lm: LanguageModel | None = None,
    ) -> None:
        self.card, self.inputs, self.history, self.ledger = (
            card,
            inputs,
            history,
            ledger,
        )
        self.questions = tables.read("questions", inputs.questions)
        self.lm = lm or engines.load(
            read_document("model", inputs.model), card["engine"]
        )
        self.renderer = Renderer(self.lm.tokenizer, card["prompt"])

    def main(self) -> tuple[Reward, str, str]:
        """The search's reward, the estimator's name, and why it was chosen."""
        abilities = self.history.abilities
        known = None if abilities is None else np.asarray(abilities["accuracy"])
        # Zero-shot, by an estimator whose item weights are not learned.
        safe = "weighted_mean" if known is None else "stratified"
        zero_shot = self._reward(self.inputs.tiny, safe)([[]]).reward
        name, why = estimators.choose(self.card["estimator"], zero_shot, known)
        logger.info("estimator %s: %s", name, why)
        return self._reward(self.inputs.tiny, name), name, why

    def confirm(self, name: str) -> Reward:
        """The same estimator on the confirm set, or on the tiny set if there is none."""
        path = self.inputs.confirm if self.has_confirm_set else self.inputs.tiny
        return self._reward(path, name)

    @property
    def has_confirm_set(self) -> bool:
        return bool(tables.metadata(self.inputs.confirm)["rows"]["total"])

    def _reward(self, path: Path, name: str) -> Reward:
        estimator = estimators.build(
            name,
            tables.read("tiny", path),
            tables.metadata(path),
            self.history.irt,
            self.history.responses,
            self.questions["question_id"].tolist(),
        )
        wanted = list(estimator.question_ids)
        asked = self.questions.set_index("question_id").loc[wanted]
        return Reward(
            lm=self.lm,
            renderer=self.renderer,
            questions=asked.reset_index(),
            marking=Marking(
                reader=self.card["reader"],
                metric=self.card["metric"],
                max_new_tokens=self.card["engine"].max_new_tokens,
            ),
            estimate=estimator.estimate,
            se_items=estimator.se_items,
            ledger=self.ledger,
        )

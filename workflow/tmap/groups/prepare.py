"""A search by groups for one dataset, model and method: from tables to weights.

The method card says by which probe groups are measured. `auto` takes the one that
`compare` recommended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tmap import engines
from tmap.artifacts import tables
from tmap.artifacts.files import read_document
from tmap.artifacts.provenance import versions
from tmap.engines.base import LanguageModel
from tmap.errors import TmapError
from tmap.groups import fidelity
from tmap.groups import search as groups
from tmap.groups.budget import GROUPS
from tmap.groups.likelihood import GoldLikelihood, GoldScorer
from tmap.groups.probe import Exam, FewShot, Group, Probe
from tmap.groups.short_training import Trained
from tmap.prompts.conversation import Turn
from tmap.prompts.renderer import Demo
from tmap.search import outcome
from tmap.search.demonstrations import Candidates, Texts, short_enough
from tmap.search.ledger import Ledger
from tmap.search.outcome import Outcome
from tmap.search.prepare import Inputs, Prepared, prepare

#: Fewest right rows that faults are planted in.
FEWEST = 8
NOT_FRESH = (
    "every reward question is in the tiny set or the confirm set, which has no worked "
    "answers, so the published reward comes from the questions of the search and is too "
    "high; lower tiny.n_anchors in the dataset card"
)


@dataclass(frozen=True)
class Room:
    """What probes of one search need, and what they share.

    Attributes
    ----------
    ready : pool, columns, rewards
    card : `dag.params.search_groups` of the dataset, model and method
    asked : table 'questions', all reward questions but those of the confirm set
    tiny, confirm : the questions of these sets
    worked : question_id -> full right answer; empty if no probe needs it
    learner : trains short; None if no probe needs it
    seed : of the search
    """

    ready: Prepared
    card: dict[str, Any]
    asked: pd.DataFrame
    tiny: pd.DataFrame
    confirm: pd.DataFrame
    worked: Mapping[str, str]
    learner: Any
    seed: int

    def probe(
        self,
        name: str,
        questions: pd.DataFrame,
        texts: Sequence[Demo] | None = None,
        chats: Callable[[int], Sequence[Turn]] | None = None,
    ) -> Probe:
        """A probe over these questions; `texts` and `chats` in place of the pool's."""
        exam, pool = self._exam(questions), self.ready.candidates.texts
        if name == "icl":
            return FewShot(exam, texts or pool)
        if name == "icl_logprob":
            return GoldLikelihood(exam, texts or pool, self.worked)
        assert isinstance(pool, Texts)
        found = self._trained(exam, chats or pool.chat)
        if self.card["search"].sft.learning_rate is None:
            found.set_rate(self.rate)
        return found

    def _exam(self, questions: pd.DataFrame) -> Exam:
        main = self.ready.main
        return Exam(main.lm, main.renderer, questions, main.marking, main.ledger)

    def _trained(self, exam: Exam, chats: Callable[[int], Sequence[Turn]]) -> Trained:
        how = self.card["search"].sft
        about = {
            "settings": self.card["train"].model_dump(mode="json"),
            "epochs": how.epochs,
            "seed": self.seed,
            "loop": self.learner.version,
            "versions": versions(),
        }
        return Trained(exam, self.learner, chats, self.worked, how, about)

    @cached_property
    def rate(self) -> float:
        """The learning rate that helps the tiny set most, whoever is asked then."""
        own = self._trained(self._exam(self.tiny), lambda row: [])
        return own.calibrate(self.unused().to_dict("records"), self.seed)

    def fresh(self) -> pd.DataFrame:
        """Questions for short trainings that no group was asked.

        The confirm set; targets do not have its worked answers, so answers that are
        written take other reward questions, as many.
        """
        if self.ready.main.marking.is_choice and len(self.confirm):
            return self.confirm
        rest = self.unused()
        n = len(self.confirm) or len(self.tiny)
        return rest.head(n).reset_index(drop=True) if len(rest) else self.tiny

    def doubts(self, name: str) -> list[str]:
        """A warning if short trainings are confirmed on questions of the search."""
        is_seen = name == "sft" and self.fresh() is self.tiny
        return [NOT_FRESH] if is_seen and len(self.confirm) else []

    def right_rows(self, n_shots: int) -> fidelity.Worked:
        """Unused questions with their answers, those short enough to be shown."""
        main = self.ready.main
        scorer = GoldScorer(main.lm, main.renderer, main.marking, self.worked)
        rows = [
            Demo(row["question"], scorer.text(row))
            for row in self.unused().to_dict("records")
        ]
        fits = short_enough(rows, main.renderer, main.room(n_shots))
        return fidelity.Worked([r for r, good in zip(rows, fits, strict=True) if good])

    def unused(self) -> pd.DataFrame:
        """Reward questions that are neither in the tiny set nor in the confirm set."""
        return self.asked[~self.asked["question_id"].isin(self.tiny["question_id"])]


def run(
    card: dict[str, Any],
    inputs: Inputs,
    ledger: Path,
    seed: int,
    targets: Path | None = None,
    compared: Path | None = None,
) -> groups.Result:
    """Ask groups of rows, fit weights to their answers, confirm.

    Questions are all reward questions but those of the confirm set: a group is asked few,
    so they need not be the tiny set's. A group that is trained on answers the tiny set.

    Parameters
    ----------
    card : `dag.params.search_groups` of the dataset, model and method
    inputs, ledger, seed : as for `prepare.run`
    targets : table 'targets', which likelihoods of written answers need
    compared : what `compare` found, for `probe: auto`
    """
    about = None if compared is None else read_document("probes", compared)
    name = card["search"].probe if about is None else about["chosen"]
    room = enter(card, inputs, Ledger(ledger), seed, [name], targets)
    questions = room.tiny if name == "sft" else room.asked
    probe = room.probe(name, questions)
    search = groups.Search(room.ready.candidates, probe, card["bounds"], seed)
    key = room.ready.candidates.groups_key(card["bounds"], seed, probe.identity())
    confirmed = probe.unit if name == "sft" else FewShot.unit
    told = {"name": name, "unit": probe.unit, "confirmed": confirmed}
    notes = {**room.ready.notes, "probe": told}
    if about is not None:
        notes["probe"]["compared"] = about
    notes["warnings"] = [*notes["warnings"], *room.doubts(name)]
    nothing = np.zeros(len(room.ready.candidates.pool))
    _dealt(room.ready.candidates, name, nothing)  # a pool too small stops here
    return groups.learn(search, key, partial(_confirm, room, name), notes)


def compare(
    card: dict[str, Any], inputs: Inputs, ledger: Path, seed: int, targets: Path
) -> dict[str, Any]:
    """Plant faults in right rows and see which probes react: the content of probes.json.

    Parameters
    ----------
    As for `run`
    """
    room = enter(card, inputs, Ledger(ledger), seed, list(GROUPS), targets)
    n_shots, size = card["search"].n_shots, card["search"].sft.rows
    rows = room.right_rows(n_shots)
    if len(rows) < FEWEST:
        raise TmapError(
            f"Probes are compared on worked answers to reward questions that no group is "
            f"asked, and {len(rows)} are left, of which {FEWEST} are needed. Bring more "
            "questions, lower tiny.n_anchors or tiny.n_confirm in the dataset card, or "
            "name a probe: `search: {probe: icl}` in the method card."
        )
    planted = fidelity.Planted(rows, seed)
    return fidelity.compare(
        [room.probe(n, room.tiny, planted, planted.chat) for n in GROUPS],
        {name: size if name == "sft" else n_shots for name in GROUPS},
        len(rows),
        seed,
    )


def enter(
    card: dict[str, Any],
    inputs: Inputs,
    ledger: Ledger,
    seed: int,
    names: Sequence[str],
    targets: Path | None,
) -> Room:
    """Load what these probes need; the model once."""
    card, learner, lm = dict(card), None, None
    if "sft" in names:
        learner, lm = _learner(card, inputs, seed)
    trains = list(names) == ["sft"]
    if trains:
        rows = {"n_shots": card["search"].sft.rows}
        card["search"] = card["search"].model_copy(update=rows)
    ready = prepare(card, inputs, ledger, lm, shows=not trains)
    questions = tables.read("questions", inputs.questions)
    ids = {
        name: tables.read("tiny", path)["question_id"]
        for name, path in (("tiny", inputs.tiny), ("confirm", inputs.confirm))
    }
    sets = {name: _those(questions, wanted) for name, wanted in ids.items()}
    asked = questions[~questions["question_id"].isin(ids["confirm"])]
    return Room(
        ready,
        card,
        asked.reset_index(drop=True),
        **sets,
        worked=_worked(targets),
        learner=learner,
        seed=seed,
    )


def _learner(
    card: dict[str, Any], inputs: Inputs, seed: int
) -> tuple[Any, LanguageModel]:
    from tmap.training.short import ShortTraining

    record, engine = read_document("model", inputs.model), card["engine"]
    if engine.server is not None:
        raise TmapError(
            "A probe by short training needs the model in this process, and the model "
            "card has a server. Remove `engine.server`, or set `search: {probe: "
            "icl_logprob}` in the method card."
        )
    learner = ShortTraining(record, engine, card["train"], seed)
    key = engines.key_of(record, engine)
    return learner, engines.around(learner.model, record, engine, key)


def _those(questions: pd.DataFrame, ids: pd.Series) -> pd.DataFrame:
    found = questions.set_index("question_id").loc[ids.drop_duplicates()]
    return found.reset_index()


def _worked(targets: Path | None) -> dict[str, str]:
    if targets is None:
        return {}
    table = tables.read("targets", targets)
    return dict(zip(table["question_id"], table["answer"], strict=True))


def _confirm(room: Room, name: str, score: np.ndarray) -> outcome.Evaluation:
    """Fresh questions and another dealing: few-shot accuracy, or short trainings."""
    candidates = room.ready.candidates
    if name != "sft":
        return candidates.evaluate_score(room.ready.check, score, turn=1)
    questions = room.fresh()
    probe = room.probe(name, questions)
    dealt = _dealt(candidates, name, score)
    every = tuple(range(len(questions)))
    found = probe.ask([Group(tuple(rows), every) for rows in dealt.tolist()])
    values = found.mean(axis=1)
    m = len(values)
    spread = float(values.std(ddof=1) / m**0.5) if m > 1 else float("nan")
    result = Outcome(
        reward=float(values.mean()),
        group_accuracy=values,
        se_items=float("nan"),
        se_groups=spread,
        new_tokens=0,
        ledger_hits=probe.hits,
        seconds=probe.seconds,
        spent=probe.spent,
    )
    return outcome.Evaluation(result, candidates.ids(dealt))


def _dealt(candidates: Candidates, name: str, score: np.ndarray) -> np.ndarray:
    """Groups that confirm a score; fewer short trainings where it has too few rows."""
    if name != "sft":
        return candidates.dealt(score, turn=1)
    how, size = candidates.search, candidates.search.n_shots
    m = min(how.n_groups, candidates.n_needed // size)
    return candidates.dealt(score, turn=1, n_groups=max(1, m))

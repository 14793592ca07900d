"""A group search over a scripted model: it knows more after rows whose column is high."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tmap.cards.method import GroupsSection, SearchSection
from tmap.cards.model import PromptSection
from tmap.engines.base import Spent
from tmap.evaluation.marking import Marking
from tmap.groups import search as groups
from tmap.groups.probe import Exam, FewShot
from tmap.prompts.renderer import Demo, Renderer
from tmap.search.demonstrations import Candidates
from tmap.search.ledger import Ledger
from tmap.search.outcome import Evaluation, Outcome
from tmap.selection.features import Features

N, K, M = 240, 4, 60
QUESTIONS = pd.DataFrame(
    {
        "question_id": [f"q{i:02d}" for i in range(30)],
        "question": [f"What is {i}+{i}?" for i in range(30)],
        "choices": None,
        "permutation": None,
        "gold": [str(2 * i) for i in range(30)],
        "row": range(30),
    }
)


class Knowing:
    """Right with a chance of .1 + .8 x the mean first column of the rows shown."""

    key, context, batch_size = "knowing", None, 16

    def __init__(self, tokenizer: Any, column: np.ndarray) -> None:
        self.tokenizer, self.column, self.spent = tokenizer, column, Spent()
        self.n_asked = 0

    def generate(self, prefixes, questions, *, max_new_tokens, stop=()):
        (prefix,) = prefixes
        return [[self._answer([*prefix, *question]) for question in questions]]

    def _answer(self, prompt: list[int]) -> list[int]:
        self.n_asked += 1
        text = self.tokenizer.decode(prompt)
        rows = [int(part.split(".")[0]) for part in text.split("Say ")[1:]]
        number = int(text.rsplit("What is ", 1)[1].split("+")[0])
        chance = 0.1 + 0.8 * self.column[rows].mean()
        luck = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48
        right = 2 * number if luck < chance else 2 * number + 1
        return self.tokenizer.encode(f" {right}", add_special_tokens=False)


def matrix(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((N, K))


def make(
    folder: Path,
    tokenizer: Any,
    *,
    knows: bool = True,
    budget: GroupsSection | None = None,
    seed: int = 0,
) -> tuple[groups.Search, Knowing]:
    """A search that has asked nothing yet, and its model.

    `knows`: whether a column of the pool is the one that helps.
    """
    columns = matrix()
    helps = columns[:, 0] if knows else np.random.default_rng(99).random(N)
    lm = Knowing(tokenizer, helps)
    how = SearchSection(
        n_groups=4,
        exemplars="spread",
        groups=budget or GroupsSection(n_answers=240, rounds=3),
    )
    pool = pd.DataFrame(
        {
            "sample_id": [f"s{i:03d}" for i in range(N)],
            "text_hash": [f"{i:04x}" for i in range(N)],
        }
    )
    texts = [Demo(f"Say {i}.", f" {i}") for i in range(N)]
    features = Features([f"c{j}" for j in range(K)], columns, [], {})
    candidates = Candidates(pool, texts, features, how, M, np.ones(N, dtype=bool))
    exam = Exam(
        lm,
        Renderer(tokenizer, PromptSection(template="plain")),
        QUESTIONS,
        Marking("number", "flexible", 8),
        Ledger(folder / "ledger.jsonl"),
    )
    probe = FewShot(exam, texts)
    return groups.Search(candidates, probe, (0.0, 1.0), seed), lm


def learn(search: groups.Search) -> groups.Result:
    """The search, confirmed by the known worth of the rows that a score takes."""
    column = matrix()[:, 0]

    def confirm(score: np.ndarray) -> Evaluation:
        worth = float(column[np.argsort(-score, kind="stable")[:M]].mean())
        return Evaluation(Outcome(worth, np.array([worth]), 0.1, 0.0, 0, 0, 0), [])

    return groups.learn(
        search, "key", confirm, {"warnings": [], "probe": {"name": "icl"}}
    )


def write(result: groups.Result, folder: Path) -> dict[str, bytes]:
    """Every file of a result but its clock, as bytes."""
    names = {
        n: folder / f"{n}.parquet" for n in ("trace", "timings", "groups", "values")
    }
    result.write(names | {"weights": folder / "weights.json"}, 0, "c", {})
    files = [names[n] for n in ("trace", "groups", "values")]
    return {p.name: p.read_bytes() for p in [*files, folder / "weights.json"]}

"""A scripted model that is shown rows, and a scripted training on them.

Row i says "Say i." and its answer is right or wrong. A right row is worth 1, a wrong one 0,
and a faulty answer (of another row, cut or shuffled) is worth nothing. What a group is
worth moves the model's chances after training, and after demonstrations if they see it.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from tmap.cards.method import GroupsSection, SearchSection, SftSection
from tmap.cards.model import PromptSection
from tmap.engines.base import Spent
from tmap.evaluation.marking import Marking
from tmap.groups import fidelity
from tmap.groups import search as groups
from tmap.groups.likelihood import GoldLikelihood
from tmap.groups.probe import Exam, FewShot, Probe
from tmap.groups.short_training import Trained
from tmap.prompts.renderer import Renderer
from tmap.search.demonstrations import Candidates, Texts
from tmap.search.ledger import Ledger
from tmap.search.outcome import Evaluation, Outcome
from tmap.selection.features import Features

N, K, M = 240, 4, 60
#: Gain of log-likelihood, nats, after right rows only.
GAIN = 0.8
RIGHT = re.compile(r"Say (\d+)\.\s+(?:Answer:)?\s*sum (\d+) is fine")


class Model:
    """Knows what each row of its prompt, and of its last training, is worth."""

    key, context, batch_size, n_layers = "toy", None, 16, 1

    def __init__(self, tokenizer: Any, quality: np.ndarray, sees: bool) -> None:
        self.tokenizer, self.quality, self.sees = tokenizer, quality, sees
        self.spent, self.n_scored = Spent(), 0
        self.learned = 0.0

    def worth(self, text: str, n: int | None = None) -> float:
        """Mean worth of the rows in a text whose answers are their own."""
        shown = n or text.count("Say ")
        own = [int(q) for q, a in RIGHT.findall(text) if q == a]
        return float(self.quality[own].sum() / shown) if shown else 0.0

    def base(self, q: int) -> float:
        return -1.0 - 0.1 * q

    def generate(self, prefixes, questions, *, max_new_tokens, stop=()):
        return [[self._answer(question) for question in questions]]

    def _answer(self, prompt: list[int]) -> list[int]:
        text = self.tokenizer.decode(prompt)
        number = int(text.rsplit("What is ", 1)[1].split("+")[0])
        chance = 0.1 + 0.8 * (self.worth(text) if self.sees else 0.5)
        luck = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48
        right = 2 * number if luck < chance else 2 * number + 1
        return self.tokenizer.encode(f" {right}", add_special_tokens=False)

    def answer_nll(self, prompts, answers):
        self.n_scored += len(prompts)
        total = []
        for prompt, answer in zip(prompts, answers, strict=True):
            text = self.tokenizer.decode(prompt)
            number = int(text.rsplit("What is ", 1)[1].split("+")[0])
            shown = self.worth(text) if self.sees else 0.0
            each = self.base(number) + GAIN * (shown + self.learned)
            total.append(-each * len(answer))
        return np.array(total), np.array([len(answer) for answer in answers])


class Learner:
    """A training that learns what its rows are worth, best at ten times the card's rate."""

    limit, card_rate = 512, 1e-3

    def __init__(self, lm: Model) -> None:
        self.lm, self.n_trained = lm, 0
        self.settings = SimpleNamespace(learning_rate=self.card_rate)

    def reset(self) -> None:
        self.lm.learned = 0.0

    def train(self, rows, rate, epochs) -> list[float]:
        self.n_trained += 1
        texts = [self.lm.tokenizer.decode(row.input_ids) for row in rows]
        worth = np.mean([1.0 if " right" in t else self.lm.worth(t, 1) for t in texts])
        self.lm.learned = float(worth) * float(np.exp(-abs(np.log(rate / 1e-2))))
        return [1.0]


class World:
    """A pool with right and wrong rows, questions, and every probe over them.

    `demonstrations_see`: whether rows that are shown matter. `columns_know`: whether a
    column of the pool is the rows' worth.
    """

    def __init__(
        self,
        tokenizer: Any,
        folder: Path,
        *,
        demonstrations_see: bool = True,
        columns_know: bool = True,
    ) -> None:
        rng = np.random.default_rng(0)
        self.quality = rng.random(N)
        self.matrix = np.random.default_rng(1).random((N, K))
        if columns_know:
            self.matrix[:, 0] = self.quality
        self.tokenizer = tokenizer
        self.lm = Model(tokenizer, self.quality, demonstrations_see)
        self.learner = Learner(self.lm)
        self.ledger = Ledger(folder / "ledger.jsonl")
        self.questions = pd.DataFrame(
            {
                "question_id": [f"q{i:02d}" for i in range(12)],
                "question": [f"What is {i}+{i}?" for i in range(12)],
                "choices": None,
                "permutation": None,
                "gold": [str(2 * i) for i in range(12)],
                "row": range(12),
            }
        )
        self.worked = {f"q{i:02d}": f"It is {2 * i}" for i in range(12)}
        pool = pd.DataFrame(
            {
                "sample_id": [f"s{i:03d}" for i in range(N)],
                "text_hash": [f"{i:04x}" for i in range(N)],
                "instruction": [f"Say {i}." for i in range(N)],
                "input": "",
                "response": [f"sum {i} is fine" for i in range(N)],
                "turns": None,
            }
        )
        self.pool, self.texts = pool, Texts([pool], chats=True)

    def exam(self) -> Exam:
        renderer = Renderer(self.tokenizer, PromptSection(template="plain"))
        marking = Marking("number", "flexible", 8)
        return Exam(self.lm, renderer, self.questions, marking, self.ledger)

    def trained(self, chats: Any = None, learning_rate: float | None = 1e-2) -> Trained:
        how = SftSection(rows=16, learning_rate=learning_rate)
        return Trained(
            self.exam(),
            self.learner,
            chats or self.texts.chat,
            self.worked,
            how,
            {"seed": 0},
        )

    def probes(self, planted: fidelity.Planted | None = None) -> dict[str, Probe]:
        texts: Any = planted or self.texts
        found = [
            FewShot(self.exam(), texts),
            GoldLikelihood(self.exam(), texts, self.worked),
            self.trained(texts.chat),
        ]
        return {probe.name: probe for probe in found}

    def compare(self) -> dict[str, Any]:
        probes = self.probes(fidelity.Planted(self.texts, 0))
        sizes = {"icl": 3, "icl_logprob": 3, "sft": 16}
        return fidelity.compare(list(probes.values()), sizes, N, seed=0)

    def search(self, about: dict[str, Any], compared: bool = True) -> groups.Result:
        name = about["chosen"]
        how = SearchSection(
            n_groups=4,
            n_shots=16 if name == "sft" else 3,
            exemplars="spread",
            groups=GroupsSection(n_answers=240, rounds=2),
            probe=name,
        )
        features = Features([f"c{j}" for j in range(K)], self.matrix, [], {})
        shown = np.ones(N, dtype=bool)
        candidates = Candidates(self.pool, self.texts, features, how, M, shown)
        search = groups.Search(candidates, self.probes()[name], (0.0, 1.0), 0)

        def confirm(score: np.ndarray) -> Evaluation:
            worth = float(self.quality[np.argsort(-score, kind="stable")[:M]].mean())
            return Evaluation(Outcome(worth, np.array([worth]), 0.1, 0.0, 0, 0, 0), [])

        notes: dict[str, Any] = {"warnings": [], "probe": {"name": name}}
        if compared:
            notes["probe"]["compared"] = about
        return groups.learn(search, "key", confirm, notes)

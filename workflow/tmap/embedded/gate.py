"""Check whether a small model suits the embedded world, with our own engine and trainer.

It does if there is something to find: it solves problems, but not all of them without
help; demonstrations with a fault hurt it; and fine-tuning on clean rows of a pool teaches
it more than fine-tuning on random ones.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tmap import cards, engines
from tmap.cards.model import ModelSource
from tmap.data import models
from tmap.engines.base import LanguageModel
from tmap.errors import TmapError
from tmap.evaluation.marking import Marking, examine
from tmap.prompts.renderer import Demo, Renderer
from tmap.training.train import train
from tmap.worlds.arith import pool, problems
from tmap.worlds.arith.questions import STEPS
from tmap.worlds.arith.styles import Style, respond

LOG = logging.getLogger(__name__)

#: The model card whose prompt, engine and training settings the gate uses.
CARD = "tiny"
#: Seeds of the gate's own problems and pool: no dataset card names them.
QUESTION_SEED, POOL_SEED = 900, 900
#: Shots, and draws of them, per style.
N_SHOTS, N_GROUPS = 5, 3
FAULTS: tuple[Style, ...] = ("wrong_op", "terse", "skip")
#: Half of a pool. Fine-tuning on either hurts. If only one of them hurts a model when shown
#: as demonstrations, its few-shot reward is blind to the other.
MAIN_FAULTS: tuple[Style, ...] = ("wrong_op", "terse")
FRACTION = 0.30


@dataclass(frozen=True)
class Numbers:
    """The measurements of the gate. Accuracies are shares in [0, 1].

    Attributes
    ----------
    clean_nll : mean nats per token of clean responses after their question
    zero_shot : without demonstrations
    few_shot : style of the five demonstrations -> mean over draws of them
    oracle, random : zero-shot after fine-tuning on 30 % of a pool, clean rows first or
        drawn at random; None if the other numbers already failed
    """

    clean_nll: float
    zero_shot: float
    few_shot: dict[str, float]
    oracle: float | None = None
    random: float | None = None

    def faults(self) -> list[str]:
        """Every missed bound, as text; none for a suitable model."""
        least = max(MAIN_FAULTS, key=lambda style: self.few_shot[style])
        drop = self.few_shot["clean"] - self.few_shot[least]
        found = [
            (self.clean_nll > 0.15, f"clean_nll is {self.clean_nll:.3f}, over 0.15"),
            (
                not 0.30 <= self.zero_shot <= 0.75,
                f"zero_shot is {self.zero_shot:.2f}, outside 0.30..0.75",
            ),
            (drop < 0.40, f"demonstrations of {least} cost {drop:.2f}, under 0.40"),
        ]
        if self.oracle is not None and self.random is not None:
            gain = self.oracle - self.random
            found.append(
                (gain < 0.15, f"oracle is {gain:.2f} above random, under 0.15")
            )
        return [words for missed, words in found if missed]


def check(numbers: Numbers, place: str) -> None:
    """Refuse a model that misses a bound."""
    faults = numbers.faults()
    if faults:
        raise TmapError(
            f"The model in '{place}' does not suit the embedded world: "
            f"{'; '.join(faults)}. Train it longer, or with another seed."
        )


def measure(folder: Path, n_questions: int = 200) -> Numbers:
    """All numbers of a model; fine-tuning is skipped if the rest already fails.

    Parameters
    ----------
    folder : in Transformers format
    n_questions : problems per accuracy
    """
    record = models.read(folder.name, ModelSource(path=str(folder)))
    bench = _Bench(record, n_questions)
    lm = engines.load(record, bench.card.engine)
    numbers = Numbers(
        clean_nll=bench.clean_nll(lm),
        zero_shot=bench.accuracy(lm, [()]),
        few_shot={s: bench.few_shot(lm, s) for s in ("clean", *FAULTS)},
    )
    LOG.info("before fine-tuning: %s", asdict(numbers))
    if numbers.faults():
        return numbers
    tuned = {how: bench.fine_tuned(how) for how in ("oracle", "random")}
    return Numbers(numbers.clean_nll, numbers.zero_shot, numbers.few_shot, **tuned)


class _Bench:
    """One model's questions and settings."""

    def __init__(self, record: dict[str, Any], n_questions: int) -> None:
        self.record, self.card = record, cards.load("models", CARD)
        self.rng = np.random.default_rng([QUESTION_SEED, 20])
        self.problems = [self._problem() for _ in range(n_questions)]
        self.questions = pd.DataFrame(
            {
                "question_id": [f"gate-{i}" for i in range(n_questions)],
                "question": [problem.question for problem in self.problems],
                "choices": None,
                "gold": [str(problem.answer) for problem in self.problems],
            }
        )

    def _problem(self) -> problems.Problem:
        return problems.make(self.rng, problems.draw_steps(STEPS, self.rng))

    def _renderer(self, lm: LanguageModel) -> Renderer:
        return Renderer(lm.tokenizer, self.card.prompt)

    def clean_nll(self, lm: LanguageModel) -> float:
        renderer = self._renderer(lm)
        prompts, answers = [], []
        for problem in self.problems:
            question, response = respond(problem, "clean", self.rng)
            prompt = renderer.render(question)
            prompts.append([*prompt.prefix, *prompt.question])
            answers.append(renderer.answer(response))
        total, count = lm.answer_nll(prompts, answers)
        return float(total.sum() / count.sum())

    def few_shot(self, lm: LanguageModel, style: Style) -> float:
        groups = [
            [Demo(*respond(self._problem(), style, self.rng)) for _ in range(N_SHOTS)]
            for _ in range(N_GROUPS)
        ]
        return self.accuracy(lm, groups)

    def accuracy(self, lm: LanguageModel, groups: list[Any]) -> float:
        marking = Marking("number", "strict", self.card.engine.max_new_tokens)
        found = examine(lm, self._renderer(lm), self.questions, groups, marking)
        return float(found.is_correct.mean())

    def fine_tuned(self, how: str) -> float:
        """Zero-shot accuracy after training on part of the gate's pool."""
        rows = list(zip(pool.rows(POOL_SEED), pool.labels(POOL_SEED), strict=True))
        order = np.random.default_rng([POOL_SEED, 21]).permutation(len(rows))
        if how == "oracle":
            order = np.array(sorted(order, key=lambda i: not rows[i][1]["is_clean"]))
        chosen = [rows[i][0] for i in sorted(order[: round(FRACTION * len(rows))])]
        found = self.after_training([(r["question"], r["answer"]) for r in chosen])
        LOG.info("%s: %.3f after fine-tuning on %d rows", how, found, len(chosen))
        return found

    def after_training(self, pairs: list[tuple[str, str]]) -> float:
        """Zero-shot accuracy after training on these questions and answers."""
        chats = [[("user", asked), ("assistant", said)] for asked, said in pairs]
        with tempfile.TemporaryDirectory() as scratch:
            adapter = Path(scratch) / "adapter"
            train(
                self.record,
                self.card.prompt,
                self.card.engine,
                self.card.train,
                chats,
                seed=0,
                adapter=adapter,
                scratch=Path(scratch) / "checkpoints",
            )
            lm = engines.load(self.record, self.card.engine, adapter)
        return self.accuracy(lm, [()])

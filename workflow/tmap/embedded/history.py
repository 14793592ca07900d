"""The history of the reward questions: answers of real, small models.

A subject is a solver, lightly fine-tuned or not, with a set of demonstrations before
every question. A solver's skill appears as a jump during training, so few checkpoints have
intermediate skill; faulty demonstrations and faulty fine-tuning rows spread the subjects
over the whole range. None of the solvers is a model that the world ships, because a target
model must not be in its own history.
"""

from __future__ import annotations

import logging
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tmap import engines
from tmap.artifacts.files import atomic
from tmap.cards.model import EngineSection, ModelSource, PromptSection, TrainSection
from tmap.data import models
from tmap.errors import TmapError
from tmap.evaluation.marking import Marking, examine
from tmap.jobs.log import Progress
from tmap.prompts.renderer import Demo, Renderer
from tmap.tiny.threads import one_thread
from tmap.worlds.arith import problems
from tmap.worlds.arith import questions as asked
from tmap.worlds.arith.styles import Style, respond

LOG = logging.getLogger(__name__)
COLUMNS = ["subject_id", "question_id", "is_correct"]
#: Steps of the problems in demonstrations and fine-tuning rows.
STEPS = {1: 0.15, 2: 0.25, 3: 0.30, 4: 0.20, 5: 0.10}
PROMPT = PromptSection(template="plain", stop=["\n\n"])
ENGINE = EngineSection(device="cpu", dtype="float32", max_new_tokens=80)
MARKING = Marking(reader="number", metric="strict", max_new_tokens=80)
ROWS = 16  # per fine-tuning step
#: Required coverage: PER_FIFTH subjects in each fifth of the accuracy range, and AT_LEAST
#: subjects in all.
FIFTHS, PER_FIFTH, AT_LEAST = 5, 8, 60


class Mix(NamedTuple):
    """`n` answers in random order, `n_faulty` of them with `fault`; one of many draws."""

    n: int
    n_faulty: int = 0
    fault: Style = "clean"
    draw: int = 0

    @property
    def name(self) -> str:
        """Like `none`, `5clean`, `3clean_2skip`, `3clean_2skip_b` (the second draw)."""
        parts = [(self.n - self.n_faulty, "clean"), (self.n_faulty, str(self.fault))]
        name = "_".join(f"{n}{style}" for n, style in parts if n) or "none"
        return name + ("" if self.draw == 0 else f"_{'abcdef'[self.draw]}")


#: Demonstrations before a question: clean ones, and some mixed with one fault.
DEMOS = (
    Mix(0),
    Mix(5),
    Mix(2, 1, "wrong_op"),
    Mix(5, 2, "wrong_op"),
    Mix(5, 3, "wrong_op"),
    Mix(5, 2, "skip"),
    Mix(5, 3, "skip"),
    Mix(5, 4, "terse"),
    Mix(5, 3, "ramble"),
)
#: Rows of the light fine-tuning, one pass, ROWS per step: mostly faulty, so that a solver
#: is then right on some problems and wrong on others.
TUNINGS = (
    Mix(0),
    Mix(400, 280, "wrong_op"),
    Mix(400, 280, "skip"),
    Mix(400, 360, "terse"),
    Mix(160, 120, "skip"),
)


def make(solvers: Sequence[Path], seed: int = 0) -> pd.DataFrame:
    """Answers of every solver x fine-tuning x set of demonstrations.

    Parameters
    ----------
    solvers : model folders, none of them a shipped model
    seed : of demonstrations and of fine-tuning

    Returns
    -------
    Columns subject_id (text), question_id (text), is_correct (bool), ordered by both.

    Raises
    ------
    TmapError
        If the subjects do not cover the accuracy range.
    """
    progress = Progress("make-world-history", len(solvers) * len(TUNINGS), "models")
    questions = reward_questions()
    frames = []
    with one_thread(), tempfile.TemporaryDirectory() as scratch:
        for solver in solvers:
            record = models.read(solver.name, ModelSource(path=str(solver)))
            for tuning in TUNINGS:
                frames += answers(record, tuning, questions, Path(scratch), seed)
                progress.advance()
    found = pd.concat(frames, ignore_index=True)
    check(found)
    return found.sort_values(COLUMNS[:2], ignore_index=True)


def reward_questions() -> pd.DataFrame:
    """The questions that every history answers, as `examine` reads them."""
    rows = [row for row in asked.rows(seed=0) if row["side"] == "reward"]
    found = pd.DataFrame(rows).rename(columns={"id": "question_id"})
    return found[["question_id", "question", "gold"]].assign(choices=None)


def save(responses: pd.DataFrame, out: Path) -> None:
    """Write the long table in little space: ids as dictionaries, compressed."""
    with atomic(out) as temporary:
        responses.to_parquet(temporary, index=False, compression="zstd")


def answers(
    record: dict[str, Any],
    tuning: Mix,
    questions: pd.DataFrame,
    scratch: Path,
    seed: int,
) -> list[pd.DataFrame]:
    """One frame per set of demonstrations, from one model."""
    name = f"{record['model']}-{tuning.name}"
    adapter = _tune(record, tuning, scratch / name, seed) if tuning.n else None
    lm = engines.load(record, ENGINE, adapter)
    groups = [_demos(mix, f"{name} {mix.name}", seed) for mix in DEMOS]
    renderer = Renderer(lm.tokenizer, PROMPT)
    marks = examine(lm, renderer, questions, groups, MARKING).is_correct
    LOG.info("%s: %s %%", name, (100 * marks.mean(axis=1)).round().astype(int).tolist())
    return [
        pd.DataFrame(
            {
                "subject_id": f"{name}-{mix.name}",
                "question_id": questions["question_id"].to_numpy(),
                "is_correct": correct,
            }
        )
        for mix, correct in zip(DEMOS, marks, strict=True)
    ]


def draw(mix: Mix, rng: np.random.Generator) -> list[Demo]:
    """Answered problems in a random order of styles."""
    styles: list[Style] = ["clean"] * (mix.n - mix.n_faulty)
    styles += [mix.fault] * mix.n_faulty
    found = []
    for place in rng.permutation(mix.n):
        problem = problems.make(rng, problems.weighted(rng, STEPS))
        found.append(Demo(*respond(problem, styles[place], rng)))
    return found


def check(responses: pd.DataFrame) -> None:
    """Refuse a history with too few subjects, or with gaps in its accuracy range.

    Raises
    ------
    TmapError
    """
    accuracy = responses.groupby("subject_id")["is_correct"].mean()
    counts = np.histogram(accuracy, FIFTHS)[0].tolist()
    if len(accuracy) < AT_LEAST or min(counts) < PER_FIFTH:
        raise TmapError(
            f"The history has {len(accuracy)} subjects, by fifth of its accuracy range "
            f"{counts}; it needs {AT_LEAST} and {PER_FIFTH} in every fifth. Add a "
            "solver (--solver) trained for longer or shorter."
        )


def _demos(mix: Mix, salt: str, seed: int) -> list[Demo]:
    return draw(mix, np.random.default_rng([seed, 3, zlib.crc32(salt.encode())]))


def _tune(record: dict[str, Any], tuning: Mix, folder: Path, seed: int) -> Path:
    from tmap.training.train import train

    settings = TrainSection(
        rank=8,
        alpha=16,
        learning_rate=2e-3,
        batch_size=ROWS,
        micro_batch_size=ROWS,
        max_length=512,
    )
    rows = draw(
        tuning, np.random.default_rng([seed, 4, zlib.crc32(folder.name.encode())])
    )
    chats = [[("user", d.question), ("assistant", d.answer)] for d in rows]
    train(
        record,
        PROMPT,
        ENGINE,
        settings,
        chats,
        seed=seed,
        adapter=folder,
        scratch=folder / "checkpoints",
    )
    return folder

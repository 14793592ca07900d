"""A short search whose model writes answers; it may be killed meanwhile.

python killed_search.py LEDGER MODEL_FOLDER STEP
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from tmap import engines
from tmap.cards.method import SearchSection
from tmap.cards.model import EngineSection, PromptSection
from tmap.engines.shared_prefix import SharedRows
from tmap.evaluation.marking import Marking
from tmap.prompts.renderer import Demo, Renderer
from tmap.search import loop
from tmap.search.ledger import Ledger
from tmap.search.outcome import Evaluation
from tmap.search.reward import Reward

HOW = SearchSection(n_initial=3, n_iterations=3)
QUESTIONS = pd.DataFrame(
    {
        "question_id": [f"q{i}" for i in range(3)],
        "question": [f"What is {i}+{i}?" for i in range(3)],
        "choices": None,
        "permutation": None,
        "gold": ["0", "2", "4"],
        "row": range(3),
    }
)


def record(folder: str) -> dict:
    return {
        "model": "tiny",
        "source": "tiny",
        "revision": "0" * 40,
        "path": folder,
        "trust_remote_code": False,
    }


def run(path: Path, folder: str) -> loop.Found:
    """Weigh two columns; the best four rows are shown in two groups."""
    lm = engines.load(record(folder), EngineSection(dtype="float32", device="cpu"))
    renderer = Renderer(lm.tokenizer, PromptSection(template="plain", stop=["e", "t"]))
    ledger = Ledger(path)
    reward = Reward(
        lm,
        renderer,
        QUESTIONS,
        Marking("number", "flexible", 12),
        lambda marks: marks.mean(axis=-1),
        0.05,
        ledger,
    )
    columns = np.random.default_rng(0).random((20, 2))

    def objective(weights: np.ndarray, beat: float | None = None) -> Evaluation:
        best = np.argsort(-columns @ weights)[:4]
        groups = [[Demo(f"Say {i}.", f"#### {i}") for i in best[j::2]] for j in (0, 1)]
        return Evaluation(reward(groups), [[str(i) for i in best]])

    return loop.run(objective, 2, (0.0, 1.0), HOW, 0, ledger, "k")


def die_in_step(number: int) -> None:
    """Kill this process in the n-th step of decoding."""
    step, left = SharedRows.step, [number]

    def trap(rows, ids):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(rows, ids)

    SharedRows.step = trap


if __name__ == "__main__":
    die_in_step(int(sys.argv[3]))
    run(Path(sys.argv[1]), sys.argv[2])

"""Questions of the embedded world, freely answered or by letter.

The reward questions are always the same, because the history is about them. Test questions
depend on the card's seed, and none of them is a reward question.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from tmap.worlds.arith import problems
from tmap.worlds.arith.problems import Problem, between, draw_steps, pick
from tmap.worlds.arith.styles import SLIPS, respond, respond_lines

N_REWARD, N_TEST = 200, 300
#: Seed of the reward questions, independent of the card.
REWARD_SEED = 0
#: Shares of problems by number of steps, 1..5: longer ones than in the pool.
STEPS = (0.05, 0.20, 0.30, 0.35, 0.10)
N_CHOICES = 4

Side = Literal["reward", "test"]


def rows(seed: int) -> Iterator[dict[str, Any]]:
    """Reward questions, then test questions.

    Yields
    ------
    dict
        id, side ('reward' or 'test'), question, gold (text), solution (worked answer),
        choices (four numbers as text, the right one among them), place (index of the
        right one from 0)
    """
    seen: set[str] = set()
    for side, n in (("reward", N_REWARD), ("test", N_TEST)):
        named = REWARD_SEED if side == "reward" else seed
        rng = np.random.default_rng([named, 11 if side == "reward" else 12])
        for number in range(n):
            problem = _unseen(rng, seen)
            choices = _choices(problem, rng)
            yield {
                "id": f"arith-{named}-{side}-{number:04d}",
                "side": side,
                "question": problem.question,
                "gold": str(problem.answer),
                "solution": respond(problem, "clean", rng)[1],  # draws nothing
                "choices": [str(choice) for choice in choices],
                "place": choices.index(problem.answer),
            }


def _unseen(rng: np.random.Generator, seen: set[str]) -> Problem:
    while True:
        problem = problems.make(rng, draw_steps(STEPS, rng))
        if problem.question not in seen:
            seen.add(problem.question)
            return problem


def _choices(problem: Problem, rng: np.random.Generator) -> list[int]:
    """The right answer among three wrong ones, preferably results of known mistakes."""
    found = [problem.answer]
    for style in ("wrong_op", "skip"):
        final = respond_lines(problem, style, rng)[1][-1].text
        found.append(int(final.removeprefix("####")))
    found.append(problem.answer + pick(rng, SLIPS))
    distinct = list(dict.fromkeys(n for n in found if n >= 0))[:N_CHOICES]
    while len(distinct) < N_CHOICES:
        other = between(rng, 1, problems.LARGEST)
        if other not in distinct:
            distinct.append(other)
    return [distinct[place] for place in rng.permutation(N_CHOICES)]

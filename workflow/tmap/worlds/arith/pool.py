"""A pool of instruction data whose faults are known.

A quarter of the rows is clean. Short problems are often answered without steps, long
ones with the wrong operations, so that no single judgement separates good rows from bad
and fine-tuning on a random part teaches the faults.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tmap.worlds.arith import problems
from tmap.worlds.arith.problems import draw_steps, weighted
from tmap.worlds.arith.styles import Style, respond

N_ROWS = 1000
#: Shares of problems by number of steps, 1..5.
STEPS = (0.12, 0.28, 0.27, 0.23, 0.10)
#: How a problem of 1..5 steps is answered, as weights.
STYLES_BY_STEPS: tuple[dict[Style, float], ...] = (
    {"clean": 0.42, "wrong_op": 0.05, "terse": 0.38, "skip": 0.10},
    {"clean": 0.36, "wrong_op": 0.10, "terse": 0.38, "skip": 0.12},
    {"clean": 0.25, "wrong_op": 0.33, "terse": 0.25, "skip": 0.13},
    {"clean": 0.17, "wrong_op": 0.46, "terse": 0.18, "skip": 0.14},
    {"clean": 0.14, "wrong_op": 0.50, "terse": 0.16, "skip": 0.14},
)
#: The same at every number of steps.
RARE: dict[Style, float] = {
    "noisy_arith": 0.01,
    "wrong_final": 0.01,
    "offtask": 0.02,
    "ramble": 0.04,
}
#: Fewest and most sentences of a rambling row: longer than any worked answer.
RAMBLE = (6, 8)


def rows(seed: int) -> Iterator[dict[str, Any]]:
    """N_ROWS rows {id, question, answer}, no two with the same text."""
    for row, _ in _draw(seed):
        yield row


def labels(seed: int) -> Iterator[dict[str, Any]]:
    """The labels of the same rows: {id, style, is_clean, n_steps}.

    n_steps is 0 for a row without a problem.
    """
    for row, (style, n_steps) in _draw(seed):
        yield {
            "id": row["id"],
            "style": style,
            "is_clean": style == "clean",
            "n_steps": 0 if style == "offtask" else n_steps,
        }


def _draw(seed: int) -> Iterator[tuple[dict[str, str], tuple[Style, int]]]:
    rng = np.random.default_rng([seed, 10])
    seen: set[tuple[str, str]] = set()
    while len(seen) < N_ROWS:
        n_steps = draw_steps(STEPS, rng)
        style = weighted(rng, STYLES_BY_STEPS[n_steps - 1] | RARE)
        pair = respond(problems.make(rng, n_steps), style, rng, RAMBLE)
        if pair in seen:
            continue
        row = {"id": f"arith-{seed}-pool-{len(seen):04d}"}
        seen.add(pair)
        yield row | {"question": pair[0], "answer": pair[1]}, (style, n_steps)

"""Generated worlds: tasks, models and histories from seeds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from tmap.errors import unknown

What = Literal["pool", "questions", "labels"]
WORLDS = ("arith",)


def rows(world: str, what: What, seed: int) -> Iterator[dict[str, Any]]:
    """Rows of a world, the same for the same seed.

    Parameters
    ----------
    world : as a dataset card names it
    what : the pool; the questions, each with its `side`; or the labels of the pool
    seed : of pool and test questions
    """
    if world not in WORLDS:
        raise unknown("world", world, WORLDS, "Name one of them in the dataset card.")
    from tmap.worlds.arith import pool, questions

    made = {"pool": pool.rows, "questions": questions.rows, "labels": pool.labels}
    return made[what](seed)

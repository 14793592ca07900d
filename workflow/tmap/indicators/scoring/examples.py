"""Rows of a pool as worked examples that a prompt can show."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tmap.embeddings import embed
from tmap.errors import TmapError
from tmap.indicators.scoring.losses import Scorer
from tmap.prompts.conversation import answer_of, question_of
from tmap.prompts.renderer import Demo, Renderer, clean
from tmap.selection import ranking


def demos_of(pool: pd.DataFrame) -> list[Demo]:
    """The first exchange of every row, stripped."""
    rows = pool.to_dict("records")
    return [Demo(clean(question_of(row)), clean(answer_of(row))) for row in rows]


def complete(pool: pd.DataFrame, demos: list[Demo]) -> np.ndarray:
    """Row numbers of rows with a question and an answer, by text hash, then id.

    An indicator that deals rows or breaks ties uses this order, so that scores do not
    depend on the order of the pool.
    """
    order = np.argsort(ranking.tie_rank(pool["text_hash"], pool["sample_id"]))
    return np.array([i for i in order if all(demos[i])], dtype=np.int64)


def prefix_lengths(demos: list[Demo], renderer: Renderer) -> np.ndarray:
    """(n,) int64 number of tokens of a prompt with one example, up to the question."""
    return np.array([len(renderer.render("", [d]).prefix) for d in demos], np.int64)


def vectors(pool: pd.DataFrame, scorer: Scorer, what: str) -> np.ndarray:
    """The embeddings that came with the scorer, (n, d) float32 of length 1."""
    if scorer.embeddings is None:
        raise TmapError(
            f"Indicator '{what}' compares rows by embeddings, but none were given. Run "
            "`tmap embed-pool` and name its table (--embeddings)."
        )
    return embed.unit_rows(scorer.embeddings, pool["sample_id"])

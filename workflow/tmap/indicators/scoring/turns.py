"""Measures of text, summed over the answers of a row that the loss counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from tmap.indicators import Scores
from tmap.prompts.conversation import turns_of


def total(pool: pd.DataFrame, measure: Callable[[str], int]) -> Scores:
    """The sum of `measure` over each row's assistant turns that the loss counts.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    measure : of one turn's text

    Returns
    -------
    (n_samples,) float64 sums; `empty` and NaN if every such turn is blank
    """
    return total_of_all(pool, lambda texts: [measure(text) for text in texts])


def total_of_all(
    pool: pd.DataFrame, measure: Callable[[list[str]], Sequence[int]]
) -> Scores:
    """As `total`, for a measure that is faster on many texts together."""
    said = [
        [
            turn.content
            for turn in turns_of(row)
            if turn.role == "assistant" and turn.counts
        ]
        for row in pool.to_dict("records")
    ]
    blank = np.array([not any(t.strip() for t in texts) for texts in said], bool)
    owner = np.repeat(np.arange(len(said)), [len(texts) for texts in said])
    sizes = measure([text for texts in said for text in texts])
    score = np.bincount(owner, weights=sizes, minlength=len(said)).astype(np.float64)
    status = np.where(blank, "empty", "ok").astype(object)
    return Scores(np.where(blank, np.nan, score), status)

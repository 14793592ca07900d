"""Measures of text, summed over the assistant turns of a row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from tmap.indicators import Scores
from tmap.samples import turns_of


def total(pool: pd.DataFrame, measure: Callable[[str], int]) -> Scores:
    """The sum of `measure` over each row's assistant turns.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    measure : of one turn's text

    Returns
    -------
    (n_samples,) float64 sums; `empty` and NaN where every such turn is blank
    """
    score = np.full(len(pool), np.nan)
    status = np.full(len(pool), "empty", dtype=object)
    for i, row in enumerate(pool.to_dict("records")):
        said = [text for role, text in turns_of(row) if role == "assistant"]
        if any(text.strip() for text in said):
            score[i], status[i] = sum(measure(text) for text in said), "ok"
    return Scores(score, status)

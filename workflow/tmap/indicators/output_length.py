"""Length of the response: long answers tend to carry more detail.

Formula: the number of characters (Unicode code points, white space at both ends left
out) or of words (maximal runs without white space), summed over assistant turns::

    "Now there are 3 + 4 = 7 pears."      30 characters, 9 words

Tokens, which the source counts, need a tokenizer; within one pool characters rank rows
almost alike, and do not change with the model.

Source: Zhao et al. 2024, arXiv:2402.04833; TMAP Table 7, "Output Length".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from tmap.errors import unknown
from tmap.indicators import Scores, indicator
from tmap.indicators._turns import total

COUNTS: dict[str, Callable[[str], int]] = {
    "characters": len,
    "words": lambda text: len(text.split()),
}


@indicator(unit="characters (or words)", source="arXiv:2402.04833")
def output_length(
    pool: pd.DataFrame, lm: Any = None, *, count: str = "characters"
) -> Scores:
    """Measure every response.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    lm : ignored
    count : characters | words

    Returns
    -------
    (n_samples,) at least 1; higher means longer
    """
    if count not in COUNTS:
        cure = "Set `count:` under `indicators: output_length:` in the dataset card."
        raise unknown("count of output_length", count, COUNTS, cure)
    measure = COUNTS[count]
    return total(pool, lambda text: measure(text.strip()))

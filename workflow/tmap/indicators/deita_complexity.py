"""Complexity of the instruction, rated by a judge from 1 to 6.

Formula: as for `deita_quality`, with the form `complexity`, which shows only the question::

    probabilities of 1 and 2: 0.75, 0.25       1 x 0.75 + 2 x 0.25 = 1.25

Statuses are those of `deita_quality`; a row without a response is `empty` here too, because
it cannot be used for training.

Source: Liu et al. 2024, arXiv:2312.15685 (DEITA); TMAP Table 7, "DEITA Complexity". The
paper does not say which judge; the default card is DEITA's own scorer.
"""

from __future__ import annotations

import pandas as pd

from tmap.indicators import Scores, indicator
from tmap.indicators.scoring.ratings import digit_notes, expected_digit
from tmap.judges import Judge


@indicator(
    unit="rating 1-6",
    source="arXiv:2312.15685",
    looks_at="judge",
    form="complexity",
    notes=digit_notes,
)
def deita_complexity(
    pool: pd.DataFrame, lm: Judge, *, judge: str = "deita_complexity_scorer"
) -> Scores:
    """Rate every instruction.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    lm : the judge, with its form `complexity`
    judge : judge card that `lm` was made from

    Returns
    -------
    (n_samples,) in [1, 6]; higher means more complex
    """
    return expected_digit(pool, lm)

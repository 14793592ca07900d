"""Quality of the response, rated by a judge from 1 to 6.

Formula: the mean digit under the judge's probabilities of 1..6 as the first token of its
answer, with the softmax over these six only::

    probabilities of 4, 5, 6: 0.1, 0.6, 0.2, other digits 0, other tokens 0.1
    (4 x 0.1 + 5 x 0.6 + 6 x 0.2) / 0.9 = 5.111

A judge card sets the judge and its wording; the form is `quality`. For a local model, all
six log-probabilities are read. A server lists only its likeliest tokens: all six digits
must be among them, or those that are must have at least 0.99 of the probability; else the
row is `unparsable` (the source uses 3.0 instead). The table's metadata give the largest
error of a score (`largest_error`). `truncated` if the prompt does not fit into the judge's
context, `empty` without a question or response. For a chat of several turns, the first
exchange is rated; the source sums over turns, which favours long chats.

Source: Liu et al. 2024, arXiv:2312.15685 (DEITA); TMAP Table 7, "DEITA Quality". The
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
    form="quality",
    notes=digit_notes,
)
def deita_quality(
    pool: pd.DataFrame, lm: Judge, *, judge: str = "deita_quality_scorer"
) -> Scores:
    """Rate every response.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    lm : the judge, with its form `quality`
    judge : judge card that `lm` was made from

    Returns
    -------
    (n_samples,) in [1, 6]; higher means better
    """
    return expected_digit(pool, lm)

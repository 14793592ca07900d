"""Quality of the response, as a judge rates it from 1 to 6.

Formula: the mean digit under the judge's probabilities of 1..6 as the first token of its
answer, the softmax taken over these six alone::

    probabilities of 4, 5, 6: 0.1, 0.6, 0.2, other digits 0, other tokens 0.1
    (4 x 0.1 + 5 x 0.6 + 6 x 0.2) / 0.9 = 5.111

The judge and its words are a judge card, the form is `quality`. From a local model all
six log-probabilities are read. A server lists its likeliest tokens only: then the listed
digits must hold at least 0.99 of the probability, and the table's metadata say how far a
score may be off (`largest_error`); with less, a row is `unparsable`. The source puts 3.0
there, which we do not. `truncated` if the prompt does not fit the judge's context,
`empty` without a question or response. Of a chat of several turns, the first exchange is
rated; the source sums over turns, by which long chats win.

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

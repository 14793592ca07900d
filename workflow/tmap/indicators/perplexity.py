"""Perplexity of the response under the target model, given the prompt.

Formula: exp(mean negative log-likelihood in nats of the response's tokens), after the
zero-shot prompt that reward and evaluation use. The first response token counts; the end
of sequence does not::

    token probabilities 0.5, 0.25      (0.693 + 1.386) / 2 = 1.040      exp = 2.83

For a chat of several turns, the first exchange (the part that a demonstration shows) is
measured. Statuses: `empty` without a response, `truncated` if prompt and response do not
fit into the model's context together, `failed` if the result is not finite.

Source: TMAP Table 7, "Perplexity (PPL)".
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tmap.indicators import Scores, indicator
from tmap.indicators.scoring.losses import Scorer, exchange_ids, finite, mean_nll


@indicator(unit="perplexity", source="arXiv:2605.09665", looks_at="target")
def perplexity(pool: pd.DataFrame, lm: Scorer) -> Scores:
    """Measure how much every response surprises the model.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    lm : the target model and its renderer

    Returns
    -------
    (n_samples,) at least 1; higher means less expected
    """
    ids = exchange_ids(pool, lm.renderer)
    loss, status, _ = mean_nll(pool, lm, *ids)
    with np.errstate(over="ignore"):
        return finite(np.exp(loss), status)

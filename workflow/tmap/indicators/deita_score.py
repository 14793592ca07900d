"""Quality times complexity, DEITA's joint score.

Formula: the raw product of the two columns `deita_quality` and `deita_complexity`; a
method normalises the product, not the factors::

    quality 5.111, complexity 1.25       5.111 x 1.25 = 6.389

It asks no judge: it reads the two tables. A row that either table left unscored keeps that
table's status; if both did, that of quality wins. The product adds no information to the
two columns, only a preference for rows that are high in both.

Source: Liu et al. 2024, arXiv:2312.15685 (DEITA: "evol score"); TMAP Table 7, "DEITA
Score (Joint)".
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tmap.indicators import Scores, indicator

FACTORS = ("deita_quality", "deita_complexity")


@indicator(
    unit="rating^2, 1-36",
    source="arXiv:2312.15685",
    looks_at="columns",
    made_from=FACTORS,
)
def deita_score(pool: pd.DataFrame, lm: Mapping[str, pd.DataFrame]) -> Scores:
    """Multiply the two columns.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    lm : tables 'indicator' of the two factors, by name

    Returns
    -------
    (n_samples,) in [1, 36]; higher means better and more complex
    """
    quality, complexity = (
        lm[name].set_index("sample_id").loc[pool["sample_id"]] for name in FACTORS
    )
    status = quality["status"].where(quality["status"] != "ok", complexity["status"])
    product = quality["score"].to_numpy(np.float64) * complexity["score"].to_numpy()
    return Scores(product, status.to_numpy(object))

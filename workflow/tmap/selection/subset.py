"""Which samples are chosen, in which order, and why."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from tmap.artifacts import tables
from tmap.errors import TmapError
from tmap.selection import ranking
from tmap.selection.features import Features
from tmap.selection.filters import Sieve

logger = logging.getLogger(__name__)
ALL_ZERO = (
    "the product of the columns is 0 for some selected rows, so their order is "
    "arbitrary: a row that is lowest in one column has product 0, whatever its others are"
)


def choose(
    pool: pd.DataFrame,
    features: Features | None,
    weights: np.ndarray | None,
    fraction: float,
    seed: int,
    is_clean: np.ndarray | None = None,
    sieve: Sieve | None = None,
    multiply: bool = False,
) -> pd.DataFrame:
    """Table 'subset': the top M by weighted score, or M random rows without weights.

    Parameters
    ----------
    pool : table 'pool', N rows
    features : its normalised columns; None for a random subset
    weights : (K,) float64; None for a random subset
    fraction : M / N in [0, 1]
    seed : of the random subset
    is_clean : (N,) bool; the score is then 1 for clean rows and 0 for the others, which
        fill up if clean rows are too few: a reference, not a strict bound
    sieve : drops rows from the ranking
    multiply : score by the product of the columns; contributions are its factors
    """
    ties = ranking.tie_rank(pool["text_hash"], pool["sample_id"])
    n = ranking.n_selected(fraction, len(pool))
    n_ranked = len(pool) if sieve else n
    score = np.full(len(pool), np.nan)
    if is_clean is not None:
        score = is_clean.astype(float)
        rows = ranking.top(score, ties, n_ranked)
    elif features is None or weights is None:
        rows = ranking.random_rows(ties, n_ranked, seed)
    else:
        score = ranking.scores(features.matrix, weights)
        if multiply:
            score = ranking.product(features.matrix)
        rows = ranking.top(score, ties, n_ranked)
    if sieve:
        rows = sieve.pick(rows, n)
    given = np.empty((len(rows), 0))
    if features is not None and weights is not None:
        given = features.matrix[rows] * weights
    if multiply and len(rows) and score[rows[-1]] == 0:
        logger.warning(ALL_ZERO)
    return pd.DataFrame(
        {
            "sample_id": pool["sample_id"].to_numpy()[rows],
            "rank": np.arange(len(rows)),
            "score": score[rows],
            "contributions": list(given),
        }
    )


def clean_rows(pool: pd.DataFrame, labels: str) -> np.ndarray:
    """(N,) bool, which rows are known to be clean.

    Parameters
    ----------
    pool : table 'pool', N rows
    labels : pool_labels.parquet
    """
    if not labels:
        raise TmapError(
            "Weights 'oracle' need the known faults of a generated pool. Run `tmap "
            "label-pool` and name its table (--labels)."
        )
    known = tables.read("pool_labels", labels).set_index("sample_id")["is_clean"]
    return known.loc[pool["sample_id"]].to_numpy(dtype=bool)

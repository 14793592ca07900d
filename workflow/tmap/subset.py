"""Which samples are chosen, in which order, and why."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from tmap import selection, tables
from tmap.errors import TmapError
from tmap.features import Features
from tmap.sieve import Sieve

logger = logging.getLogger(__name__)
ALL_ZERO = (
    "the product of the columns is 0 for some rows that were taken, so their order is "
    "arbitrary: a row that is lowest in one column has product 0, whatever the others say"
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
    is_clean : (N,) bool; the score is then 1 for clean rows and 0 for others, which
        follow where there are too few: a reference, not a strict bound
    sieve : rows that may not be taken, in whatever order they come
    multiply : score by the product of the columns; contributions are its factors
    """
    ties = selection.tie_rank(pool["text_hash"], pool["sample_id"])
    n = selection.n_selected(fraction, len(pool))
    n_ranked = len(pool) if sieve else n
    score, parts = np.full(len(pool), np.nan), np.empty((len(pool), 0))
    if is_clean is not None:
        score = is_clean.astype(float)
        rows = selection.top(score, ties, n_ranked)
    elif features is None or weights is None:
        rows = selection.random_rows(ties, n_ranked, seed)
    else:
        score = selection.scores(features.matrix, weights)
        if multiply:
            score = selection.product(features.matrix)
        parts = features.matrix * weights
        rows = selection.top(score, ties, n_ranked)
    if sieve:
        rows = sieve.pick(rows, n)
    if multiply and len(rows) and score[rows[-1]] == 0:
        logger.warning(ALL_ZERO)
    return pd.DataFrame(
        {
            "sample_id": pool["sample_id"].to_numpy()[rows],
            "rank": np.arange(len(rows)),
            "score": score[rows],
            "contributions": list(parts[rows]),
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

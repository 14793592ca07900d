"""Which samples are chosen, in which order, and why."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tmap import parts, selection, tables
from tmap.errors import TmapError
from tmap.features import Features
from tmap.sieve import Sieve

logger = logging.getLogger(__name__)
ALL_ZERO = (
    "the product of the columns is 0 for some rows that were taken, so their order is "
    "arbitrary: a row that is lowest in one column has product 0, whatever the others say"
)


def weights_of(
    card: Mapping[str, Any], names: list[str], path: str, seed: int, part: str
) -> np.ndarray:
    """(K,) weights of a method, or of one of its sentinels, in the order of `names`.

    Parameters
    ----------
    card : `settings.select_subset`
    path : weights.json of a search, or sentinels.json of a sentinel; "" else
    seed : of weights that are drawn
    part : as `tmap.parts` reads it; "" of none
    """
    if part[:1] == "k":
        return parts.sentinel_weights(part, names, path)
    if card["weights"] == "drawn":
        return selection.drawn(card["bounds"], len(names), seed)
    return selection.read_weights(card["weights"], names, path)


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
    score = np.full(len(pool), np.nan)
    if is_clean is not None:
        score = is_clean.astype(float)
        rows = selection.top(score, ties, n_ranked)
    elif features is None or weights is None:
        rows = selection.random_rows(ties, n_ranked, seed)
    else:
        score = selection.scores(features.matrix, weights)
        if multiply:
            score = selection.product(features.matrix)
        rows = selection.top(score, ties, n_ranked)
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

"""Which samples are chosen, in which order, and why."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tmap.artifacts import tables
from tmap.errors import TmapError
from tmap.selection import filters, ranking, variants
from tmap.selection.features import Features, load
from tmap.selection.filters import Sieve
from tmap.selection.weights import weights_of

logger = logging.getLogger(__name__)
ALL_ZERO = (
    "the product of the columns is 0 for some selected rows, so their order is "
    "arbitrary: a row that is lowest in one column has product 0, whatever its others are"
)


@dataclass(frozen=True)
class Files:
    """What a selection reads; "" where it reads none.

    Attributes
    ----------
    columns : indicator tables, in the card's order
    """

    pool: Path
    columns: Sequence[Path] = ()
    weights: str = ""
    labels: str = ""
    embeddings: str = ""
    values: str = ""

    def __iter__(self) -> Iterator[str | Path]:
        named = (self.weights, self.labels, self.embeddings, self.values)
        return iter([self.pool, *named, *self.columns])


def select(
    card: Mapping[str, Any], files: Files, seed: int, part: str = ""
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Table 'subset' of a method, or of a part of it, and its notes.

    Parameters
    ----------
    card : `dag.params.select_subset`
    seed : of a random subset
    part : as `tmap.selection.variants` reads it; "" for the method's own subset
    """
    pool = tables.read("pool", files.pool, ["sample_id", "text_hash"])
    loaded, vector, clean, worth = None, None, None, None
    if card["weights"] == "oracle":
        clean = clean_rows(pool, files.labels)
    elif card["weights"] != "random":
        how = {key: card[key] for key in ("normalise", "max_unscored")}
        loaded = load(pool["sample_id"], files.columns, **how)
        if files.values and part[:1] != "k":
            worth = values_of(pool, files.values)
        else:
            vector = weights_of(card, loaded.names, files.weights, seed, part)
    sieve = filters.load(card["filter"], pool, files.columns, files.embeddings)
    fraction = variants.fraction(part, card["fraction"], len(pool))
    product = card["weights"] == "product"
    chosen = choose(pool, loaded, vector, fraction, seed, clean, sieve, product, worth)
    return chosen, {
        "indicators": card["indicators"],
        "fraction": fraction,
        "weights": None if vector is None else vector.tolist(),
        "warnings": ([] if loaded is None else list(loaded.warnings)) + sieve.warnings,
        "filter": {
            **card["filter"],
            "dropped": sieve.dropped,
            "compared": sieve.compared,
        },
    }


def choose(
    pool: pd.DataFrame,
    features: Features | None,
    weights: np.ndarray | None,
    fraction: float,
    seed: int,
    is_clean: np.ndarray | None = None,
    sieve: Sieve | None = None,
    multiply: bool = False,
    values: np.ndarray | None = None,
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
    values : (N,) the score itself, which has no contributions; weights then mean nothing
    """
    ties = ranking.tie_rank(pool["text_hash"], pool["sample_id"])
    n = ranking.n_selected(fraction, len(pool))
    n_ranked = len(pool) if sieve else n
    score = np.full(len(pool), np.nan)
    if is_clean is not None:
        score = is_clean.astype(float)
        rows = ranking.top(score, ties, n_ranked)
    elif values is not None:
        score = values
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


def values_of(pool: pd.DataFrame, values: str) -> np.ndarray:
    """(N,) float64, the value of each row of table 'pool', from values.parquet.

    Raises
    ------
    TmapError : it values other rows
    """
    found = tables.read("values", values).set_index("sample_id")["value"]
    if set(found.index) != set(pool["sample_id"]):
        raise TmapError(
            f"{values} values other rows than the pool has; it must value each of the "
            f"{len(pool)} once. Run `tmap search-groups` again."
        )
    return found.loc[pool["sample_id"]].to_numpy(dtype=float)


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

"""Decide which ranked rows may be selected: the `filter:` of a method card.

The filter first drops rows whose raw score is not below a limit (`below: {ifd: 1.0}`, as
in Superfiltering: an IFD of 1 or more means that the instruction misleads), then rows too
similar to a better one (`diversity: 0.9`, DEITA's rule). M remains a share of the whole
pool, so that methods are compared at equal size. The sources differ: Cherry LLM takes a
share of the rows that are left, Superfiltering a number set in its code.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tmap.artifacts import tables
from tmap.embeddings import embed, index
from tmap.errors import TmapError

logger = logging.getLogger(__name__)


class Sieve:
    """Drops rows from a ranking.

    Parameters
    ----------
    allowed : (N,) bool, rows that pass the limits
    vectors : (N, d) float32 of length 1; None without a diversity filter
    threshold : cosine similarity above which a row is dropped

    Attributes
    ----------
    dropped : number of rows dropped by each filter, among those examined
    compared : how rows were compared (`embeddings.index`); empty without a diversity filter
    warnings : sentences to print and to keep
    """

    def __init__(
        self,
        allowed: np.ndarray,
        vectors: np.ndarray | None = None,
        threshold: float = 1.0,
    ) -> None:
        self.allowed, self.vectors, self.threshold = allowed, vectors, threshold
        self.dropped: dict[str, int] = {}
        self.compared: dict[str, Any] = {}
        self.warnings: list[str] = []

    def pick(self, ranked: np.ndarray, n: int) -> np.ndarray:
        """The first n of `ranked` (row numbers, best first) that pass the filters."""
        left = ranked[self.allowed[ranked]]
        self.dropped["below"] = len(ranked) - len(left)
        if self.vectors is not None:
            kept, self.compared = index.diverse(self.vectors[left], self.threshold, n)
            seen = int(kept[-1]) + 1 if len(kept) == n > 0 else len(left)
            self.dropped["diversity"] = seen - len(kept)
            left = left[kept]
        if n and not len(left):
            dropped = ", ".join(f"{k}: {v}" for k, v in self.dropped.items())
            raise TmapError(
                f"The filters leave none of {len(ranked)} rows ({dropped}), so there is "
                "nothing to train on. Raise the limits of `filter:` in the method card; "
                "`below:` keeps rows whose score is lower, and an unscored row is never."
            )
        if len(left) < n:
            self.warnings.append(
                f"the filters leave {len(left)} of the {n} rows requested: the subset "
                "is smaller than those it is compared with"
            )
            logger.warning(self.warnings[-1])
        return left[:n]


def load(
    card: Mapping[str, Any],
    pool: pd.DataFrame,
    columns: Sequence[Path],
    vectors: str = "",
) -> Sieve:
    """The sieve of a method card; it drops nothing if the card has no `filter:`.

    Parameters
    ----------
    card : `below` and `diversity` of `filter:`
    pool : table 'pool', N rows
    columns : tables 'indicator' of the method, named {indicator}.parquet
    vectors : table 'embeddings' of the conversations, for a diversity filter
    """
    files = {Path(path).stem: path for path in columns}
    allowed = np.ones(len(pool), dtype=bool)
    for name, limit in card["below"].items():
        raw = tables.read("indicator", files[name]).set_index("sample_id")["score"]
        # Unscored rows are NaN, which is below nothing.
        allowed &= raw.loc[pool["sample_id"]].to_numpy() < limit
    if card["diversity"] is None:
        return Sieve(allowed)
    if not vectors:
        raise TmapError(
            "A diversity filter compares embeddings, but none were given. Run `tmap "
            "embed-pool` and name its table (--embeddings)."
        )
    rows = embed.rows_of(vectors, pool["sample_id"])
    return Sieve(allowed, rows, card["diversity"])

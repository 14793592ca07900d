"""Select from each round's candidates, ranked below the choices of earlier rounds.

Source: EvoSelect's loop (docs/explanation/paper.md). `tmap.data.generate` writes the
candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from tmap.artifacts.schemas import SCHEMAS
from tmap.artifacts.tables import read
from tmap.selection import features
from tmap.selection.subset import choose
from tmap.selection.weights import read_weights


class Chosen(NamedTuple):
    """The rows chosen so far: table 'subset', and the same rows as table 'pool'."""

    subset: pd.DataFrame
    rows: pd.DataFrame
    weights: list[float] | None = None
    warnings: Sequence[str] = ()

    @classmethod
    def read(cls, files: Sequence[str | Path]) -> Chosen:
        """Read the two files of a round; empty if there are no files."""
        kinds = ("subset", "pool")
        if not files:
            return cls(*(pd.DataFrame(columns=list(SCHEMAS[k].columns)) for k in kinds))
        return cls(*(read(k, path) for k, path in zip(kinds, files, strict=True)))


def select(
    pool: pd.DataFrame,
    columns: Sequence[Path],
    card: Mapping[str, Any],
    seed: int,
    before: Chosen,
) -> Chosen:
    """The best of a round's candidates, ranked below the choices of earlier rounds.

    Parameters
    ----------
    pool : table 'pool', this round's candidates
    columns : its indicator tables, in the order of the card; none for random weights
    card : `settings.select_round`
    seed : of a random subset
    before : the choice after the previous round
    """
    loaded, vector = None, None
    if card["weights"] != "random":
        how = {"normalise": card["normalise"], "max_unscored": card["max_unscored"]}
        loaded = features.load(pool["sample_id"], columns, **how)
        vector = read_weights(card["weights"], loaded.names)
    new = choose(pool, loaded, vector, card["fraction"], seed)
    new["rank"] += len(before.subset)
    rows = pool.set_index("sample_id", drop=False).loc[new["sample_id"]]
    return Chosen(
        pd.concat([before.subset, new], ignore_index=True),
        pd.concat([before.rows, rows], ignore_index=True),
        None if vector is None else vector.tolist(),
        [] if loaded is None else loaded.warnings,
    )

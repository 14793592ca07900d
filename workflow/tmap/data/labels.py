"""Known faults of a generated pool."""

from __future__ import annotations

import pandas as pd

from tmap import worlds
from tmap.cards.dataset import PoolSource
from tmap.errors import TmapError


def read(dataset: str, source: PoolSource, sample_ids: pd.Series) -> pd.DataFrame:
    """Table 'pool_labels', in the order of the pool.

    Parameters
    ----------
    dataset : card name, for messages
    source : `pool:` of the card
    sample_ids : of the pool's rows

    Raises
    ------
    TmapError
        The pool was not generated here, so its faults are unknown.
    """
    if not source.world:
        raise TmapError(
            f"The faults in the pool of '{dataset}' are unknown; only a pool with "
            "`world:` has labels. Use method oracle with a dataset like arith."
        )
    known = pd.DataFrame(worlds.rows(source.world, "labels", source.seed))
    known = known.rename(columns={"id": "sample_id"})
    return known.set_index("sample_id").loc[sample_ids].reset_index()

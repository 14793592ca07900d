"""Gradient vectors, each paid for only once: write-once parts, keyed by the request.

    results/store/gradients/4f/part-01763...-9c1e.parquet      key, norm, vector

Like `tmap.store.measurements`, which is for JSON values, with the same root and the same
kind of key. All vectors would not fit into memory: a look-up reads only the keys, and
reading goes one part at a time.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tmap.artifacts import tables
from tmap.artifacts.provenance import fingerprint
from tmap.errors import TmapError
from tmap.jobs import attempts
from tmap.store.measurements import WHAT, WHO, digest, root

logger = logging.getLogger(__name__)


def key(who: Any, request: Any) -> str:
    """40 hex digits: 8 for who is asked, 32 for who and what."""
    return digest(who)[:WHO] + digest([who, request])[:WHAT]


class VectorStore:
    """Vectors of one kind.

    Parameters
    ----------
    kind : folder under the root
    place : default: `tmap.store.measurements.root()`
    """

    def __init__(self, kind: str, place: str | Path | None = None) -> None:
        self.folder = Path(place or root()) / kind
        self._seen: set[Path] = set()
        self._where: dict[str, tuple[Path, int]] = {}

    def known(self, keys: Iterable[str]) -> set[str]:
        """The keys that are stored."""
        wanted = set(keys)
        for shelf in {key[:2] for key in wanted}:
            for path in sorted((self.folder / shelf).glob("part-*.parquet")):
                if path not in self._seen:
                    self._seen.add(path)
                    self._look(path)
        return wanted & self._where.keys()

    def read(
        self, keys: Sequence[str], column: str
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The stored values of these keys, part after part; each part is read once.

        Parameters
        ----------
        keys : stored ones, in any order
        column : norm | vector

        Yields
        ------
        (k,) positions among `keys`, and (k,) norms or (k, dim) float16 vectors of them
        """
        wanted: dict[Path, list[tuple[int, int]]] = {}
        for at, key in enumerate(keys):
            if key not in self._where:
                raise _lost(self.folder)
            path, row = self._where[key]
            wanted.setdefault(path, []).append((at, row))
        for path, pairs in wanted.items():
            at, rows = np.array(pairs).T
            try:
                part = tables.column("vectors", path, column)
            except TmapError:  # removed or damaged since `known` looked
                raise _lost(self.folder) from None
            yield at, np.stack(part.take(pa.array(rows)).to_numpy())

    def put(
        self,
        keys: Sequence[str],
        vectors: np.ndarray,
        norms: np.ndarray,
        asked: Mapping[str, Any],
    ) -> None:
        """Write a part, on disk when this returns; all keys belong to one model.

        `asked` tells `tmap store-gc` whose vectors they are: card and revision.
        """
        name = f"part-{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.parquet"
        frame = pd.DataFrame({"key": list(keys), "norm": norms})
        frame["vector"] = list(vectors.astype(np.float16))
        tables.write(
            "vectors",
            frame,
            self.folder / keys[0][:2] / name,
            code=fingerprint("tmap.store.vectors"),
            asked={keys[0][:WHO]: dict(asked)},
        )
        attempts.kept()

    def _look(self, path: Path) -> None:
        try:
            keys = tables.column("vectors", path, "key")
        except TmapError as fault:
            logger.warning("%s is not readable (%s): it is left out", path, fault)
            return
        for row, key in enumerate(keys.to_pylist()):
            self._where.setdefault(key, (path, row))


def _lost(folder: Path) -> TmapError:
    return TmapError(
        f"Vectors that this job needs are no longer in {folder}; each must be there when "
        "it is read. Another job or a clean-up removed them. Run the same command again: "
        "it measures what is missing."
    )

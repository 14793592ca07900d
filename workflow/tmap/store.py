"""Raw measurements that were paid for once: write-once parts, keyed by the exact request.

    results/store/digits/4f/part-01763...-9c1e.parquet      key, request, reply

The store holds what a model said (log-probabilities, texts), never scores: another
formula or parse rule costs no GPU second and no API call. A key begins with who was
asked, so a judge's parts lie on one shelf, `{xx}`, the first two digits of its keys. It
is not an `output:` of a rule: Snakemake would delete it with a failed job. Safe to share
between jobs, also over NFS: parts are renamed into place whole and never changed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tmap import attempts, tables
from tmap.provenance import fingerprint

logger = logging.getLogger(__name__)
#: Environment variable that names another root; a place changes no number.
ROOT = "TMAP_STORE"
WHO, WHAT = 8, 32


class Entry(NamedTuple):
    """One measurement; request and reply are what JSON can hold."""

    key: str
    request: Any
    reply: Any


def key(who: Any, request: Any) -> str:
    """40 hex digits: 8 of who is asked and how, 32 of what it is asked.

    Parameters
    ----------
    who : model revision, adapter, dtype, engine and its version, decoding options
    request : token ids or messages, as they are sent
    """
    # The second part covers both: eight digits alone might collide.
    return digest(who)[:WHO] + digest([who, request])[:WHAT]


def digest(value: Any) -> str:
    """SHA-256 over canonical JSON, 64 hex digits."""
    return hashlib.sha256(_json(value).encode()).hexdigest()


class Store:
    """Measurements of one kind.

    Parameters
    ----------
    kind : folder under the root, such as "digits"
    root : default: `$TMAP_STORE`, else results/store below the working directory
    """

    def __init__(self, kind: str, root: str | Path | None = None) -> None:
        base = Path(root or os.environ.get(ROOT) or "results/store")
        self.folder = base / kind
        self._read: set[Path] = set()
        self._replies: dict[str, str] = {}

    def get(self, keys: Iterable[str]) -> dict[str, Any]:
        """Replies to those keys that are stored; of two, the earlier part's."""
        wanted = list(dict.fromkeys(keys))
        for shelf in sorted({name[:2] for name in wanted}):
            self._look(self.folder / shelf)
        known = self._replies
        return {name: json.loads(known[name]) for name in wanted if name in known}

    def put(self, entries: Sequence[Entry]) -> None:
        """Write entries, on disk when this returns; one part per shelf."""
        shelves: dict[str, list[Entry]] = {}
        for entry in entries:
            shelves.setdefault(entry.key[:2], []).append(entry)
        for shelf, here in sorted(shelves.items()):
            rows = [(e.key, _json(e.request), _json(e.reply)) for e in here]
            frame = pd.DataFrame(rows, columns=["key", "request", "reply"])
            # Sorted by name, parts stand in the order of their writing.
            name = f"part-{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.parquet"
            tables.write(
                "measurements",
                frame,
                self.folder / shelf / name,
                code=fingerprint("tmap.store"),
            )
        if entries:
            attempts.kept()

    def _look(self, shelf: Path) -> None:
        """Take in the parts of a shelf that were not read before."""
        for path in sorted(shelf.glob("part-*.parquet")):
            if path in self._read:
                continue
            self._read.add(path)
            for name, reply in _columns(path, "key", "reply"):
                self._replies.setdefault(name, reply)


def read_part(path: Path) -> list[tuple[str, str]]:
    """(request, reply) of a part, as JSON texts."""
    return _columns(path, "request", "reply")


def _columns(path: Path, *names: str) -> list[tuple]:
    """Rows of these columns; a broken file is a warning."""
    try:
        table = pq.read_table(path, columns=list(names), partitioning=None)
    except (pa.ArrowInvalid, OSError) as fault:
        logger.warning("%s is not readable (%s): its rows are left out", path, fault)
        return []
    return list(zip(*(table.column(name).to_pylist() for name in names), strict=True))


def _json(value: Any) -> str:
    # ASCII: half surrogates and control characters travel as escapes.
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))

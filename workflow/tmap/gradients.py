"""Gradients of samples and target questions, measured once and kept in the store.

A row of a pool, or a target question with its answer, is a conversation; `tmap.proxy`
turns it into one vector per checkpoint. What is measured goes into the store part by
part, so a job that was killed continues, and rows that join a pool are measured alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tmap.files import atomic
from tmap.log import Progress
from tmap.proxy import Proxy, digest_of
from tmap.samples import Turn
from tmap.store import key
from tmap.training.rows import Row
from tmap.vector_store import VectorStore

logger = logging.getLogger(__name__)
#: Rows per part of the store: what a kill can cost.
CHUNK = 256


@dataclass(frozen=True)
class Vectors:
    """What was measured of some rows, in their order.

    Attributes
    ----------
    table : table 'gradients'
    shape : (n_checkpoints, n_rows, dim)
    blocks : (some rows, dim) float16, checkpoint after checkpoint; 0 where a row has none
    """

    table: pd.DataFrame
    shape: tuple[int, int, int]
    blocks: Iterator[np.ndarray]

    def write(self, path: str | Path) -> None:
        """Write all vectors as one .npy array of this shape, block by block."""
        with atomic(path) as temporary, open(temporary, "wb") as file:
            about = {"descr": "<f2", "fortran_order": False, "shape": self.shape}
            np.lib.format.write_array_header_1_0(file, about)
            for block in self.blocks:
                file.write(block.astype("<f2").tobytes())


def measure(
    proxy: Proxy,
    ids: Sequence[str],
    chats: Sequence[Sequence[Turn]],
    *,
    adam: bool,
    store: VectorStore,
) -> Vectors:
    """Measure what the store lacks, then give all of it back.

    Parameters
    ----------
    ids : of the rows, unique
    chats : their conversations
    adam : candidates' form rather than questions'
    """
    encoded = [proxy.row(turns) for turns in chats]
    rows = [row for row, _ in encoded]
    status = np.array([status for _, status in encoded], dtype=object)
    usable = np.flatnonzero(status != "empty").tolist()
    # One order for the model, whatever the pool's: batches, and so bits, are the same.
    order = sorted(usable, key=lambda i: (-len(rows[i].input_ids), ids[i]))
    norms = np.zeros((len(rows), len(proxy.checkpoints)))
    names = []
    for number, checkpoint in enumerate(proxy.checkpoints):
        who = [*proxy.who, digest_of(checkpoint), adam]
        keys = [key(who, [row.input_ids, row.labels]) for row in rows]
        chosen = [rows[i] for i in order], [keys[i] for i in order]
        _fill(proxy, number, *chosen, adam, store)
        norms[order, number] = _norms(chosen[1], store)
        names.append(keys)
    sound = (np.isfinite(norms) & (norms > 0)).all(axis=1)
    status[(status != "empty") & ~sound] = "failed"
    table = pd.DataFrame(
        {
            "id": list(ids),
            "norm": list(np.where(np.isfinite(norms), norms, 0.0)),
            "n_tokens": [row.n_loss_tokens for row in rows],
            "status": status,
        }
    )
    there = np.isin(status, ("ok", "truncated"))
    shape = (len(names), len(rows), proxy.projection.dim)
    return Vectors(table, shape, _blocks(names, there, shape, store))


def _fill(
    proxy: Proxy,
    number: int,
    rows: Sequence[Row],
    keys: Sequence[str],
    adam: bool,
    store: VectorStore,
) -> None:
    """Measure and store what is missing, in order: a killed run forms the same chunks."""
    known = store.known(keys)
    missing = [i for i, name in enumerate(keys) if name not in known]
    logger.info(
        "gradients: checkpoint %d, %d of %d rows to measure",
        number,
        len(missing),
        len(keys),
    )
    proxy.set(number)
    progress = Progress("gradients", len(missing), "rows")
    for start in range(0, len(missing), CHUNK):
        chunk = missing[start : start + CHUNK]
        sizes = [len(rows[i].input_ids) for i in chunk]
        parts = [
            proxy.vectors(number, [rows[chunk[k]] for k in batch], adam)
            for batch in batches(sizes, proxy.batch_tokens)
        ]
        found, norms = (np.concatenate(part) for part in zip(*parts, strict=True))
        store.put([keys[i] for i in chunk], found, norms)
        progress.advance(len(chunk))
    store.known(keys)


def batches(lengths: Sequence[int], most: int) -> list[range]:
    """Stretches of rows, longest first, that padded take at most `most` tokens.

    A row longer than that is a batch of its own.
    """
    found, start = [], 0
    while start < len(lengths):
        n = max(1, most // lengths[start])
        found.append(range(start, min(start + n, len(lengths))))
        start += n
    return found


def _blocks(
    names: Sequence[Sequence[str]],
    there: np.ndarray,
    shape: tuple[int, int, int],
    store: VectorStore,
) -> Iterator[np.ndarray]:
    """(some rows, dim) float16 in order, checkpoint after checkpoint; 0 where missing."""
    for keys in names:
        for start in range(0, shape[1], CHUNK):
            rows = np.arange(start, min(start + CHUNK, shape[1]))
            block = np.zeros((len(rows), shape[2]), dtype=np.float16)
            good = rows[there[rows]]
            if len(good):
                block[good - start] = store.get([keys[i] for i in good])[0]
            yield block


def _norms(keys: Sequence[str], store: VectorStore) -> np.ndarray:
    starts = range(0, len(keys), CHUNK)
    parts = [store.get(keys[start : start + CHUNK])[1] for start in starts]
    return np.concatenate([np.empty(0), *parts])

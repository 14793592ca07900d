"""Gradients of samples and target questions, measured once and kept in the store.

A row of a pool, or a target question with its answer, is a conversation;
`tmap.gradients.proxy` turns it into one vector per checkpoint. Measurements are stored
part by part, so a killed job can continue, and only new rows of a pool are measured.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from tmap.artifacts.files import atomic
from tmap.gradients.proxy import Proxy, digest_of
from tmap.jobs.log import Progress
from tmap.prompts.conversation import Spoken
from tmap.store.shards import WHOLE, Share
from tmap.store.vectors import VectorStore, key
from tmap.training.rows import Row

logger = logging.getLogger(__name__)
#: Rows per part of the store: the most that a kill can lose.
CHUNK = 256


@dataclass(frozen=True)
class Vectors:
    """The measurements of some rows, in their order.

    Attributes
    ----------
    table : table 'gradients'
    shape : (n_checkpoints, n_rows, dim)
    parts : number of a checkpoint, (k,) positions of rows and their (k, dim) float16
        vectors, in the order of the store; vectors that are missing are 0
    """

    table: pd.DataFrame
    shape: tuple[int, int, int]
    parts: Iterator[tuple[int, np.ndarray, np.ndarray]]

    def write(self, path: str | Path) -> None:
        """Write all vectors as one .npy array of this shape, each in its place."""
        width = 2 * self.shape[2]
        with atomic(path) as temporary, open(temporary, "wb") as file:
            about = {"descr": "<f2", "fortran_order": False, "shape": self.shape}
            np.lib.format.write_array_header_1_0(file, about)
            first = file.tell()
            # Written, not mapped: a full disk raises an error, but kills a mapping.
            file.truncate(first + width * self.shape[0] * self.shape[1])
            for number, rows, vectors in self.parts:
                for row, vector in zip(rows.tolist(), vectors, strict=True):
                    file.seek(first + width * (number * self.shape[1] + row))
                    file.write(vector.astype("<f2").tobytes())


class Encoded(NamedTuple):
    """Rows in training form, their statuses, and the order of measurement."""

    rows: list[Row]
    status: np.ndarray
    order: list[int]


def encode(proxy: Proxy, chats: Sequence[Sequence[Spoken]]) -> Encoded:
    """Encode conversations for the proxy.

    Parameters
    ----------
    chats : conversations, one per row
    """
    pairs = [proxy.row(turns) for turns in chats]
    rows = [row for row, _ in pairs]
    status = np.array([status for _, status in pairs], dtype=object)
    usable = np.flatnonzero(status != "empty").tolist()
    # One order for the model, independent of the pool's, for equal batches and bits.
    order = sorted(usable, key=lambda i: (-len(rows[i].input_ids), *rows[i]))
    return Encoded(rows, status, order)


def measure(
    proxy: Proxy,
    given: Encoded,
    *,
    adam: bool,
    store: VectorStore,
    share: Share = WHOLE,
) -> list[list[str]]:
    """Measure the rows of this job's share that the store lacks.

    Parameters
    ----------
    given : from `encode`
    adam : use the form for candidates, not that for questions
    share : of the pieces into which all jobs cut the rows

    Returns
    -------
    [n_checkpoints][n_rows] keys of the store
    """
    found = []
    for number, checkpoint in enumerate(proxy.checkpoints):
        who = [*proxy.who, digest_of(checkpoint), adam]
        keys = [key(who, [row.input_ids, row.labels]) for row in given.rows]
        known = store.known(keys)
        starts = range(0, len(given.order), CHUNK)
        cut = [given.order[start : start + CHUNK] for start in starts]
        pieces = [
            [i for i in piece if keys[i] not in known] for piece in share.take(cut)
        ]
        n = sum(map(len, pieces))
        logger.info("gradients: checkpoint %d, %d rows to measure", number, n)
        proxy.set(number)
        progress = Progress("gradients", n, "rows")
        for piece in filter(None, pieces):
            vectors, norms = _vectors(
                proxy, number, [given.rows[i] for i in piece], adam
            )
            store.put([keys[i] for i in piece], vectors, norms, proxy.asked)
            progress.advance(len(piece))
        found.append(keys)
    return found


def gather(
    given: Encoded,
    ids: Sequence[str],
    keys: Sequence[Sequence[str]],
    dim: int,
    store: VectorStore,
) -> Vectors:
    """Collect the measurements of this job and of others.

    Parameters
    ----------
    given, keys : from `encode` and `measure`
    ids : of the rows
    dim : of a vector
    """
    norms = np.zeros((len(given.rows), len(keys)))
    order = np.array(given.order, dtype=int)
    for number, names in enumerate(keys):
        store.known(names)
        for at, found in store.read([names[i] for i in order], "norm"):
            norms[order[at], number] = found
    sound = (np.isfinite(norms) & (norms > 0)).all(axis=1)
    status = given.status.copy()
    status[(status != "empty") & ~sound] = "failed"
    table = pd.DataFrame(
        {
            "id": list(ids),
            "norm": list(np.where(np.isfinite(norms), norms, 0.0)),
            "n_tokens": [row.n_loss_tokens for row in given.rows],
            "status": status,
        }
    )
    there = np.flatnonzero(np.isin(status, ("ok", "truncated")))
    shape = (len(keys), len(given.rows), dim)
    return Vectors(table, shape, _parts(keys, there, store))


def _vectors(
    proxy: Proxy, number: int, rows: Sequence[Row], adam: bool
) -> tuple[np.ndarray, np.ndarray]:
    cut = batches([len(row.input_ids) for row in rows], proxy.batch_tokens)
    parts = [proxy.vectors(number, [rows[i] for i in batch], adam) for batch in cut]
    vectors, norms = (np.concatenate(part) for part in zip(*parts, strict=True))
    return vectors, norms


def batches(lengths: Sequence[int], most: int) -> list[range]:
    """Stretches of rows, longest first, that take at most `most` tokens with padding.

    A row longer than that is a batch of its own.
    """
    found, start = [], 0
    while start < len(lengths):
        n = max(1, most // lengths[start])
        found.append(range(start, min(start + n, len(lengths))))
        start += n
    return found


def _parts(
    keys: Sequence[Sequence[str]], there: np.ndarray, store: VectorStore
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Vectors of the rows that have one, checkpoint after checkpoint."""
    for number, names in enumerate(keys):
        for at, vectors in store.read([names[i] for i in there], "vector"):
            yield number, there[at], vectors

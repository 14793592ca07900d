"""Embed the texts of a pool, for nearest neighbours and diversity.

There are two texts of a row for two uses: `question` (MIWV, Nuggets), and `conversation`,
all its turns with a blank line between them (the diversity filter). `reward` are the reward
questions (the tiny set without a history). The last hidden states are pooled to the `first`
token (BERT-like encoders), the `last` token (causal models; DEITA's), the `mean` over all
tokens, or as a sentence-transformers model does it (`own`). Texts are embedded as they
are, without a prompt template; only `own` adds the prompt that the model's folder names.
"""

from __future__ import annotations

import logging
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
import pandas as pd

from tmap.artifacts import tables
from tmap.artifacts.files import atomic
from tmap.embeddings import neighbours
from tmap.errors import TmapError, unknown
from tmap.jobs import attempts
from tmap.jobs.log import Progress
from tmap.prompts.conversation import question_of, turns_of
from tmap.store.measurements import digest

logger = logging.getLogger(__name__)
Text = Literal["question", "conversation", "reward"]
Pooling = Literal["first", "last", "mean", "own"]
#: Texts that are embedded between two writes: the most that a kill can lose.
PIECE = 1024
#: Texts of a pool's rows.
TEXTS_OF_ROWS: tuple[Text, ...] = ("question", "conversation")
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)


class Encoder(Protocol):
    """Turns texts into vectors."""

    def encode(
        self, texts: Sequence[str], pooling: Pooling
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `tmap.embeddings.encoder.HiddenStateEncoder.encode`."""


class Kept:
    """An encoder whose vectors survive a killed job: written to disk piece by piece.

    Parameters
    ----------
    encoder : computes what is missing
    who : everything that can change a vector, except text and pooling
    folder : for the pieces; the caller removes it at the end
    """

    def __init__(self, encoder: Encoder, who: Any, folder: Path) -> None:
        self.encoder, self.who, self.folder = encoder, who, folder

    def encode(
        self, texts: Sequence[str], pooling: Pooling
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `tmap.embeddings.encoder.HiddenStateEncoder.encode`."""
        found = []
        progress = Progress("embed", len(texts))
        for start in range(0, max(1, len(texts)), PIECE):
            piece = texts[start : start + PIECE]
            found.append(self._encode(piece, pooling))
            progress.advance(len(piece))
        vectors, n_tokens, status = map(np.concatenate, zip(*found, strict=True))
        return vectors, n_tokens, status.astype(object)

    def _encode(
        self, texts: Sequence[str], pooling: Pooling
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        path = self.folder / f"{digest([self.who, pooling, list(texts)])}.npz"
        if (kept := _kept(path, len(texts))) is not None:
            return kept
        vectors, n_tokens, status = self.encoder.encode(texts, pooling)
        status = status.astype(str)  # objects would be pickled
        with atomic(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, vectors=vectors, n_tokens=n_tokens, status=status)
        attempts.kept()
        return vectors, n_tokens, status


def _kept(path: Path, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The arrays of a piece of n texts; None if there is none, or it is damaged."""
    if not path.exists():
        return None
    try:
        with np.load(path) as file:
            kept = file["vectors"], file["n_tokens"], file["status"]
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
        kept = None
    if kept is None or {len(part) for part in kept} != {n}:
        logger.warning("%s is damaged, so its texts are embedded again", path)
        return None
    return kept


def embed(
    pool: pd.DataFrame, encoder: Encoder, text: Text, pooling: Pooling
) -> pd.DataFrame:
    """Table 'embeddings' of one pool, in its order.

    Parameters
    ----------
    pool : table 'pool'
    encoder : the loaded model
    text : question | conversation | reward (rows are questions)
    pooling : first | last | mean | own
    """
    # One order for the model, independent of the pool's, for equal batches and bits.
    order = np.argsort(pool["sample_id"].to_numpy(dtype=str), kind="stable")
    rows = pool.to_dict("records")
    texts = [_text(rows[i], text) for i in order]
    vectors, n_tokens, status = encoder.encode(texts, pooling)
    back = np.argsort(order)
    return pd.DataFrame(
        {
            "sample_id": pool["sample_id"].to_numpy(),
            "embedding": list(vectors[back]),
            "n_tokens": n_tokens[back],
            "status": status[back],
        }
    )


def as_rows(questions: pd.DataFrame) -> pd.DataFrame:
    """Table 'questions' in the form of a pool, for `embed`."""
    ids = questions["question_id"].to_numpy()
    asked = questions["question"].to_numpy()
    columns = {"sample_id": ids, "instruction": asked, "input": "", "response": ""}
    return pd.DataFrame(columns | {"turns": None})


def _text(row: dict, text: Text) -> str:
    if text != "conversation":
        return question_of(row).strip()
    return "\n\n".join(turn.content.strip() for turn in turns_of(row)).strip()


def check_pooling(pooling: str, where: str) -> None:
    """Refuse an unknown pooling; `where` names the card to fix."""
    if pooling not in POOLINGS:
        raise unknown("pooling", pooling, POOLINGS, f"Set `pooling:` {where}.")


def unit_rows(frame: pd.DataFrame, sample_ids: Sequence[str]) -> np.ndarray:
    """The vectors of these samples, (n, d) float32 of length 1, in their order.

    Raises
    ------
    TmapError
        If the table lacks one of them.
    """
    known = frame.set_index("sample_id")["embedding"]
    wanted = pd.Index(sample_ids)
    missing = wanted.difference(known.index)
    if len(missing):
        raise TmapError(
            f"The embeddings lack {len(missing)} samples of the pool (first: "
            f"'{missing[0]}'); each must have one. Delete the file and build it again."
        )
    if not len(wanted):
        return np.empty((0, 0), dtype=np.float32)
    return neighbours.unit(np.stack(known.loc[wanted].to_numpy()))


def rows_of(path: str | Path, sample_ids: Sequence[str]) -> np.ndarray:
    """As `unit_rows`, of a table on disk."""
    return unit_rows(read(path), sample_ids)


def read(path: str | Path) -> pd.DataFrame:
    """Table 'embeddings', without the columns that are only for people."""
    return tables.read("embeddings", path, ["sample_id", "embedding"])

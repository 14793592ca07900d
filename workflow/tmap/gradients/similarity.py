"""Similarity of projected gradients of candidates and questions (`less`, `evoselect`).

With eta_c the relative learning rate of checkpoint c (they add up to 1) and gradients of
length 1, the similarity of candidate i and question j is the mean cosine

    s_ij = sum_c eta_c <g_ci, h_cj>

which is also the inner product of the vectors (sqrt(eta_1) g_1i, sqrt(eta_2) g_2i, ...).
Candidates are read from disk in blocks: no more than one block is in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from tmap.artifacts import machine, tables
from tmap.artifacts.files import broken, missing
from tmap.errors import TmapError

#: Candidates per block.
BLOCK = 4096
USABLE = ("ok", "truncated")


@dataclass(frozen=True)
class Features:
    """Gradients of one pool and of the target questions.

    Attributes
    ----------
    candidates, targets : tables 'gradients'
    subtasks : of each question
    rates : (n_checkpoints,) eta
    paths : .npy files of candidates and of targets, (n_checkpoints, n, dim) float16
    """

    candidates: pd.DataFrame
    targets: pd.DataFrame
    subtasks: Sequence[str]
    rates: np.ndarray
    paths: tuple[Path, Path]

    def similarities(self, rows: np.ndarray, questions: np.ndarray) -> np.ndarray:
        """(n_rows, n_questions) float64 in about [-1, 1], for these positions."""
        found = np.zeros((len(rows), len(questions)))
        aims = mapped(self.paths[1])
        for number, at, block in self._blocks(rows):
            aim = aims[number, questions].astype(np.float32)
            found[at] += self.rates[number] * (block @ aim.T)
        return found

    def mean(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(n_checkpoints, dim) float32, sum_i p_i g_i at every checkpoint."""
        shape = mapped(self.paths[0]).shape
        total = np.zeros((shape[0], shape[2]), dtype=np.float32)
        for number, at, block in self._blocks(rows):
            total[number] += weights[at].astype(np.float32) @ block
        return total

    def along(self, rows: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """(n_rows,) float64, sum_c eta_c <g_ci, direction_c>."""
        found = np.zeros(len(rows))
        for number, at, block in self._blocks(rows):
            found[at] += self.rates[number] * (block @ direction[number])
        return found

    def _blocks(self, rows: np.ndarray) -> Iterator[tuple[int, slice, np.ndarray]]:
        """(checkpoint, positions in `rows`, their float32 vectors)."""
        for number in range(len(self.rates)):
            for start in range(0, len(rows), BLOCK):
                at = slice(start, start + BLOCK)
                # Mapped again each time, so that earlier blocks leave the memory.
                array = mapped(self.paths[0])
                yield number, at, array[number, rows[at]].astype(np.float32)


def read(files: Sequence[str | Path]) -> Features:
    """Read the four files that rule `gradients` writes, and the table of targets.

    Parameters
    ----------
    files : candidates.parquet, candidates.npy, questions.parquet, questions.npy and
        targets.parquet, in this order

    Raises
    ------
    TmapError
        If no question is left, or the files do not belong together.
    """
    rows, vectors, questions, aims, targets = map(Path, files)
    about = tables.metadata(rows)
    candidates = tables.read("gradients", rows)
    asked = tables.read("gradients", questions)
    known = tables.read("targets", targets).set_index("question_id")["subtask"]
    shape = mapped(vectors).shape
    expected = (len(about["rates"]), len(candidates))
    if shape[:2] != expected or set(asked["id"]) != set(known.index):
        raise TmapError(
            f"{vectors} contains {shape[0]} x {shape[1]} vectors, but the tables next to "
            f"it have {expected[0]} checkpoints x {expected[1]} rows and "
            f"{len(asked)} questions. Delete the folder and build it again."
        )
    if not asked["status"].isin(USABLE).any():
        raise TmapError(
            "None of the target questions has a gradient, so there is no target; at "
            "least one must fit into the proxy's context. Raise `train: max_length:` in "
            "its model card, or name another `gradients: proxy:`."
        )
    subtasks = known.loc[asked["id"]].tolist()
    return Features(
        candidates, asked, subtasks, np.array(about["rates"]), (vectors, aims)
    )


def mapped(path: Path) -> np.ndarray:
    """An array of vectors, (n_checkpoints, n, dim) float16, mapped from disk."""
    try:
        found: np.ndarray = np.load(path, mmap_mode="r")
    except FileNotFoundError:
        raise missing(path) from None
    except (ValueError, EOFError, OSError) as fault:
        if words := machine.sentence(fault):
            raise TmapError(words) from None
        raise broken(path, f"it is no whole NumPy array ({fault})") from None
    if found.dtype != np.float16 or found.ndim != 3:
        raise broken(path, f"its array has {found.ndim} axes of {found.dtype}")
    return found


class Aligned(NamedTuple):
    """A pool aligned with its gradients.

    Attributes
    ----------
    status : (n_samples,) of `tmap.indicators`; a row that was cut is `truncated`
    known : positions in the pool of the rows that are `ok`, in the order of their texts
    rows : their positions among the candidates
    questions : positions of the usable questions
    """

    status: np.ndarray
    known: np.ndarray
    rows: np.ndarray
    questions: np.ndarray


def aligned(features: Features, pool: pd.DataFrame) -> Aligned:
    """Find a pool's rows among the candidates.

    Rows are ordered by text hash, so that sums run in one order and give the same bits,
    independent of the order of pool and files.
    """
    sample_ids = pool["sample_id"]
    table = features.candidates.set_index("id")
    missing = pd.Index(sample_ids).difference(table.index)
    if len(missing):
        raise TmapError(
            f"The gradients lack {len(missing)} samples of the pool (first: "
            f"'{missing[0]}'); each must have one. Delete the file and build it again."
        )
    where = table.index.get_indexer(pd.Index(sample_ids))
    status = table["status"].to_numpy(dtype=object)[where]
    known = np.flatnonzero(status == "ok")
    texts = pool["text_hash"].to_numpy(dtype=str)[known]
    known = known[np.argsort(texts, kind="stable")]
    usable = features.targets["status"].isin(USABLE).to_numpy()
    return Aligned(status, known, where[known], np.flatnonzero(usable))

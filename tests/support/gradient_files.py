"""Files as rule `gradients` writes them, of random unit vectors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tmap.artifacts import tables

DIM = 16
RATES = [0.75, 0.25]


def unit(rng: np.random.Generator, n: int) -> np.ndarray:
    """(checkpoints, n, DIM) float16."""
    vectors = rng.standard_normal((2, n, DIM)).astype(np.float16)
    return vectors / np.linalg.norm(vectors, axis=2, keepdims=True)


def write(
    folder: Path,
    candidates: tuple[Sequence[str], Sequence[str], np.ndarray],
    targets: tuple[Sequence[str], Sequence[str], np.ndarray],
    subtasks: Sequence[str],
) -> list[Path]:
    """Write ids, statuses and vectors of candidates and questions; the five files."""
    files = [folder / name for name in ("c.parquet", "c.npy", "q.parquet", "q.npy")]
    about = {"code": "test", "rates": RATES}
    for (names, status, vectors), place in zip(
        (candidates, targets), (files[:2], files[2:]), strict=True
    ):
        np.save(place[1], vectors.astype(np.float16))
        tables.write("gradients", table(names, status), place[0], **about)
    ids = list(targets[0])
    asked = {"question_id": ids, "question": "?", "answer": "!"}
    frame = pd.DataFrame({**asked, "subtask": list(subtasks)})
    tables.write("targets", frame, folder / "t.parquet", code="test")
    return [*files, folder / "t.parquet"]


def table(names: Sequence[str], status: Sequence[str]) -> pd.DataFrame:
    n = len(names)
    columns = {"id": list(names), "norm": [[1.0, 2.0]] * n, "n_tokens": [3] * n}
    return pd.DataFrame({**columns, "status": list(status)})

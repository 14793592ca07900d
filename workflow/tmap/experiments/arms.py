"""The answers of several runs as one matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tmap.artifacts import tables
from tmap.errors import TmapError


def matrix(files: Sequence[str]) -> np.ndarray:
    """(n_runs, n_questions) bool from predictions files, questions in a common order.

    Raises
    ------
    TmapError : two files answer different questions
    """
    frames = [tables.read("predictions", f).set_index("question_id") for f in files]
    order = frames[0].index.sort_values()
    for file, frame in zip(files, frames, strict=True):
        if not frame.index.sort_values().equals(order):
            raise TmapError(
                f"{file} does not answer the same questions as {files[0]}; all runs of a "
                "table must. Delete the older file and build it again."
            )
    return np.stack([frame.loc[order, "is_correct"].to_numpy(bool) for frame in frames])

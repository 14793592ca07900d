"""Answers of several runs side by side."""

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
                f"{file} answers other questions than {files[0]}; all runs of a table "
                "must answer the same. Delete the older one and build it again."
            )
    return np.stack([frame.loc[order, "is_correct"].to_numpy(bool) for frame in frames])

"""Fit item parameters and abilities to the table of responses."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from tmap.tiny import irt
from tmap.tiny.history import History, from_table

LOG = logging.getLogger(__name__)


class Calibration(NamedTuple):
    """Tables `irt` and `abilities`, and the notes for their metadata."""

    items: pd.DataFrame
    subjects: pd.DataFrame
    notes: dict[str, Any]


def calibrate(
    responses: pd.DataFrame, dimensions: Sequence[int], seed: int = 0
) -> Calibration:
    """Drop duplicate subjects, choose D on held-out answers, then fit all of them.

    Parameters
    ----------
    responses : table `responses`
    dimensions : candidates for D
    seed : of the fit's start

    Returns
    -------
    Tables sorted by id; notes dimension, held_out_loss per D (nats per
    answer), n_subjects, n_duplicates.

    Raises
    ------
    TmapError
        Too few distinct subjects or questions.
    """
    return from_history(from_table(responses), dimensions, seed)


def from_history(
    history: History, dimensions: Sequence[int], seed: int = 0
) -> Calibration:
    """`calibrate` for a history that is already a matrix."""
    dimension, losses = irt.choose_dimension(history.correct, dimensions, seed)
    found = irt.fit(history.correct, dimension, seed)
    items = pd.DataFrame(
        {
            "question_id": history.question_ids,
            "discrimination": list(found.items.discrimination),
            "intercept": found.items.intercept,
        }
    )
    subjects = pd.DataFrame(
        {
            "subject_id": history.subject_ids,
            "ability": list(found.ability),
            "accuracy": history.accuracy,
        }
    )
    notes = {
        "dimension": dimension,
        "held_out_loss": {str(d): loss for d, loss in losses.items()},
        "n_subjects": len(history.subject_ids),
        "n_duplicates": history.n_duplicates,
    }
    LOG.info(
        "M-2PL: %d subjects (%d duplicates left out), %d questions, D=%d, "
        "held-out loss %.4f",
        notes["n_subjects"],
        notes["n_duplicates"],
        len(items),
        dimension,
        losses[dimension],
    )
    return Calibration(items, subjects, notes)

"""The history: which earlier subjects (models) answered which questions correctly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tmap.errors import TmapError


@dataclass(frozen=True)
class History:
    """A matrix of distinct subjects by questions.

    Attributes
    ----------
    subject_ids : (n_subjects,) names, sorted
    question_ids : (n_questions,) ids, sorted
    correct : (n_subjects, n_questions) float64, 1 right, 0 wrong, NaN not asked
    n_duplicates : subjects left out because another one gave exactly the same answers
    """

    subject_ids: tuple[str, ...]
    question_ids: tuple[str, ...]
    correct: np.ndarray
    n_duplicates: int = 0

    @property
    def accuracy(self) -> np.ndarray:
        """(n_subjects,) share of the questions asked that were answered correctly."""
        return np.nanmean(self.correct, axis=1)

    @property
    def facility(self) -> np.ndarray:
        """(n_questions,) share of the subjects asked that answered correctly.

        The mean accuracy for a question that none was asked (in a part of a history).
        """
        asked = (~np.isnan(self.correct)).sum(axis=0)
        right = np.nansum(self.correct, axis=0)
        share = right / np.maximum(asked, 1)
        return np.where(asked > 0, share, self.accuracy.mean())

    def take(self, rows: np.ndarray) -> History:
        """The subjects at `rows`, in that order."""
        ids = tuple(self.subject_ids[i] for i in rows)
        return History(ids, self.question_ids, self.correct[rows])

    def filled(self) -> np.ndarray:
        """`correct`, with the question's facility where it was not asked."""
        return np.where(np.isnan(self.correct), self.facility, self.correct)


def from_table(responses: pd.DataFrame) -> History:
    """Pivot table `responses`; of subjects with equal answers only the first id is kept.

    Duplicates (renamed uploads of one model) would be on both sides of a held-out split
    and make the fit look better than it is.

    Raises
    ------
    TmapError
        If a (subject, question) pair occurs twice.
    """
    key = ["subject_id", "question_id"]
    twice = responses.duplicated(key)
    if twice.any():
        subject, question = responses.loc[twice, key].iloc[0]
        raise TmapError(
            f"The responses contain {int(twice.sum())} duplicate answers, first that of "
            f"subject '{subject}' to question '{question}'. Each pair may occur once; "
            "remove the others from the source."
        )
    wide = responses.pivot(index=key[0], columns=key[1], values="is_correct")
    wide = wide.sort_index(axis=0).sort_index(axis=1).astype("float64")
    return from_matrix(wide.to_numpy(), list(wide.index), list(wide.columns))


def from_matrix(
    correct: np.ndarray, subject_ids: Sequence[str], question_ids: Sequence[str]
) -> History:
    """A history from (n_subjects, n_questions) 0/1/NaN, without duplicate rows."""
    correct = np.asarray(correct, dtype=np.float64)
    comparable = np.where(np.isnan(correct), -1.0, correct)
    first = np.sort(np.unique(comparable, axis=0, return_index=True)[1])
    return History(
        tuple(str(subject_ids[i]) for i in first),
        tuple(str(q) for q in question_ids),
        correct[first],
        len(correct) - len(first),
    )

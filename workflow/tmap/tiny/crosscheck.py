"""A second opinion on the item parameters: girth's one-dimensional 2PL.

girth fits by marginal maximum likelihood, with other code and other assumptions than
`irt`. It cannot fit a whole benchmark (its likelihood underflows, and its cost grows with
the square of the number of questions), but it can fit a tiny set.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr

from tmap.tiny.threads import one_thread

#: girth's time is linear in subjects; more than this add seconds, not certainty.
MAX_SUBJECTS = 400


class Crosscheck(NamedTuple):
    """difficulty (n_questions,), NaN if girth gave none; how many; rank agreement.

    agreement is Spearman's correlation with our difficulties, None under 3 questions.
    """

    difficulty: np.ndarray
    note: str
    agreement: float | None


def against_girth(responses: np.ndarray, ours: np.ndarray) -> Crosscheck:
    """Fit girth's `twopl_mml` and compare the order of the difficulties.

    Parameters
    ----------
    responses : (n_subjects, n_questions) of 1, 0 or NaN (not asked); the first
        MAX_SUBJECTS rows are used
    ours : (n_questions,) difficulties of the fit to be checked

    Questions that all or no subjects answered correctly have no maximum-likelihood
    difficulty and stay NaN. If girth fails, everything stays NaN and the note says so.
    """
    matrix = responses[:MAX_SUBJECTS]
    difficulty = np.full(matrix.shape[1], np.nan)
    asked = ~np.isnan(matrix)
    n_right = np.where(asked, matrix, 0.0).sum(axis=0)
    varied = np.flatnonzero((n_right > 0) & (n_right < asked.sum(axis=0)))
    fault = ""
    try:
        difficulty[varied] = _twopl(matrix[:, varied])
    except (ValueError, ArithmeticError, IndexError, np.linalg.LinAlgError) as error:
        fault = f" ({type(error).__name__})"
    known = np.isfinite(difficulty)
    difficulty[~known] = np.nan
    note = f"girth fitted {known.sum()} of {len(known)} anchors{fault}"
    if known.sum() < 3:
        return Crosscheck(difficulty, note, None)
    agreement = float(spearmanr(difficulty[known], ours[known]).statistic)
    return Crosscheck(difficulty, note, agreement if np.isfinite(agreement) else None)


def _twopl(matrix: np.ndarray) -> np.ndarray:
    from girth import twopl_mml
    from girth.utilities import INVALID_RESPONSE

    tagged = np.where(np.isnan(matrix), INVALID_RESPONSE, matrix).astype(int)
    with one_thread(), np.errstate(all="ignore"):
        return np.asarray(twopl_mml(tagged.T)["Difficulty"], dtype=np.float64).ravel()

"""Influence: how much a training step on this sample would help the target questions.

With g the projected gradient of a sample (Adam's form), h that of a question with its
answer (SGD form), both of length 1, and eta_c the share of checkpoint c in the learning
rates of the warm-up::

    max over subtasks T of   mean over questions j in T of   sum_c eta_c <g_c, h_cj>

    two checkpoints, eta 0.75 and 0.25, one question, cosines 0.2 and 0.6       0.3
    questions of A: 0.3, 0.1; of B: 0.25        max(0.2, 0.25) = 0.25

The gradients come from rule `gradients`; `gradients:` in the dataset card names the proxy
and its warm-up. Targets are the reward questions, except those that confirm a search's
reward. Subtasks are the values of the column that `questions: columns: subtask:` names;
without it there is one. (LESS divides by fixed numbers of questions for its benchmarks.)

A row is `truncated` and NaN if it was cut to the proxy's context, `empty` without an
answer, and `failed` if its gradient is 0 or not finite. All turns of a chat count.

Source: Xia et al. 2024, arXiv:2402.04333 (LESS), sections 3 and 4, and their code where the
text leaves details open.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tmap.gradients import similarity
from tmap.gradients.similarity import Features
from tmap.indicators import Scores, indicator


@indicator(
    unit="mean cosine",
    source="arXiv:2402.04333",
    looks_at="gradients",
    scope="row",
)
def less(pool: pd.DataFrame, lm: Features) -> Scores:
    """Compare every row with all target questions.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    lm : gradients of the pool and of the target questions

    Returns
    -------
    (n_samples,) in [-1, 1]; higher means more help
    """
    at = similarity.aligned(lm, pool)
    score = np.full(len(pool), np.nan)
    near = lm.similarities(at.rows, at.questions)
    subtasks = np.array(lm.subtasks, dtype=object)[at.questions]
    score[at.known] = influence(near, subtasks)
    return Scores(score, at.status)


def influence(near: np.ndarray, subtasks: np.ndarray) -> np.ndarray:
    """(n,) from (n, n_questions) similarities: mean within, max over subtasks."""
    names = sorted(set(subtasks))
    means = [near[:, subtasks == name].mean(axis=1) for name in names]
    return np.max(means, axis=0)

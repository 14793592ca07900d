"""Choose the questions that represent all others (anchors), and their weights.

Everything here works on positions 0..N-1 of the reward questions; `tiny` turns them
into tables. `eligible` keeps the tiny and the confirm set disjoint: clusters and strata
are always formed over all N questions, and only their representatives are restricted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tmap.tiny.history import History
from tmap.tiny.irt import Items
from tmap.tiny.threads import one_thread

#: Ridge penalty of greedy's refits and the facility below which it takes no question;
#: both fixed on GSM8K and ARC histories before any test error was seen.
GREEDY_PENALTY, GREEDY_MIN_FACILITY = 3.0, 0.02


class Anchors(NamedTuple):
    """position (S,), all different; weight (S,), sums to 1; cluster (S,) of each."""

    position: np.ndarray
    weight: np.ndarray
    cluster: np.ndarray


def kmeans(
    embedding: np.ndarray, n_anchors: int, seed: int, eligible: np.ndarray | None = None
) -> Anchors:
    """The question nearest to each K-means centroid, weighted by its cluster's share.

    Centroids and questions are matched one to one at the least total distance. A centroid
    gets its nearest question unless two centroids share theirs; then one gets its next
    nearest, so that there are always S different questions. A centroid that lost all its
    questions to an identical one keeps weight 0.

    Parameters
    ----------
    embedding : (n_questions, d), rows (alpha, beta); paper 3.4, eq. 5
    n_anchors : S, at most the number of eligible questions
    seed : of K-means++ starts (best of 3)
    eligible : (n_questions,) bool; None means all
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist
    from sklearn.cluster import KMeans

    may = _positions(eligible, len(embedding))
    with one_thread():
        found = KMeans(n_anchors, n_init=3, random_state=seed).fit(embedding)
        distance = cdist(found.cluster_centers_, embedding[may])
    cluster, nearest = linear_sum_assignment(distance)
    size = np.bincount(found.labels_, minlength=n_anchors)
    return Anchors(may[nearest], size[cluster] / len(embedding), cluster)


def stratified(
    facility: np.ndarray, n_anchors: int, seed: int, eligible: np.ndarray | None = None
) -> Anchors:
    """One random question from each of S strata of near-equal size, by difficulty.

    A stratum without an eligible question gets the free one nearest in rank.

    Parameters
    ----------
    facility : (n_questions,) share of subjects that answered correctly
    n_anchors, seed, eligible : as in `kmeans`; the seed draws within strata
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(facility, kind="stable")
    strata = np.array_split(np.arange(len(order)), n_anchors)  # ranks
    free = np.ones(len(order), bool) if eligible is None else eligible[order].copy()
    rank = np.full(n_anchors, -1)
    for s, members in enumerate(strata):
        if free[members].any():
            rank[s] = rng.choice(members[free[members]])
    free[rank[rank >= 0]] = False
    for empty in np.flatnonzero(rank < 0):
        left = np.flatnonzero(free)
        nearest = left[np.abs(left - strata[empty].mean()).argmin()]
        rank[empty], free[nearest] = nearest, False
    weight = np.array([len(members) for members in strata]) / len(order)
    return Anchors(order[rank], weight, np.arange(n_anchors))


def greedy(
    history: np.ndarray, n_anchors: int, eligible: np.ndarray | None = None
) -> Anchors:
    """Orthogonal matching pursuit towards the accuracy over all questions.

    Each step adds the question that correlates best with the residual of a ridge on the
    questions chosen so far. Weights are 1/S: the ridge of `estimators` learns its own.

    Parameters
    ----------
    history : (n_subjects, n_questions) in [0, 1], no NaN
    n_anchors, eligible : as in `kmeans`
    """
    centred = history - history.mean(axis=0)
    spread = centred.std(axis=0) + 1e-9
    target = history.mean(axis=1) - history.mean()
    barred = np.ones(history.shape[1], bool)
    barred[_positions(eligible, history.shape[1])] = False
    rare = history.mean(axis=0) < GREEDY_MIN_FACILITY
    taken: list[int] = []
    left = target
    with one_thread():
        for _ in range(n_anchors):
            worth = np.where(rare, -1.0, np.abs(centred.T @ left) / spread)
            worth[barred] = -np.inf
            best = int(worth.argmax())
            taken.append(best)
            barred[best] = True
            x = centred[:, taken]
            ridge = x.T @ x + GREEDY_PENALTY * np.eye(len(taken))
            left = target - x @ np.linalg.solve(ridge, x.T @ target)
    share = np.full(n_anchors, 1 / n_anchors)
    return Anchors(np.array(taken), share, np.arange(n_anchors))


def divide(
    difficulty: np.ndarray, n_anchors: int, n_confirm: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint parts of the questions: eligible for the tiny and for the confirm set.

    A systematic sample over the difficulty order with a random start, in proportion
    n_anchors : n_confirm, so that both parts span the same range of difficulty.

    Parameters
    ----------
    difficulty : (n_questions,) anything that sorts them; n_questions >= both sizes
    n_anchors, n_confirm : sizes of the two sets
    seed : of the start

    Returns
    -------
    Two (n_questions,) bool arrays with at least n_anchors and n_confirm True.
    """
    both = n_anchors + n_confirm
    start = int(np.random.default_rng(seed).integers(both))
    step = (np.arange(len(difficulty) + 1) * n_confirm + start) // both
    confirms = np.zeros(len(difficulty), bool)
    confirms[np.argsort(difficulty, kind="stable")] = np.diff(step) == 1
    return ~confirms, confirms


def both(
    items: Items, history: History, n_anchors: int, n_confirm: int, seed: int
) -> tuple[dict[str, Anchors], dict[str, Anchors]]:
    """All anchor sets of the tiny and of the confirm set; none for a size of 0.

    Parameters
    ----------
    items : parameters of the questions of `history`, in its order
    history : N questions
    n_anchors, n_confirm : together at most N; n_confirm 0 leaves all N to the tiny set
    seed : of the division and of every choice
    """
    facility = history.facility
    halves = divide(facility, n_anchors, n_confirm, seed)
    tiny, confirm = (
        {
            "kmeans": kmeans(items.embedding, size, seed, may),
            "stratified": stratified(facility, size, seed, may),
            "greedy": greedy(history.filled(), size, may),
        }
        if size
        else {}
        for size, may in zip((n_anchors, n_confirm), halves, strict=True)
    )
    return tiny, confirm


def _positions(eligible: np.ndarray | None, n_questions: int) -> np.ndarray:
    return np.arange(n_questions) if eligible is None else np.flatnonzero(eligible)

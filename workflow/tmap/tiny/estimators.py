"""Accuracy on all reward questions, estimated from answers to a few of them.

Every estimator turns right/wrong answers to its own questions into an estimate of the
accuracy on all N reward questions (paper eq. 3 and 6, Table 9).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tmap.errors import TmapError, unknown
from tmap.tiny import history as histories
from tmap.tiny import irt as model

#: Estimator -> the anchor set whose questions it asks.
ANCHOR_SETS = {
    "gp_irt": "kmeans",
    "p_irt": "kmeans",
    "weighted_mean": "kmeans",
    "kmeans_mean": "kmeans",
    "stratified": "stratified",
    "greedy_ridge": "greedy",
}
NEED_HISTORY = ("gp_irt", "p_irt", "stratified", "greedy_ridge")
#: Quantiles of the history's accuracies between which learning from it is trusted.
RANGE = (0.05, 0.95)
PENALTIES = np.logspace(-1, 4, 21)


@dataclass(frozen=True)
class Estimator:
    """One way to estimate the accuracy on all reward questions.

    Attributes
    ----------
    name : as in the dataset card's `tiny.estimator`
    question_ids : (S,) the questions to ask
    estimate : answers (..., S), bool in the order of question_ids -> (...) in [0, 1]
    se_items : standard error of an estimate from asking only S questions, in accuracy;
        the same for every w, so for absolute intervals only. A lower bound for gp_irt
        and greedy_ridge: on held-out subjects of GSM8K (330 questions, 100 anchors) the
        root mean squared error was 2.7 and 2.3 points, this value 1.5 and 1.2
    """

    name: str
    question_ids: tuple[str, ...]
    estimate: Callable[[np.ndarray], np.ndarray]
    se_items: float


class Choice(NamedTuple):
    """The estimator to use, and a sentence that gives the reason."""

    name: str
    reason: str


def weighted_mean(correct: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Paper eq. 3: sum of w_v Y_v over the last axis."""
    return np.asarray(correct, dtype=np.float64) @ weight


def p_irt(correct: np.ndarray, seen: model.Items, unseen: model.Items) -> np.ndarray:
    """The second term of paper eq. 6: seen questions as marked, unseen as predicted.

    (S/N) mean(Y seen) + (1 - S/N) mean(p unseen), with theta by MAP from the seen.

    Parameters
    ----------
    correct : (..., S) answers to the seen questions
    seen, unseen : parameters of the S and the N - S questions
    """
    answers = np.asarray(correct, dtype=np.float64)
    flat = answers.reshape(-1, answers.shape[-1])
    ability = model.ability_map(flat, seen)
    right = flat.sum(axis=1) + model.probability(ability, unseen).sum(axis=1)
    n_questions = len(seen.intercept) + len(unseen.intercept)
    return (right / n_questions).reshape(answers.shape[:-1])


def trust_in_answers(error: float, variance: float, n_anchors: int) -> float:
    """The lambda of eq. 6, analytic: b^2 / (b^2 + v / (4 S)), in [0, 1].

    The weight that minimises the squared error of a blend of two independent estimates:
    p-IRT with error b and the weighted mean, whose variance tinyBenchmarks takes as a
    quarter of a random sample's v / S (arXiv:2402.14992). The paper calls it learnable.

    Parameters
    ----------
    error : b, error of p-IRT on held-out subjects, in accuracy
    variance : v, mean variance of a subject's 0/1 answers
    n_anchors : S
    """
    spread = variance / (4 * n_anchors)
    if spread == 0:
        return 1.0  # no variance between questions: the answers are exact
    return error**2 / (error**2 + spread)


def choose(name: str, zero_shot_accuracy: float, history: np.ndarray | None) -> Choice:
    """Decide, once per search, what `auto` means; guard `greedy_ridge`.

    Estimators that learned from the history are biased for a model unlike those in it
    (measured: ridge is off by 17 points for models far above its history). Outside the
    history's 5-95 % accuracy range, `stratified` is used, which learns no weights.

    Parameters
    ----------
    name : the card's `tiny.estimator`
    zero_shot_accuracy : the target model's, estimated without learning (`stratified`)
    history : (n_subjects,) accuracies of the history; None without one
    """
    if history is None or len(history) == 0:
        if name == "auto":
            return Choice("weighted_mean", "auto: there is no history to learn from")
        return Choice(name, "named in the dataset card")
    low, high = np.quantile(history, RANGE)
    inside = bool(low <= zero_shot_accuracy <= high)
    where = (
        f"the zero-shot estimate {zero_shot_accuracy:.3f} is "
        f"{'inside' if inside else 'outside'} the history's 5-95 % accuracy range "
        f"{low:.3f}-{high:.3f}"
    )
    if name == "auto":
        return Choice("gp_irt" if inside else "stratified", f"auto: {where}")
    if name == "greedy_ridge" and not inside:
        return Choice("stratified", f"in place of greedy_ridge: {where}")
    return Choice(name, f"named in the dataset card; {where}")


def build(
    name: str,
    tiny: pd.DataFrame,
    tiny_notes: dict[str, Any],
    irt: pd.DataFrame | None = None,
    responses: pd.DataFrame | None = None,
    question_ids: Sequence[str] | None = None,
) -> Estimator:
    """Make the estimator `name` from the artifacts.

    Parameters
    ----------
    name : any but `auto`, which `choose` resolves
    tiny : table `tiny` (or `confirm`, which is one too)
    tiny_notes : its metadata: b, v
    irt, responses : tables; None without a history
    question_ids : all reward questions; only `full` reads them, and only without `irt`

    Raises
    ------
    TmapError
        Unknown name, or an estimator that needs a history if there is none.
    """
    if name == "full":
        return _full(irt, question_ids)
    if name not in ANCHOR_SETS:
        fix = "Name one of them under tiny.estimator in the dataset card."
        raise unknown("estimator", name, ["auto", "full", *ANCHOR_SETS], fix)
    check_history(name, irt is not None and responses is not None)
    anchors = tiny[tiny["anchor_set"] == ANCHOR_SETS[name]]
    ids = tuple(anchors["question_id"])
    weight = anchors["weight"].to_numpy()
    if irt is not None and name in ("gp_irt", "p_irt"):
        return _from_irt(name, ids, weight, tiny_notes, irt)
    if name == "greedy_ridge":
        return _ridge(ids, responses)
    if name == "kmeans_mean":
        weight = np.full(len(ids), 1 / len(ids))

    def estimate(correct: np.ndarray) -> np.ndarray:
        return weighted_mean(correct, weight)

    return Estimator(name, ids, estimate, _error(estimate, ids, responses))


def check_history(name: str, has_history: bool) -> None:
    """Refuse an estimator that needs a history if there is none."""
    if name in NEED_HISTORY and not has_history:
        raise TmapError(
            f"Estimator '{name}' learns from a history of responses, but the dataset "
            "card names none. Set tiny.estimator to auto, weighted_mean, kmeans_mean "
            "or full, or name a history under `responses:`."
        )


def items(irt: pd.DataFrame) -> model.Items:
    """Item parameters of table `irt`, in its order."""
    return model.Items(
        np.stack(irt["discrimination"].to_numpy()), irt["intercept"].to_numpy()
    )


def _from_irt(
    name: str,
    ids: tuple[str, ...],
    weight: np.ndarray,
    notes: dict[str, Any],
    irt: pd.DataFrame,
) -> Estimator:
    position = pd.Index(irt["question_id"]).get_indexer(list(ids))
    parameters = items(irt)
    seen = parameters.take(position)
    unseen = parameters.take(np.setdiff1d(np.arange(len(irt)), position))
    b, v = float(notes["b"]), float(notes["v"])
    trust = trust_in_answers(b, v, len(ids)) if name == "gp_irt" else 0.0

    def estimate(correct: np.ndarray) -> np.ndarray:
        observed = weighted_mean(correct, weight)
        return trust * observed + (1 - trust) * p_irt(correct, seen, unseen)

    # At this trust the blend's squared error, b^2 s^2 / (b^2 + s^2), is trust * s^2.
    se_items = b if name == "p_irt" else (trust * v / (4 * len(ids))) ** 0.5
    return Estimator(name, ids, estimate, se_items)


def _ridge(ids: tuple[str, ...], responses: pd.DataFrame | None) -> Estimator:
    from sklearn.linear_model import RidgeCV

    if responses is None:
        raise ValueError("greedy_ridge needs the responses")
    history = histories.from_table(responses)
    chosen = history.filled()[:, _columns(history, ids)]
    ridge = RidgeCV(PENALTIES).fit(chosen, history.accuracy)

    def estimate(correct: np.ndarray) -> np.ndarray:
        answers = np.asarray(correct, dtype=np.float64)
        return np.clip(answers @ ridge.coef_ + ridge.intercept_, 0, 1)

    # RidgeCV's best score is minus the mean squared leave-one-out error. It is too small,
    # because the choice of questions is not repeated without the subject left out.
    return Estimator("greedy_ridge", ids, estimate, float(-ridge.best_score_) ** 0.5)


def _full(irt: pd.DataFrame | None, question_ids: Sequence[str] | None) -> Estimator:
    ids = question_ids
    if ids is None and irt is not None:
        ids = irt["question_id"].tolist()
    if ids is None:
        raise ValueError("full needs question_ids or irt")
    return Estimator(
        "full", tuple(ids), lambda correct: np.asarray(correct).mean(axis=-1), 0.0
    )


def _error(
    estimate: Callable[[np.ndarray], np.ndarray],
    ids: tuple[str, ...],
    responses: pd.DataFrame | None,
) -> float:
    """Root mean squared error over the history, or 0.5 / sqrt(S) (a coin's) without one."""
    if responses is None:
        return 0.5 / len(ids) ** 0.5
    history = histories.from_table(responses)
    guess = estimate(history.filled()[:, _columns(history, ids)])
    return float(np.sqrt(np.mean((guess - history.accuracy) ** 2)))


def _columns(history: histories.History, ids: tuple[str, ...]) -> np.ndarray:
    return pd.Index(history.question_ids).get_indexer(list(ids))

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
    se_items : standard error of an estimate from asking only S questions, in accuracy:
        the root mean squared error on held-out subjects of the history (`held_out`), or
        a coin's without one. The same for every w, so for absolute intervals only
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


def trust_in_answers(answers: np.ndarray, model_error: np.ndarray) -> float:
    """The lambda of eq. 6 that errs least on held-out subjects, within [0, 1].

    Least squares for lambda * answers + (1 - lambda) * model_error. Both err alike (the
    same questions are behind them), so b^2 / (b^2 + s^2), which is right for independent
    errors b and s (tinyBenchmarks, arXiv:2402.14992), trusts the answers too much. The
    paper calls lambda learnable.

    Parameters
    ----------
    answers, model_error : (n,) errors of the weighted mean and of p-IRT, in accuracy
    """
    apart = answers - model_error
    size = float(apart @ apart)
    if size == 0:
        return 1.0  # both say the same; the answers need no model
    return float(np.clip(-(apart @ model_error) / size, 0, 1))


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
    tiny_notes : its metadata: lambda, and the error `rmse` of every estimator
    irt, responses : tables; None without a history
    question_ids : all reward questions; only `full` reads them, and only without `irt`

    Raises
    ------
    TmapError
        Unknown name, an estimator that needs a history if there is none, or a tiny set
        of an earlier version, whose estimators have no measured error.
    """
    if name == "full":
        return _full(irt, question_ids)
    if name not in ANCHOR_SETS:
        fix = "Name one of them under tiny.estimator in the dataset card."
        raise unknown("estimator", name, ["auto", "full", *ANCHOR_SETS], fix)
    check_history(name, irt is not None and responses is not None)
    anchors = tiny[tiny["anchor_set"] == ANCHOR_SETS[name]]
    ids, weight = tuple(anchors["question_id"]), anchors["weight"].to_numpy()
    if irt is None or responses is None:
        estimate = _plain(name, weight)
        return Estimator(name, ids, estimate, 0.5 / len(ids) ** 0.5)
    if "rmse" not in tiny_notes:
        raise TmapError(
            "The tiny set was chosen by an earlier version of tmap, which measured no "
            "errors of its estimators. Delete tiny.parquet and confirm.parquet, and run "
            "Snakemake again, which makes them anew."
        )
    position = pd.Index(irt["question_id"]).get_indexer(list(ids))
    known = histories.from_table(responses) if name == "greedy_ridge" else None
    trust = float(tiny_notes["lambda"])
    estimate = function(name, position, weight, items(irt), known, trust)
    return Estimator(name, ids, estimate, float(tiny_notes["rmse"][name]))


def function(
    name: str,
    position: np.ndarray,
    weight: np.ndarray,
    parameters: model.Items,
    history: histories.History | None,
    trust: float = 0.0,
) -> Callable[[np.ndarray], np.ndarray]:
    """The estimate alone: answers (..., S) -> (...) in [0, 1].

    Parameters
    ----------
    name : a key of ANCHOR_SETS
    position, weight : (S,) of its anchors among all N questions
    parameters : of all N questions
    history : what greedy_ridge learns from; others read none
    trust : lambda of gp_irt
    """
    if name == "greedy_ridge":
        if history is None:
            raise ValueError("greedy_ridge needs the history")
        return _ridge(position, history)
    if name not in ("gp_irt", "p_irt"):
        return _plain(name, weight)
    seen = parameters.take(position)
    unseen = parameters.take(
        np.setdiff1d(np.arange(len(parameters.intercept)), position)
    )
    trusted = trust if name == "gp_irt" else 0.0

    def estimate(correct: np.ndarray) -> np.ndarray:
        observed = weighted_mean(correct, weight)
        return trusted * observed + (1 - trusted) * p_irt(correct, seen, unseen)

    return estimate


def _plain(name: str, weight: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    equal = np.full(len(weight), 1 / max(len(weight), 1))
    used = equal if name == "kmeans_mean" else weight
    return lambda correct: weighted_mean(correct, used)


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


def _ridge(
    position: np.ndarray, history: histories.History
) -> Callable[[np.ndarray], np.ndarray]:
    from sklearn.linear_model import RidgeCV

    ridge = RidgeCV(PENALTIES).fit(history.filled()[:, position], history.accuracy)

    def estimate(correct: np.ndarray) -> np.ndarray:
        answers = np.asarray(correct, dtype=np.float64)
        return np.clip(answers @ ridge.coef_ + ridge.intercept_, 0, 1)

    return estimate


def _full(irt: pd.DataFrame | None, question_ids: Sequence[str] | None) -> Estimator:
    ids = question_ids
    if ids is None and irt is not None:
        ids = irt["question_id"].tolist()
    if ids is None:
        raise ValueError("full needs question_ids or irt")
    return Estimator(
        "full", tuple(ids), lambda correct: np.asarray(correct).mean(axis=-1), 0.0
    )

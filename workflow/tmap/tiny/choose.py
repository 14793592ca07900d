"""The tiny validation set, and a second set that confirms the result of the search.

Both are tables `tiny` with one row per anchor and anchor set: `kmeans` (paper eq. 5),
`stratified` and `greedy`. No question is in both tables.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tmap.errors import TmapError
from tmap.tiny import anchors, estimators, held_out
from tmap.tiny import history as histories
from tmap.tiny.crosscheck import against_girth
from tmap.tiny.history import History
from tmap.tiny.irt import Items
from tmap.tiny.threads import one_thread

COLUMNS = ("anchor_set", "question_id", "weight", "cluster", "girth_difficulty")
#: Dimensions of the question embedding that is used in place of (alpha, beta).
TEXT_DIMENSIONS = 50


class TinySets(NamedTuple):
    """Tables `tiny` and `confirm` with the notes for their metadata."""

    tiny: pd.DataFrame
    confirm: pd.DataFrame
    tiny_notes: dict[str, Any]
    confirm_notes: dict[str, Any]


def choose(
    questions: pd.DataFrame,
    irt: pd.DataFrame | None,
    irt_notes: dict[str, Any] | None,
    responses: pd.DataFrame | None,
    *,
    n_anchors: int,
    n_confirm: int,
    estimator: str = "auto",
    seed: int = 0,
    vectors: np.ndarray | None = None,
) -> TinySets:
    """Choose both sets by the item parameters, or by the texts if there is no history.

    Parameters
    ----------
    questions : table `questions` (reward questions)
    irt, irt_notes, responses : table `irt`, its metadata (dimension), and table
        `responses`; all None without a history
    n_anchors, n_confirm : S of the two sets
    estimator : the card's; only checked here, so that a search does not fail hours later
    seed : of K-means, of the draws within strata and of the division
    vectors : (n_questions, d), an encoder's, in the order of `questions`, each of length 1;
        used without a history only. None: latent semantic analysis of the texts

    Raises
    ------
    TmapError
        Too few questions; an estimator that needs a history; tables that do not match.
    """
    estimators.check_history(estimator, irt is not None)
    if irt is None or irt_notes is None or responses is None:
        return _from_text(questions, n_anchors, n_confirm, seed, vectors)
    history = histories.from_table(responses)
    _check_same(questions, irt, history)
    tiny, confirm = from_history(
        estimators.items(irt), history, n_anchors, n_confirm, seed
    )
    n_unknown = len(questions) - len(irt)
    dimension = int(irt_notes["dimension"])
    (errors,) = held_out.measure(history, dimension, [(n_anchors, n_confirm)], seed)
    notes = []
    for table, measured in zip((tiny, confirm), errors, strict=True):
        about = _constants(dimension, history, measured)
        about |= _crosscheck(table, estimators.items(irt), history)
        about |= {"n_without_history": n_unknown, "warning": _unknown(n_unknown)}
        notes.append(about)
    return TinySets(tiny, confirm, *notes)


def from_history(
    items: Items, history: History, n_anchors: int, n_confirm: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables, with girth's column still NaN; rows by anchor set, then cluster.

    Parameters
    ----------
    items : parameters of the questions of `history`, in its order
    history : N questions
    n_anchors, n_confirm : together at most N; n_confirm 0 leaves all N to the tiny set
    seed : as in `choose`
    """
    check_size(len(history.question_ids), n_anchors, n_confirm)
    ids = np.array(history.question_ids)
    tiny, confirm = (
        pd.concat([_table(k, a, ids) for k, a in sets.items()])
        if sets
        else pd.DataFrame(columns=list(COLUMNS))
        for sets in anchors.both(items, history, n_anchors, n_confirm, seed)
    )
    return tiny, confirm


def _table(anchor_set: str, chosen: anchors.Anchors, ids: np.ndarray) -> pd.DataFrame:
    columns = (anchor_set, ids[chosen.position], chosen.weight, chosen.cluster, np.nan)
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


def check_size(n_questions: int, n_anchors: int, n_confirm: int) -> None:
    """Refuse two sets that need more reward questions than there are."""
    if n_anchors + n_confirm > n_questions:
        raise TmapError(
            f"There are {n_questions} reward questions, but tiny.n_anchors ({n_anchors}) "
            f"and tiny.n_confirm ({n_confirm}) need {n_anchors + n_confirm}. "
            "Lower these keys of the dataset card, or raise its reward_share."
        )


def _check_same(questions: pd.DataFrame, irt: pd.DataFrame, history: History) -> None:
    foreign = sorted(set(irt["question_id"]) - set(questions["question_id"]))
    if foreign or tuple(irt["question_id"]) != history.question_ids:
        what = f"question '{foreign[0]}' is" if foreign else "the rows of irt are"
        where = "reward questions" if foreign else "responses"
        raise TmapError(
            f"The irt table does not belong to the {where}: {what} not among them. "
            "Delete irt.parquet and responses.parquet and build them again."
        )


def _constants(
    dimension: int, history: History, measured: held_out.Errors | None
) -> dict[str, Any]:
    low, high = np.quantile(history.accuracy, estimators.RANGE)
    known = {} if measured is None else measured.notes
    return known | {
        "dimension": dimension,
        "n_questions": len(history.question_ids),
        "n_subjects": len(history.subject_ids),
        "accuracy_range": [float(low), float(high)],
    }


def _crosscheck(table: pd.DataFrame, items: Items, history: History) -> dict[str, Any]:
    """Fill girth's column for the K-means anchors, in place; return the agreement."""
    of_kmeans = (table["anchor_set"] == "kmeans").to_numpy()
    ids = table["question_id"][of_kmeans]
    if len(ids) == 0:
        return {"girth_agreement": None, "girth": "no anchors"}
    position = pd.Index(history.question_ids).get_indexer(ids)
    check = against_girth(history.correct[:, position], items.difficulty[position])
    table["girth_difficulty"] = np.nan
    table.loc[of_kmeans, "girth_difficulty"] = check.difficulty
    return {"girth_agreement": check.agreement, "girth": check.note}


def _unknown(n_unknown: int) -> str | None:
    if not n_unknown:
        return None
    return f"{n_unknown} reward questions have no history and are not estimated"


def _from_text(
    questions: pd.DataFrame,
    n_anchors: int,
    n_confirm: int,
    seed: int,
    vectors: np.ndarray | None,
) -> TinySets:
    """K-means on the question texts; nothing is known about their difficulty."""
    order = np.argsort(questions["question_id"].to_numpy(dtype=str), kind="stable")
    ordered = questions.iloc[order]
    check_size(len(ordered), n_anchors, n_confirm)
    if vectors is None:
        embedding = _embed(ordered["question"].tolist(), seed)
    else:
        embedding = vectors[order]
    order = np.random.default_rng(seed).permutation(len(ordered))
    halves = anchors.divide(order, n_anchors, n_confirm, seed)
    ids = ordered["question_id"].to_numpy()
    tables = []
    for size, may in zip((n_anchors, n_confirm), halves, strict=True):
        chosen = anchors.kmeans(embedding, size, seed, may) if size else None
        empty = pd.DataFrame(columns=list(COLUMNS))
        tables.append(_table("kmeans", chosen, ids) if chosen else empty)
    notes = {
        "n_questions": len(ordered),
        "warning": "no response history: anchors are K-means centres of the question "
        "texts and the estimate is a weighted mean, of unknown error",
    }
    return TinySets(tables[0], tables[1], notes, dict(notes))


def _embed(texts: list[str], seed: int) -> np.ndarray:
    """(n_questions, at most 50): latent semantic analysis, rows of length 1 (or 0)."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    counts = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", sublinear_tf=True)
    with one_thread():
        words = counts.fit_transform(texts)
        n = min(TEXT_DIMENSIONS, min(words.shape) - 1)
        if n < 1:
            return words.toarray()
        return normalize(TruncatedSVD(n, random_state=seed).fit_transform(words))

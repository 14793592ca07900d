"""Benchmark questions: read, check, and split them into reward and test."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from tmap.cards.dataset import QuestionSource
from tmap.data import golds, keys, options
from tmap.data.cells import Cells, counted, identity, missing
from tmap.data.overlap import question_ngrams, words
from tmap.data.sources import rows
from tmap.data.sources.files import Row
from tmap.errors import TmapError

logger = logging.getLogger(__name__)
Reader = Literal["number", "option", "letter"]


@dataclass
class Questions:
    """The result of `read`: tables 'questions' (twice) and 'question_ngrams'.

    `warnings` are sentences on golds that may not be marked as a human would.
    """

    reward: pd.DataFrame
    test: pd.DataFrame
    ngrams: pd.DataFrame
    notes: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


def read(
    dataset: str,
    source: QuestionSource,
    *,
    task: Literal["generation", "multiple_choice"],
    reader: Reader,
    protocol: Literal["heldout", "paper"],
    reward_share: float,
    ngram: int,
    metric: str | None = None,
) -> Questions:
    """Read a benchmark and split it.

    Parameters
    ----------
    dataset : card name; part of the question ids of a source without an id column
    source : its place and columns
    task : whether a gold is text or one of several options
    reader : with 'letter' the question's text lists its options as '(A) ...'
    protocol : 'heldout' splits by id, or as a world decides; 'paper' puts all questions
        into both tables
    reward_share : share of questions for the reward (heldout), in (0, 1); a question
        that is on both sides under two ids is left out of the reward's
    ngram : words per n-gram of the overlap check
    metric : by which written golds are tried; None: they are not

    Raises
    ------
    TmapError
        Any question is unusable, a gold has no value under the metric, an id occurs
        twice, or one side of the split is empty.
        A benchmark must be complete, so no question is left out silently.
    """
    table = rows.open_source(source)
    faults: list[str] = []
    found: list[dict[str, Any]] = []
    stems: list[str] = []
    sides: list[str] = []
    rule = keys.AUTO
    if task == "multiple_choice":
        own = {str(ours): theirs for ours, theirs in source.columns.items()}
        rule = options.survey((row.value for row in table), own, source.gold_is)
    unread: Counter[str] = Counter()
    for row in table:
        try:
            question, stem = _question(dataset, source, row, task, reader, rule, unread)
        except options.Malformed as fault:
            faults.append(f"row {row.number}: {fault}")
            continue
        found.append(question)
        stems.append(stem)
        if source.world:
            sides.append(row.value["side"])
    _refuse(table.place, faults, [question["question_id"] for question in found])
    told: list[str] = []
    if task == "generation" and metric is not None:
        told = golds.try_all(
            table.place, [question["gold"] for question in found], metric
        )
    for sentence in told:
        logger.warning("%s", sentence)
    columns = "question_id question choices permutation gold row".split()
    frame = pd.DataFrame(found, columns=columns)
    ngrams = question_ngrams(frame["question_id"].tolist(), stems, ngram)
    notes = table.about() | {"protocol": protocol, "not_read": dict(unread)}
    _report(Counter() if source.world else unread)
    if protocol == "paper":
        return Questions(frame, frame, ngrams, notes, told)
    if sides:
        chosen = np.array([side == "reward" for side in sides])
        reward, test = _parts(frame, chosen)
    else:
        notes["reward_share"] = reward_share
        reward, test = _split(frame, reward_share, table.place)
    leaked = _asked_in(reward, test)
    notes["also_in_test"] = reward["question_id"][leaked].tolist()
    for question in notes["also_in_test"]:
        logger.warning(
            "question %s is also among the test questions, under another id: it is left "
            "out of the reward questions",
            question,
        )
    kept = reward[~leaked].reset_index(drop=True)
    return Questions(kept, test, ngrams, notes, told)


def _report(unread: Counter[str]) -> None:
    """Name what questions have and nobody reads."""
    if unread:
        logger.info(
            "not read, with the number of questions that have it: %s. If one is the text "
            "that the questions are about, name it under `questions.columns.context`",
            counted(unread),
        )


def _asked_in(reward: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """(n,) bool: reward questions with the words (and options) of a test question."""

    def asked(frame: pd.DataFrame) -> list[tuple]:
        texts = (tuple(words(text)) for text in frame["question"])
        options = (() if c is None else tuple(sorted(c)) for c in frame["choices"])
        return list(zip(texts, options, strict=True))

    known = set(asked(test))
    return np.array([question in known for question in asked(reward)], dtype=bool)


def _split(
    frame: pd.DataFrame, share: float, place: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reward and test questions; the side of an id does not depend on the others."""
    chosen = np.array([_is_reward(name, share) for name in frame["question_id"]])
    if chosen.all() or not chosen.any():
        raise TmapError(
            f"{len(frame)} questions of '{place}' cannot be split: all fell on one "
            f"side of reward_share {share}. Use more questions, or move "
            "`reward_share:` towards 0.5 in the dataset card."
        )
    return _parts(frame, chosen)


def _parts(
    frame: pd.DataFrame, chosen: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame]:
    reward, test = frame[chosen], frame[~chosen]
    return reward.reset_index(drop=True), test.reset_index(drop=True)


def _seed(question_id: str) -> int:
    """The first 8 bytes of SHA-256 of the id, as a number in [0, 2**64)."""
    return int.from_bytes(
        hashlib.sha256(question_id.encode("utf-8")).digest()[:8], "big"
    )


def _is_reward(question_id: str, share: float) -> bool:
    return _seed(question_id) < share * 2**64


def _question(
    dataset: str,
    source: QuestionSource,
    row: Row,
    task: str,
    reader: Reader,
    rule: keys.Rule,
    unread: Counter[str],
) -> tuple[dict[str, Any], str]:
    """One row of table 'questions', and its text without options.

    `unread` counts its filled columns that neither this nor the card names.
    """
    if row.fault is not None:
        raise options.Malformed(row.fault)
    if not isinstance(row.value, Mapping):
        raise options.Malformed(f"not an object but {type(row.value).__name__}")
    columns = {str(ours): theirs for ours, theirs in source.columns.items()}
    question_id = _question_id(dataset, source, row)
    cells = Cells(row.value)
    if task == "multiple_choice":
        values, stem = _chosen(cells, columns, question_id, reader, rule)
    else:
        values, stem = _generated(cells, columns)
    named = (part.strip() for name in columns.values() for part in name.split(","))
    unread.update(cells.unread([*columns.values(), *named]))
    return {"question_id": question_id, "row": row.number, **values}, stem


def _question_id(dataset: str, source: QuestionSource, row: Row) -> str:
    name = source.columns.get("id")
    if name is None:
        split = f"{source.split}-" if source.hub else ""
        return f"{dataset}-{split}{row.number:05d}"
    value = row.value.get(name)
    found = identity(value)
    if found is None:
        what = "" if missing(value) else f", but {value!r:.40}"
        raise options.Malformed(f"no id under '{name}'{what}")
    return found


def _generated(
    row: Mapping[str, Any], columns: Mapping[str, str]
) -> tuple[dict[str, Any], str]:
    stem = options.stem(row, columns)
    theirs = columns.get("gold") or options.column(row, columns, "gold")
    listed = options.option_columns(map(str, row))
    if listed and "gold" not in columns:
        raise options.Malformed(
            f"a question with options (column '{listed[0]}'): set `task: multiple_choice`, "
            "or name the written answer as `gold`"
        )
    value = row.get(theirs) if theirs else None
    gold = golds.written(value)
    if not gold:
        kind = "" if keys.is_missing(value) else f", but {type(value).__name__}"
        raise options.Malformed(f"no gold under '{theirs or 'gold'}'{kind}")
    return {"question": stem, "choices": None, "permutation": None, "gold": gold}, stem


def _chosen(
    row: Mapping[str, Any],
    columns: Mapping[str, str],
    question_id: str,
    reader: Reader,
    rule: keys.Rule,
) -> tuple[dict[str, Any], str]:
    """Options in an order drawn from the id, so that no position has more golds."""
    asked = options.parse(row, columns, rule)
    order = np.random.default_rng(_seed(question_id)).permutation(len(asked.options))
    choices = [asked.options[place] for place in order]
    text = asked.stem + (options.lettered(choices) if reader == "letter" else "")
    values = {
        "question": text,
        "choices": choices,
        "permutation": order.tolist(),
        "gold": str(order.tolist().index(asked.gold)),
    }
    return values, asked.stem


def _refuse(place: str, faults: list[str], ids: list[str]) -> None:
    if faults:
        raise TmapError(
            f"{len(faults)} of the questions in '{place}' cannot be used; the first is "
            f"{faults[0]}. Fix the file or `questions.columns:` in the dataset card."
        )
    if not ids:
        raise TmapError(f"'{place}' has no questions. Name a file with rows.")
    repeated = pd.Series(ids)[pd.Series(ids).duplicated()]
    if len(repeated):
        raise TmapError(
            f"{len(repeated)} question ids in '{place}' occur twice; the first is "
            f"'{repeated.iloc[0]}'. Make ids unique, or remove `columns.id` so that rows "
            "are numbered."
        )

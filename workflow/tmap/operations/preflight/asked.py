"""What the model itself says before any job: a few answers, and a few rows' scores."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tmap import dag, engines
from tmap.cards.model import ModelCard
from tmap.data import models
from tmap.evaluation.marking import Marking, examine
from tmap.indicators.scoring.losses import Scorer
from tmap.operations.preflight import columns
from tmap.operations.preflight.data import spread
from tmap.prompts.renderer import Renderer
from tmap.search import answers

#: Unread answers that are shown.
SHOWN = 2


@dataclass
class AskFindings:
    """Zero-shot answers of the model.

    Attributes
    ----------
    n, n_right, n_unread : questions, right answers, and those without what the reader wants
    guessed : accuracy of guessing
    unread : texts of the first unread answers
    doubts : why these answers are a poor guide, as sentences
    columns : those that the model measures, on a few rows
    """

    n: int
    n_right: int
    n_unread: int
    guessed: float
    unread: list[str]
    doubts: list[str]
    columns: list[columns.ColumnFindings]


def look(
    dataset: str,
    name: str,
    card: ModelCard,
    reward: pd.DataFrame,
    pool: pd.DataFrame,
    n: int,
) -> AskFindings:
    """Ask the model n of the reward questions, evenly spread, as the search asks them.

    Then measure the model's own columns on a few rows (`columns.of_model`).

    A model of the hub is downloaded, as `fetch_model` would.

    Parameters
    ----------
    reward : table 'questions'
    pool : table 'pool'
    n : at least 1

    Raises
    ------
    TmapError : as in `fetch_model` and in evaluation
    """
    questions = spread(reward, n)
    how: dict[str, Any] = dag.params.evaluate_adapter(dataset, name)
    marking = Marking(how["reader"], how["metric"], card.engine.max_new_tokens)
    with tempfile.TemporaryDirectory() as room:
        record = models.read(**dag.params.fetch_model(name), room=Path(room) / name)
        renderer = Renderer(engines.load_tokenizer(record), how["prompt"])
        lm = engines.load(record, how["engine"])
        found = examine(lm, renderer, questions, [()], marking)
        scorer = Scorer(lm, renderer, record.get("max_positions"))
        scored = columns.of_model(dataset, pool, scorer) if len(pool) else []
    replies = found.replies[0]
    unread = [r.text for r in replies if answers.unread([r], marking)]
    n, n_right = len(replies), int(found.is_correct.sum())
    return AskFindings(
        n,
        n_right,
        len(unread),
        answers.by_guessing(questions, marking),
        unread[:SHOWN],
        answers.doubts(n, n_right, len(unread), questions, marking),
        scored,
    )

"""Answer the test questions after demonstrations: a subset shown instead of trained on."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tmap.engines.base import LanguageModel
from tmap.evaluation.marking import Marked, Marking, examine
from tmap.prompts.conversation import answer_of, question_of
from tmap.prompts.renderer import Demo, Renderer


def rows(pool: pd.DataFrame, subset: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of table 'pool' that table 'subset' names, best first."""
    chosen = pool.set_index("sample_id").loc[subset["sample_id"]].reset_index()
    return chosen.to_dict("records")


def answer(
    lm: LanguageModel,
    renderer: Renderer,
    questions: pd.DataFrame,
    chosen: list[dict[str, Any]],
    marking: Marking,
) -> pd.DataFrame:
    """Table 'predictions': all `questions`, each after all rows of `chosen`, best last.

    Raises
    ------
    TmapError : the demonstrations do not fit the model's context
    """
    demos = [Demo(question_of(row), answer_of(row)) for row in reversed(chosen)]
    found = examine(lm, renderer, questions, [demos], marking)
    predictions = pd.DataFrame(found.replies[0], columns=list(Marked._fields))
    predictions.insert(0, "question_id", questions["question_id"].to_numpy())
    return predictions

"""Measure a model on the test questions with lm-evaluation-harness, zero-shot.

Paper section 4.1: accuracy after fine-tuning. The harness runs on our own engine, see
`tmap.evaluation.harness`.
"""

from __future__ import annotations

import logging
import math
from typing import Any

import pandas as pd

from tmap.engines.base import LanguageModel
from tmap.errors import TmapError
from tmap.evaluation.marking import Marked, Marking, mark_choice
from tmap.prompts.renderer import Renderer

LOG = logging.getLogger(__name__)


def evaluate(
    lm: LanguageModel,
    renderer: Renderer,
    questions: pd.DataFrame,
    marking: Marking,
) -> pd.DataFrame:
    """Answer all `questions` without examples and mark the answers.

    Parameters
    ----------
    questions : table 'questions'

    Returns
    -------
    Table 'predictions', in the order of `questions`.

    Raises
    ------
    TmapError
        If there are no questions.
    """
    if questions.empty:
        raise TmapError(
            "The test set has no questions; it needs at least one. "
            "Lower `reward_share` in the dataset card, or add questions."
        )
    results = _ask_harness(lm, renderer, questions, marking)
    replies = _replies(results, questions, marking)
    predictions = pd.DataFrame(replies, columns=list(Marked._fields))
    _check_accuracy(results, predictions, marking)
    LOG.info(
        "evaluate: %d of %d right, %s",
        predictions["is_correct"].sum(),
        len(predictions),
        marking.metric,
    )
    predictions.insert(0, "question_id", questions["question_id"].to_numpy())
    return predictions


def _ask_harness(
    lm: LanguageModel, renderer: Renderer, questions: pd.DataFrame, marking: Marking
) -> dict[str, Any]:
    from lm_eval import evaluator

    from tmap.evaluation.harness import TASK, EngineModel, QuestionTask

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    results = evaluator.evaluate(
        EngineModel(lm, renderer, marking.max_new_tokens),
        {"tasks": {TASK: QuestionTask(questions, marking)}, "groups": {}},
        bootstrap_iters=0,
    )
    return {"metrics": results["results"][TASK], "samples": results["samples"][TASK]}


def _replies(
    results: dict[str, Any], questions: pd.DataFrame, marking: Marking
) -> list[Marked]:
    """One reply per question, in their order, from the harness's log of samples."""
    samples = sorted(results["samples"], key=lambda sample: sample["doc_id"])
    if not marking.is_choice:
        return [sample["filtered_resps"][0] for sample in samples]
    rows = questions.to_dict("records")
    return [
        mark_choice([-ll for ll, _ in sample["filtered_resps"]], row, marking)
        for sample, row in zip(samples, rows, strict=True)
    ]


def _check_accuracy(
    results: dict[str, Any], predictions: pd.DataFrame, marking: Marking
) -> None:
    """Check that the harness and we count the same accuracy; otherwise there is a bug."""
    metric = f"{marking.metric},none" if marking.is_choice else "is_correct,tmap"
    theirs = results["metrics"][metric]
    ours = predictions["is_correct"].mean()
    if not math.isclose(theirs, ours, abs_tol=1e-9):
        raise AssertionError(f"the harness counts accuracy {theirs}, we count {ours}")

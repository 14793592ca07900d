"""lm-evaluation-harness over our engine: its model class, and a task without network.

The harness manages requests, filters, metrics and aggregation. Prompts, tokens and reading
are ours, so an answer is requested and read as in the reward. A request's context is the
bare question: the renderer makes the prompt, with no examples.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import pandas as pd
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.task import ConfigurableTask

from tmap.engines.base import LanguageModel
from tmap.evaluation.marking import Marking, mark_answer, option_texts
from tmap.prompts.renderer import Renderer

TASK = "tmap"


class EngineModel(LM):
    """Our engine as the harness sees it.

    Parameters
    ----------
    lm : the engine
    renderer : of the same tokenizer
    max_new_tokens : of a generated answer
    """

    def __init__(
        self, lm: LanguageModel, renderer: Renderer, max_new_tokens: int
    ) -> None:
        super().__init__()
        self.lm, self.renderer = lm, renderer
        self.max_new_tokens = max_new_tokens

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Greedy answers, cut at the renderer's stop texts; requests have none."""
        prefix, questions = self._prompts([request.args[0] for request in requests])
        written = self.lm.generate(
            [prefix],
            questions,
            max_new_tokens=self.max_new_tokens,
            stop=self.renderer.stop,
        )
        return [self.renderer.read(ids) for ids in written[0]]

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """(log-likelihood in nats, False) per option; greediness is not computed."""
        by_question = [list(g) for _, g in groupby(requests, lambda r: r.doc_id)]
        prefix, questions = self._prompts([group[0].args[0] for group in by_question])
        options = [
            [self.renderer.answer(request.args[1]) for request in group]
            for group in by_question
        ]
        found = self.lm.option_nll([prefix], questions, options)[0]
        return [(-value, False) for of_question in found for value in of_question]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Not supported: this workflow does not score running text."""
        raise NotImplementedError(
            "The engine answers questions; it does not score running text. "
            "Use a task of output type generate_until or multiple_choice."
        )

    def _prompts(self, questions: Sequence[str]) -> tuple[list[int], list[list[int]]]:
        prompts = [self.renderer.render(question) for question in questions]
        return prompts[0].prefix, [prompt.question for prompt in prompts]


class QuestionTask(ConfigurableTask):
    """A table of questions as a zero-shot task of the harness.

    Our reader is the task's filter for written answers; choices are marked by the
    harness's own `acc` and `acc_norm`.

    Parameters
    ----------
    questions : table 'questions'
    marking : reader and metric
    """

    def __init__(self, questions: pd.DataFrame, marking: Marking) -> None:
        docs = _docs(questions, marking)
        how = _choice_config() if marking.is_choice else _answer_config(marking.metric)
        names = ("acc", "acc_norm") if marking.is_choice else ("is_correct",)
        metrics = [
            {"metric": name, "aggregation": "mean", "higher_is_better": True}
            for name in names
        ]
        common = {
            "task": TASK,
            "custom_dataset": lambda **_: {"test": docs},
            "test_split": "test",
            "doc_to_text": lambda doc: doc["question"],
            "num_fewshot": 0,
            "metric_list": metrics,
        }
        super().__init__(config={**common, **how})

    def build_all_requests(self, **options: Any) -> None:
        """As inherited, without the progress bar."""
        with contextlib.redirect_stderr(io.StringIO()):
            super().build_all_requests(**options)


def _docs(questions: pd.DataFrame, marking: Marking) -> Any:
    from datasets import Dataset

    docs = []
    for row in questions.to_dict("records"):
        doc = {"question": row["question"], "gold": row["gold"]}
        if marking.is_choice:
            doc["options"] = option_texts(row, marking)
        docs.append(doc)
    return Dataset.from_list(docs)


def _choice_config() -> dict[str, Any]:
    return {
        "output_type": "multiple_choice",
        "doc_to_choice": lambda doc: doc["options"],
        "doc_to_target": lambda doc: int(doc["gold"]),
        "target_delimiter": "",
    }


def _answer_config(metric: str) -> dict[str, Any]:
    def read(replies: list[list[str]], docs: list[dict[str, Any]]) -> list[Any]:
        return [
            mark_answer(texts[0], doc["gold"], metric)
            for texts, doc in zip(replies, docs, strict=True)
        ]

    return {
        "output_type": "generate_until",
        "doc_to_target": lambda doc: doc["gold"],
        "generation_kwargs": {"until": [], "do_sample": False},
        "filter_list": [
            {"name": TASK, "filter": [{"function": "custom", "filter_fn": read}]}
        ],
        "process_results": lambda doc, replies: {
            "is_correct": float(replies[0].is_correct)
        },
    }

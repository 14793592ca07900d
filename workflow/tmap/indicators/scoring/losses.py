"""The losses from which model-based indicators are computed."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tmap.cards.model import EngineSection, PromptSection
from tmap.indicators import Scores
from tmap.prompts.conversation import answer_of, question_of
from tmap.prompts.renderer import Demo, Renderer
from tmap.store.shards import WHOLE, Share

if TYPE_CHECKING:
    from tmap.engines.base import Ids, LanguageModel
    from tmap.store.measurements import OpenStore


@dataclass(frozen=True)
class Scorer:
    """The instrument of a model-based indicator.

    Attributes
    ----------
    lm : the engine
    renderer : the same that reward, fine-tuning and evaluation use
    max_positions : tokens that prompt and answer may have together; None: no limit
    embeddings : table 'embeddings' of the text that the indicator `embeds`, if any
    """

    lm: LanguageModel
    renderer: Renderer
    max_positions: int | None
    embeddings: pd.DataFrame | None = None

    @property
    def kept(self) -> Any:
        """The engine as a `CachingEngine`; None if it has no cache."""
        return self.lm if hasattr(self.lm, "measure_noted") else None

    @property
    def in_parts(self) -> bool:
        """Whether the measurements of rows do not depend on the other rows."""
        return self.kept is not None


def load(
    record: dict[str, Any],
    *,
    prompt: PromptSection,
    engine: EngineSection,
    embeddings: pd.DataFrame | None = None,
    open_store: OpenStore | None = None,
    share: Share = WHOLE,
) -> Scorer:
    """A scorer for a fetched model: its record and two sections of its card.

    Parameters
    ----------
    open_store : opens the store of measurements; weights are then loaded only if needed
    share : the share that this job measures; needs a store
    """
    from tmap import engines
    from tmap.engines.deferred import Deferred
    from tmap.store.caching_engine import CachingEngine

    lm: Any
    if open_store is None:
        lm = engines.load(record, engine)
    else:
        words = prompt.model_dump(mode="json")
        lm = Deferred(record, engine)
        lm = CachingEngine(lm, words, record, open_store, share)
    renderer = Renderer(lm.tokenizer, prompt)
    return Scorer(lm, renderer, record.get("max_positions"), embeddings)


def exchange_ids(
    pool: pd.DataFrame,
    renderer: Renderer,
    demos: Sequence[Sequence[Demo]] | None = None,
) -> tuple[list[Ids], list[Ids]]:
    """Prompt and answer of each row's first exchange as ids, 4 bytes each.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    renderer : of the model card
    demos : the examples in each row's prompt; None: no examples
    """
    shown = [()] * len(pool) if demos is None else demos
    asked: list[Ids] = []
    answers: list[Ids] = []
    for row, its in zip(pool.to_dict("records"), shown, strict=True):
        said = answer_of(row)
        prompt = renderer.render(question_of(row), its, said)
        asked.append(array("i", [*prompt.prefix, *prompt.question]))
        answers.append(array("i", renderer.answer(said)))
    return asked, answers


def mean_nll(
    pool: pd.DataFrame,
    scorer: Scorer,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
) -> Scores:
    """Mean negative log-likelihood of each row's answer, per scored token.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    scorer : engine and renderer
    prompts, answers : ids of each row; after an empty prompt, the first token of the
        answer is not scored

    Returns
    -------
    (n_samples,) nats per token, and statuses: `empty` without a token to score,
    `truncated` if prompt and answer together do not fit into the context, `failed` if the
    loss is not finite. They depend on the ids, not on the order of the rows.
    """
    # Without a prompt the first token is context, not a prediction.
    n_scored = [len(a) - (not p) for p, a in zip(prompts, answers, strict=True)]
    lengths = [len(p) + len(a) for p, a in zip(prompts, answers, strict=True)]
    limit = scorer.max_positions or max(lengths, default=0)
    status = np.full(len(pool), "ok", dtype=object)
    status[np.array(lengths) > limit] = "truncated"
    status[np.array(n_scored) < 1] = "empty"
    ids = pool["sample_id"].tolist()
    todo = [i for i in range(len(pool)) if status[i] == "ok"]
    # One order for the engine, independent of the pool's, for equal batches and bits.
    todo.sort(key=lambda i: (-lengths[i], ids[i]))
    total, count = scorer.lm.answer_nll(
        [prompts[i] for i in todo], [answers[i] for i in todo]
    )
    loss = np.full(len(pool), np.nan)
    loss[todo] = total / count
    return finite(loss, status)


def finite(score: np.ndarray, status: np.ndarray) -> Scores:
    """Turn `ok` into `failed` if the score is not finite; NaN for every other status."""
    status = np.where((status == "ok") & ~np.isfinite(score), "failed", status)
    return Scores(np.where(status == "ok", score, np.nan), status)

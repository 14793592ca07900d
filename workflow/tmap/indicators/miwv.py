"""Model instruction weakness value: how much the most similar example hurts.

With L the mean negative log-likelihood in nats of the response's tokens, x the question
and C the most similar other sample of the pool, shown with its response::

    L(y | C, x) - L(y | x)

    1.5 nats with the neighbour, 1.2 without       1.5 - 1.2 = 0.3

The source keeps the highest values: if even the most similar example does not help, this is
taken as a weakness of the model that training should fix. A negative value means that the
example helps. Question, prompt and counted tokens are those of `perplexity`.

The neighbour. Similarity is the cosine of the questions' embeddings (`embed_pool`); among
equally similar rows, the first by text hash, then id. `encoder` is a model card, or "" for
the target model itself; the source uses BGE-large (card `bge_large`, `pooling: first`).
Rows without a question or a response are never shown, nor are rows that take more than half
of the context. An exact copy of a row can be its neighbour: deduplicate first if copies
should not answer each other.

Statuses: `empty` without a response, `truncated` if neighbour, question and response do
not fit into the model's context together (nothing is cut), `failed` if no other row can be
shown or a loss is not finite. For a chat of several turns, the first exchange is measured.

Source: Wang et al. 2025, arXiv:2511.07074. Its code is not published; two
re-implementations agree on the formula, but one of them interprets its sign the other way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tmap.embeddings import index
from tmap.indicators import Scores, indicator
from tmap.indicators.scoring.examples import complete, demos_of, prefix_lengths, vectors
from tmap.indicators.scoring.losses import Scorer, exchange_ids, finite, mean_nll
from tmap.prompts.renderer import Demo


@indicator(
    unit="nats per token",
    source="arXiv:2511.07074",
    looks_at="target",
    scope="pool",
    embeds="question",
    cost="two forward passes of the target model per row, and its embedding",
)
def miwv(
    pool: pd.DataFrame, lm: Scorer, *, encoder: str = "", pooling: str = "mean"
) -> Scores:
    """Measure every response with and without its nearest neighbour.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    lm : the target model, its renderer, and embeddings of the questions
    encoder : model card that made the embeddings; "" for the target model
    pooling : how it pooled them: first | last | mean | own

    Returns
    -------
    (n_samples,) any sign; higher means that the example helps less
    """
    shown, how = _neighbours(pool, lm)
    alone = mean_nll(pool, lm, *exchange_ids(pool, lm.renderer))
    ids = exchange_ids(pool, lm.renderer, shown)
    given = mean_nll(pool, lm, *ids)
    status = np.where(alone.status == "ok", given.status, alone.status)
    lonely = np.array([not demos for demos in shown], dtype=bool)
    status[(status == "ok") & lonely] = "failed"
    scores = finite(given.score - alone.score, status)
    return scores._replace(notes={"compared": how})


def _neighbours(
    pool: pd.DataFrame, lm: Scorer
) -> tuple[list[list[Demo]], dict[str, Any]]:
    """The examples in each row's prompt, one or none; and how they were found."""
    demos = demos_of(pool)
    rows = complete(pool, demos)
    size = prefix_lengths([demos[i] for i in rows], lm.renderer)
    room = np.inf if lm.max_positions is None else lm.max_positions // 2
    near, how = index.nearest_other(
        vectors(pool.iloc[rows], lm, "miwv"), allowed=size <= room
    )
    shown: list[list[Demo]] = [[] for _ in demos]
    for row, other in zip(rows, near, strict=True):
        if other >= 0:
            shown[row] = [demos[rows[other]]]
    return shown, how

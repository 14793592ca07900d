"""Golden score: the share of other tasks that this sample helps as a single example.

With A the anchors (rows that represent the pool), and the likelihoods those of the anchor's
response y given its question x, with the candidate c as an example or without one::

    |{(x, y) in A : P(y | c, x) > P(y | x)}| / |A|

    likelier with c for 3 anchors of 4       3 / 4 = 0.75

The comparison is strict: an anchor that c leaves unchanged does not count. Sums and means
over tokens give the same score, because both sides have the same tokens.

The anchors. K-means over the questions' embeddings (`embed_pool`) with `n_anchors`
clusters; the anchor of each is the row nearest to its centre. Only rows of at most
`max_anchor_tokens` can be anchors: the source pads or cuts its anchors to 200 tokens,
which cuts answers off. Anchors with the candidate's own text are left out of
numerator and denominator. (The source does not mention this case; such an anchor would
always count.)

Every candidate is read once, and all anchors share its keys and values if the engine's
model allows. Statuses: `empty` without question or response, `truncated` if the candidate
and the longest anchor do not fit into the context together, `failed` without an anchor or
with a loss that is not finite. For a chat of several turns, the first exchange is shown.

Source: Li et al. 2023, arXiv:2312.10302 (Nuggets; they keep 0.5 to 0.85 and above, or
the top 1 %).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from tmap.errors import TmapError
from tmap.indicators import Scores, indicator
from tmap.indicators.scoring.examples import complete, demos_of, prefix_lengths, vectors
from tmap.indicators.scoring.losses import Scorer
from tmap.prompts.renderer import Demo
from tmap.tiny import anchors


class Asked(NamedTuple):
    """The anchors' questions as ids, after one example and without, and their answers."""

    after_one: list[list[int]]
    after_none: list[list[int]]
    answers: list[list[list[int]]]


@indicator(
    unit="share of anchors",
    source="arXiv:2312.10302",
    looks_at="target",
    scope="pool",
    embeds="question",
    cost="a pass over `n_anchors` questions and answers per row, and its embedding",
    least={"n_anchors": 1, "max_anchor_tokens": 1, "seed": 0},
)
def nuggets(
    pool: pd.DataFrame,
    lm: Scorer,
    *,
    n_anchors: int = 100,
    max_anchor_tokens: int = 200,
    seed: int = 0,
    encoder: str = "",
    pooling: str = "mean",
) -> Scores:
    """Show every row to every anchor.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    lm : the target model, its renderer, and embeddings of the questions
    n_anchors : most rows that represent the pool
    max_anchor_tokens : most tokens of an anchor as an example in a prompt
    seed : of K-means
    encoder : model card that made the embeddings; "" for the target model
    pooling : how it pooled them: first | last | mean | own

    Returns
    -------
    (n_samples,) in [0, 1]; higher means that it helps more often
    """
    demos = demos_of(pool)
    rows = complete(pool, demos)
    score = np.full(len(pool), np.nan)
    status = np.full(len(pool), "empty", dtype=object)
    if not len(rows):
        return Scores(score, status)
    examples = [demos[i] for i in rows]
    size = prefix_lengths(examples, lm.renderer)
    where = vectors(pool.iloc[rows], lm, "nuggets")
    chosen = _anchors(where, size <= max_anchor_tokens, n_anchors, seed)
    texts = pool["text_hash"].to_numpy()[rows]
    status[rows], score[rows] = _golden(examples, size, texts, chosen, lm)
    anchor_ids = pool["sample_id"].to_numpy()[rows[chosen]]
    return Scores(score, status, {"anchors": anchor_ids.tolist()})


def _golden(
    examples: list[Demo],
    size: np.ndarray,
    texts: np.ndarray,
    chosen: np.ndarray,
    lm: Scorer,
) -> tuple[np.ndarray, np.ndarray]:
    """Status and score of every candidate; `chosen` are the positions of the anchors."""
    asked = _asked([examples[i] for i in chosen], lm)
    pairs = zip(asked.after_one, asked.answers, strict=True)
    widest = max(len(question) + len(answer) for question, (answer,) in pairs)
    fits = size + widest <= (lm.max_positions or np.inf)
    nll = _losses([examples[i] for i in np.flatnonzero(fits)], asked, lm)
    foreign = texts[fits][:, None] != texts[chosen][None, :]
    score = np.full(len(examples), np.nan)
    score[fits] = _share(nll, foreign)
    status = np.where(np.isfinite(score), "ok", "failed").astype(object)
    return np.where(fits, status, "truncated"), score


def _anchors(
    where: np.ndarray, eligible: np.ndarray, n_anchors: int, seed: int
) -> np.ndarray:
    """Rows that represent the pool, at most `n_anchors`."""
    n = min(n_anchors, int(eligible.sum()))
    if n < 1:
        raise TmapError(
            "Indicator 'nuggets' finds no row short enough to be an anchor; it needs at "
            "least one. Raise `max_anchor_tokens:` under `indicators: nuggets:` in the "
            "dataset card."
        )
    return anchors.kmeans(where, n, seed, eligible).position


def _asked(examples: list[Demo], lm: Scorer) -> Asked:
    render = lm.renderer.render
    return Asked(
        [render(d.question, [d], d.answer).question for d in examples],
        [render(d.question, (), d.answer).question for d in examples],
        [[lm.renderer.answer(demo.answer)] for demo in examples],
    )


def _losses(candidates: list[Demo], asked: Asked, lm: Scorer) -> np.ndarray:
    """(1 + n_candidates, n_anchors) nats, the first row without an example."""
    none = [lm.renderer.render("").prefix]
    ones = [lm.renderer.render("", [demo]).prefix for demo in candidates]
    bare = lm.lm.option_nll(none, asked.after_none, asked.answers)
    given = lm.lm.option_nll(ones, asked.after_one, asked.answers)
    return np.array([*bare, *given], dtype=np.float64)[:, :, 0]


def _share(nll: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(n_candidates,) share of likelier anchors among those that count; NaN if none."""
    better = ((nll[1:] < nll[:1]) & counts).sum(axis=1)
    n = counts.sum(axis=1)
    known = np.isfinite(nll[1:]).all(axis=1) & np.isfinite(nll[0]).all() & (n > 0)
    return np.divide(better, n, out=np.full(len(n), np.nan), where=known)

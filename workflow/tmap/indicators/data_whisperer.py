"""How well a sample works as an example: accuracy on others, divided by attention.

A batch shows `n_demos` samples and asks `n_queries` others together. With f the mean
metric of the answers against the queries' own responses, and a_i the attention of the
question's tokens to those of example i (one layer, summed over heads, mean over pairs of
tokens), example i gets::

    f a_i / (a_1 + ... + a_n)

    2 of 3 queries right, attention 0.3, 0.1, 0.1       2/3 x 0.6 = 0.4 for the first

`mode: paper` deals all samples into batches at random, `rounds` times, draws the queries
from the samples that the batch does not show, and averages the scores of each sample. The
last batch of a round is filled up with samples of other batches. The number of rounds is
not published.

`mode: original` follows the published code: two halves (seed 42), each shown once in
order, five at a time, with queries taken in turn from the other half; the last queries of
a half may be fewer, and then it starts again. If the last batch shows fewer samples, f is
shared among fewer. The code uses the order of the file; we order by text hash, then id.

The prompt. Examples are exchanges of the model card's template; the last question lists
the queries, and each answer must begin with its number. Answers are read by these rules (a
single query is asked as it is, and the whole reply is its answer)::

    "Answer 1: ...", "**Answer 2.** ..."    at the beginning of a line, in any case
    1, 2, ..., n, each once, in order       otherwise the batch is not read

An unreadable batch gives no scores; a sample that appears in no other batch is `unparsable`
(the published code leaves it at 0, the lowest rank). `metric: number` marks by the last
number, as for GSM8K (the published code requires "####", splits 1,000 and loses minus
signs); `metric: rouge_l` is the F1 of the longest common subsequence of words.

`layer` counts from 0; null means two fifths of the depth, which for Llama-3-8B is the
published code's 13 of 32 (it has a layer for each model name: 16 of 28 for Qwen2.5, 10 of
32 for Mistral). An example's tokens are those that it adds to the prompt.

Other statuses: `empty` without question or response, `truncated` if a sample takes more
than its share of the context, `failed` in a pool without other samples. For a chat of
several turns, the first exchange is shown.

Source: Wang et al. 2025, arXiv:2505.12212. The paper does not specify by which lengths
attention is divided; both modes divide by the tokens of the example and of the question,
as the published code does.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tmap.errors import TmapError
from tmap.indicators import Scores, indicator
from tmap.indicators.scoring import whisper
from tmap.indicators.scoring.examples import complete, demos_of, prefix_lengths
from tmap.indicators.scoring.losses import Scorer

MODES = ("paper", "original")


@indicator(
    unit="share of the metric, 0-1",
    source="arXiv:2505.12212",
    looks_at="target",
    scope="pool",
    cost="a written answer of the target model per `n_demos` rows, times `rounds`",
    choices={"mode": MODES, "metric": tuple(whisper.METRICS)},
    least={
        **dict.fromkeys(("n_demos", "n_queries", "rounds", "max_new_tokens"), 1),
        **dict.fromkeys(("seed", "layer"), 0),
    },
)
def data_whisperer(
    pool: pd.DataFrame,
    lm: Scorer,
    *,
    mode: str = "paper",
    n_demos: int = 5,
    n_queries: int = 3,
    rounds: int = 1,
    seed: int = 42,
    layer: int | None = None,
    metric: str = "number",
    max_new_tokens: int = 512,
) -> Scores:
    """Show all rows to the model, a few at a time.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    lm : the target model and its renderer
    mode : paper | original
    n_demos, n_queries : numbers of samples that a batch shows and asks
    rounds : times that every sample is shown (mode paper)
    seed : of all draws
    layer : the layer of the attention weights; null for two fifths of the depth
    metric : number | rouge_l
    max_new_tokens : of all answers to one batch, together

    Returns
    -------
    (n_samples,) in [0, 1]; higher means that it helps more with other questions
    """
    counts = {"n_demos": n_demos, "n_queries": n_queries, "rounds": rounds}
    how = whisper.Asking(metric, _layer(layer, lm), max_new_tokens)
    demos = demos_of(pool)
    status = np.full(len(pool), "empty", dtype=object)
    score = np.full(len(pool), np.nan)
    rows = complete(pool, demos)
    status[rows] = "truncated"
    size = prefix_lengths([demos[i] for i in rows], lm.renderer)
    rows = rows[size <= whisper.room(lm, n_demos, n_queries, max_new_tokens)]
    deal = whisper.deal_original if mode == "original" else whisper.deal_paper
    batches = deal(len(rows), seed=seed, **counts)
    shares = whisper.shares([demos[i] for i in rows], batches, how, lm)
    status[rows], score[rows] = _mean(len(rows), batches, shares)
    unread = sum(share is None for share in shares)
    notes = {"layer": how.layer, "batches": len(batches), "unread_batches": unread}
    return Scores(score, status, notes)


def _mean(
    n: int, batches: list[whisper.Batch], shares: list[np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Status and score of every sample, over the batches that show it and were read."""
    status = np.full(n, "failed", dtype=object)
    total, count = np.zeros(n), np.zeros(n)
    for batch, share in zip(batches, shares, strict=True):
        if share is None:
            status[batch.demos] = "unparsable"
        else:
            total[batch.demos] += share
            count[batch.demos] += 1
    score = np.divide(total, count, out=np.full(n, np.nan), where=count > 0)
    status[count > 0] = np.where(np.isfinite(score[count > 0]), "ok", "failed")
    return status, np.where(status == "ok", score, np.nan)


def _layer(layer: int | None, lm: Scorer) -> int:
    """The layer of the attention weights, from 0."""
    n_layers = lm.lm.n_layers
    chosen = round(0.4 * n_layers) if layer is None else layer
    if not 0 <= chosen < n_layers:
        raise TmapError(
            f"`layer: {chosen}` of data_whisperer is not one of the model's {n_layers}, "
            f"which count from 0 to {n_layers - 1}. Set it under `indicators: "
            "data_whisperer:` in the dataset card."
        )
    return chosen

"""Instruction-following difficulty: how little the instruction helps with the response.

With c the mean negative log-likelihood in nats of the response's tokens after the
prompt, and a the same without the prompt::

    variant: ppl_ratio     exp(c) / exp(a) = exp(c - a)      Superfiltering
    variant: loss_ratio    c / a                             Cherry LLM

    c = 1.2, a = 2.0       exp(-0.8) = 0.449,    1.2 / 2.0 = 0.6

Below 1 the instruction helps; near 0 it all but gives the response away; above 1 it
misleads. The column keeps all values.

The first token. After the prompt, every response token counts. Without the prompt, the
first token has nothing before it and is left out of the mean: `alone: nothing`, as
published. With `alone: bos`, it follows the beginning-of-sequence token and counts, so that
both means are over the same tokens; this needs a tokenizer with that token. (In Cherry LLM,
the response alone follows the header of its template, which we do not do.)

The tokens. Both passes see the same ids. With `template: false`, the response follows the
instruction, any input on the next line, and a line break, as in Superfiltering, without
BOS. With `template: true`, it follows the prompt of the proxy's model card, including BOS.
Prompt and response are tokenised separately, so that no token spans both; the source
tokenises them together and searches the result for the response's text, so a merged token
shifts the count. The source cuts long rows at 1,024 tokens; we report `truncated`: prompt
and response must fit into the proxy's context together. A response of a single token leaves
nothing to count without the prompt and is `empty`. For a chat of several turns, the first
exchange is measured.

A selection by IFD first drops rows at 1 and above: method card `ifd`, `filter: below:`.

Source: Li et al. 2024, arXiv:2402.00530 (Superfiltering: ppl_ratio, GPT-2), after Li et
al. 2023, arXiv:2308.12032 (Cherry LLM: loss_ratio); TMAP Table 7, "IFD".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tmap.errors import TmapError
from tmap.indicators import Scores, indicator
from tmap.indicators.scoring.losses import Scorer, exchange_ids, finite, mean_nll
from tmap.prompts.conversation import answer_of, has_turns, question_of
from tmap.prompts.encoding import SafeTokenizer, Text
from tmap.prompts.renderer import Renderer, clean

VARIANTS = ("ppl_ratio", "loss_ratio")
ALONE = ("nothing", "bos")


@indicator(
    unit="ratio",
    source="arXiv:2402.00530",
    looks_at="proxy",
    choices={"variant": VARIANTS, "alone": ALONE},
)
def ifd(
    pool: pd.DataFrame,
    lm: Scorer,
    *,
    proxy: str = "gpt2",
    variant: str = "ppl_ratio",
    alone: str = "nothing",
    template: bool = False,
) -> Scores:
    """Compare every response with and without its instruction.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    lm : the proxy model and its renderer
    proxy : model card that `lm` was made from
    variant : ppl_ratio | loss_ratio
    alone : nothing | bos: the text before the response when there is no prompt
    template : whether the proxy's prompt template is used

    Returns
    -------
    (n_samples,) above 0; higher means that the instruction helps less
    """
    prompts, answers = (exchange_ids if template else _bare_ids)(pool, lm.renderer)
    given, status, _ = mean_nll(pool, lm, prompts, answers)
    opening = [_opening(lm.renderer, alone)] * len(pool)
    bare, bare_status, _ = mean_nll(pool, lm, opening, answers)
    status = np.where(status == "ok", bare_status, status)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        ratio = np.exp(given - bare) if variant == "ppl_ratio" else given / bare
    return finite(ratio, status)


def _bare_ids(
    pool: pd.DataFrame, renderer: Renderer
) -> tuple[list[list[int]], list[list[int]]]:
    """Prompts and answers without a template, with a line break between them."""
    encoder = SafeTokenizer(renderer.tokenizer, "")
    texts = [
        (f"{_asked(row)}\n", clean(answer_of(row))) for row in pool.to_dict("records")
    ]
    ids = [[encoder.encode([Text(text, False)]) for text in pair] for pair in texts]
    return [prompt for prompt, _ in ids], [answer for _, answer in ids]


def _asked(row: Mapping[str, Any]) -> str:
    """The instruction, and any input on the next line; of a chat, its question."""
    if has_turns(row):
        return clean(question_of(row))
    parts = (clean(str(row[key] or "")) for key in ("instruction", "input"))
    return "\n".join(part for part in parts if part)


def _opening(renderer: Renderer, alone: str) -> list[int]:
    """The ids before the response when there is no prompt."""
    if alone == "nothing":
        return []
    if renderer.tokenizer.bos_token_id is None:
        raise TmapError(
            "The proxy has no beginning-of-sequence token, which `alone: bos` needs. "
            "Set `alone: nothing`."
        )
    return [renderer.tokenizer.bos_token_id]

"""Instruction-following difficulty: how little the instruction helps to the response.

With c the mean negative log-likelihood in nats of the response's tokens after the
prompt, and a the same without the prompt::

    variant: ppl_ratio     exp(c) / exp(a) = exp(c - a)      Superfiltering
    variant: loss_ratio    c / a                             Cherry LLM

    c = 1.2, a = 2.0       exp(-0.8) = 0.449,    1.2 / 2.0 = 0.6

Below 1 the instruction helps, near 0 it gives the response away; above 1 it misleads.
The column keeps all values.

The first token. After the prompt, every response token counts. Alone, the first token
has nothing before it and is left out of the mean: `alone: nothing`, as published. With
`alone: bos` it follows the beginning-of-sequence token and counts, so that both means
are over the same tokens; a tokenizer without that token has no such variant.

The tokens. Both passes see the same ids: those of the response as it follows the prompt
of the proxy's model card (`template: plain` for GPT-2). The source writes the
instruction and a line break instead, and cuts long rows at 1,024 tokens, where we
report `truncated`: prompt and response must fit the proxy's context together. A
response of a single token has nothing to count alone and is `empty`. Of a chat of
several turns, the first exchange is measured.

Source: Li et al. 2024, arXiv:2402.00530 (Superfiltering: ppl_ratio, GPT-2), after Li et
al. 2023, arXiv:2308.12032 (Cherry LLM: loss_ratio); TMAP Table 7, "IFD".
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tmap.errors import unknown
from tmap.indicators import Scores, indicator
from tmap.scoring import Scorer, finite, mean_nll

VARIANTS = ("ppl_ratio", "loss_ratio")
ALONE = ("nothing", "bos")


@indicator(unit="ratio", source="arXiv:2402.00530", looks_at="proxy")
def ifd(
    pool: pd.DataFrame,
    lm: Scorer,
    *,
    proxy: str = "gpt2",
    variant: str = "ppl_ratio",
    alone: str = "nothing",
) -> Scores:
    """Compare every response with and without its instruction.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    lm : the proxy model and its renderer
    proxy : model card that `lm` was made from
    variant : ppl_ratio | loss_ratio
    alone : nothing | bos, what the response follows without its prompt

    Returns
    -------
    (n_samples,) above 0; higher means that the instruction helps less
    """
    cure = "Set it under `indicators: ifd:` in the dataset card."
    if variant not in VARIANTS:
        raise unknown("variant of ifd", variant, VARIANTS, cure)
    if alone not in ALONE:
        raise unknown("value of 'alone' in ifd", alone, ALONE, cure)
    given, status, _ = mean_nll(pool, lm, after="prompt", what="ifd, after the prompt")
    bare, bare_status, _ = mean_nll(
        pool, lm, after="bos" if alone == "bos" else "nothing", what="ifd, alone"
    )
    status = np.where(status == "ok", bare_status, status)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        ratio = np.exp(given - bare) if variant == "ppl_ratio" else given / bare
    return finite(ratio, status)

"""Length of the response: long answers tend to carry more detail.

Formula: the number of characters (Unicode code points, without white space at both ends),
of words (maximal runs without white space) or of tokens (of the same text, without special
tokens)::

    "Now there are 3 + 4 = 7 pears."      30 characters, 9 words

For a chat of several turns, the sum over its assistant turns; system and user turns do not
count. A row whose assistant turns are all blank is `empty`.

The source counts tokens. `count: tokens` needs a model card, whose tokenizer is used, as in
`{count: tokens, tokenizer: gpt2}`; the weights are not read. Within one pool,
characters give almost the same ranking, and do not change with the model.

Source: Zhao et al. 2024, arXiv:2402.04833; TMAP Table 7, "Output Length".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from tmap.errors import TmapError
from tmap.indicators import Scores, indicator
from tmap.indicators.scoring.turns import total, total_of_all

COUNTS: dict[str, Callable[[str], int]] = {
    "characters": len,
    "words": lambda text: len(text.split()),
}


@indicator(
    unit="characters (or words, tokens)",
    source="arXiv:2402.04833",
    choices={"count": (*COUNTS, "tokens")},
)
def output_length(
    pool: pd.DataFrame,
    lm: Any = None,
    *,
    count: str = "characters",
    tokenizer: str = "",
) -> Scores:
    """Measure every response.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    lm : the tokenizer that counts tokens
    count : characters | words | tokens
    tokenizer : model card that `lm` was made from, for count tokens

    Returns
    -------
    (n_samples,) at least 1; higher means longer
    """
    if count != "tokens":
        measure = COUNTS[count]
        return total(pool, lambda text: measure(text.strip()))
    if lm is None:
        raise TmapError(
            "`count: tokens` of output_length needs a tokenizer, but none was given. "
            "Set `tokenizer: MODEL_CARD` next to it in the dataset card."
        )
    return total_of_all(pool, lambda texts: _tokens(lm, texts))


def _tokens(tokenizer: Any, texts: list[str]) -> list[int]:
    # Replace lone surrogates; text that looks like a control token counts as text.
    sound = [text.strip().encode("utf-8", "replace").decode("utf-8") for text in texts]
    if not sound:
        return []
    found = tokenizer(
        sound, add_special_tokens=False, split_special_tokens=True, verbose=False
    )
    return [len(ids) for ids in found["input_ids"]]

"""Number of reasoning steps in the response.

`rule: lines` (GSM8K has one step per line; elsewhere this is a lower bound): non-empty
lines that do not begin with the answer mark::

    Weng earns 12/60 = $0.2 per minute.      1
    In 50 minutes, 0.2 x 50 = $10.           2
    #### 10                                  not a step

`rule: connectives` (for prose; a rough count): words and phrases of `CONNECTIVES`,
whole words in any case, the longest first::

    First weigh it. It is heavy, therefore it sinks.      2: first, therefore

For a chat of several turns, both are summed over its assistant turns; a row whose assistant
turns are all blank is `empty`. An answer line alone has 0 steps.

Source: Jin et al. 2024, arXiv:2401.04925, who show that longer chains of steps help;
TMAP Table 7, "Number of Reasoning Steps". The counting rules are not published; these are
ours.
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from tmap.indicators import Scores, indicator
from tmap.indicators.scoring.turns import total

#: Words and phrases that begin a step in English prose.
CONNECTIVES = (
    "after that",
    "as a result",
    "because",
    "consequently",
    "finally",
    "first",
    "firstly",
    "following this",
    "hence",
    "in conclusion",
    "it follows that",
    "lastly",
    "next",
    "second",
    "secondly",
    "since",
    "so",
    "then",
    "therefore",
    "third",
    "thirdly",
    "this means",
    "thus",
)
RULES = ("lines", "connectives")
_CONNECTIVE = re.compile(
    rf"\b(?:{'|'.join(sorted(CONNECTIVES, key=len, reverse=True))})\b", re.IGNORECASE
)


@indicator(unit="steps", source="arXiv:2401.04925", choices={"rule": RULES})
def reason_steps(
    pool: pd.DataFrame,
    lm: Any = None,
    *,
    rule: str = "lines",
    answer_mark: str = "####",
) -> Scores:
    """Count the steps of every response.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    lm : ignored
    rule : lines | connectives
    answer_mark : beginning of the line with the final answer, for rule lines

    Returns
    -------
    (n_samples,) at least 0; higher means harder
    """
    if rule == "connectives":
        return total(pool, lambda text: len(_CONNECTIVE.findall(text)))
    return total(pool, lambda text: _lines(text, answer_mark))


def _lines(text: str, answer_mark: str) -> int:
    lines = (line.strip() for line in text.splitlines())
    return sum(bool(line) and not _is_answer(line, answer_mark) for line in lines)


def _is_answer(line: str, answer_mark: str) -> bool:
    return bool(answer_mark) and line.startswith(answer_mark)

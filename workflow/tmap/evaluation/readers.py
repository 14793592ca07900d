r"""Readers of answers: the same for reward and evaluation.

`strict` and `flexible` read as lm-evaluation-harness reads GSM8K (`lm_eval/tasks/gsm8k`,
version 3.0) and compare text, so that they mean what its users expect. Also what people
read differently stays as it is there: "#### 3/4" is 3 and 4, "18.0" is not 18.

`numeric` compares values and reads what a human reads (`tmap.evaluation.numbers`):

- Golds and answers are read by one rule, so that a gold's own text is always right.
- After the mark, an expression has the value behind its "=", and none if it is
  unfinished, a time, a range or a choice of two. The mark decides: the reader does not
  look for another number in the text then.
- The first "####" counts, as in `strict`, because models without instruction tuning go
  on with questions of their own. Who corrects an answer below it is marked on the first.
- Without "####" the last \boxed{} counts, without that the last number of the text, as
  in `flexible`: "18 apples. (I checked 3 times.)" is 3.

All readers take time that is linear in the length of a text, and read only the first and
the last `LONGEST` / 2 characters of one that is longer.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tmap.errors import TmapError
from tmap.evaluation import numbers

#: Raised with every change that can alter a verdict; part of every ledger key.
READER_VERSION = 2
#: Characters of an answer that are read; no answer of a few thousand tokens is longer.
LONGEST = 100_000

MINUS = str.maketrans({"−": "-", "﹣": "-", "－": "-"})  # noqa: RUF001
STRICT = re.compile(r"#### (-?[0-9.,]+)")
#: The harness's pattern; `read_number` skips matches that have no digit ("...", "$").
FLEXIBLE = re.compile(r"-?[$0-9.,]{2,}|-?[0-9]+")
MARKED = re.compile(r"####\s*(.*)")
BOXED = "\\boxed{"


class Reading(NamedTuple):
    """An answer as read by three readers; None if one finds nothing.

    Attributes
    ----------
    strict : the number after the first "#### "
    flexible : the last number of the text
    numeric : value of the number after the first "####", in one spelling ("1000",
        "-0.5", "1/3"); without that mark, of the last number of the text
    """

    strict: str | None
    flexible: str | None
    numeric: str | None


def read_number(text: str) -> Reading:
    r"""Read the final number of an answer.

    Unicode minus signs count as "-". Separators of thousands, dollar signs and a final
    period are dropped, as the harness does before it compares. If the harness would take
    a run of dots or a lone "$" for the last number, `flexible` skips it.

    >>> read_number("5 * 200 = 1,000 dollars.\n#### 1,000")
    Reading(strict='1000', flexible='1000', numeric='1000')
    """
    text = shortened(text)
    value = _read_value(text)
    text = text.translate(MINUS)
    strict = STRICT.search(text)
    found = [run for run in FLEXIBLE.findall(text) if run.strip("-$.,")]
    return Reading(
        _normal(strict[1]) if strict else None,
        _normal(found[-1]) if found else None,
        value,
    )


def shortened(text: str) -> str:
    """The first and the last `LONGEST` / 2 characters of a longer text."""
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST // 2]}\n{text[-LONGEST // 2 :]}"


def ended(text: str) -> str:
    r"""What follows the first "####", else what is in the last \boxed{}, else nothing."""
    marked = MARKED.search(text)
    return marked[1] if marked else _boxed(text)


def gold_value(gold: str) -> str | None:
    """Value of a gold by reader `numeric`; None unless the gold is one number."""
    return numbers.final(numbers.plain(gold.rpartition("####")[2]), alone=True)


def mark(reading: Reading, gold: str, metric: str) -> bool:
    """Whether the answer is right.

    Parameters
    ----------
    reading : from `read_number`
    gold : the right answer; "18", "1,000" or a worked solution that ends in "#### 18"
    metric : "strict" or "flexible" compare text, "numeric" compares values

    Raises
    ------
    TmapError
        If the metric is "numeric" and gold is not one number.
    """
    if metric not in Reading._fields:
        raise ValueError(f"metric {metric!r} does not mark numbers")
    answer: str | None = getattr(reading, metric)
    if metric != "numeric":
        return answer is not None and answer == _normal(gold)
    right = gold_value(gold)
    if right is None:
        raise TmapError(
            f"The gold answer '{gold}' contains no number that is one value; metric "
            "numeric needs one. Fix the questions file, or name another column under "
            "`questions.columns.gold` in the dataset card."
        )
    return answer == right


def choose(
    option_nll: Sequence[float], option_texts: Sequence[str], metric: str
) -> int:
    """Index of the likeliest option; the first one if several are equal.

    Parameters
    ----------
    option_nll : summed negative log-likelihood of each option, nats
    option_texts : the options as the question lists them
    metric : "acc" compares the sums, "acc_norm" the sums divided by number of characters
        (as lm-evaluation-harness does)
    """
    if metric not in ("acc", "acc_norm"):
        raise ValueError(f"metric {metric!r} does not choose among options")
    nll = np.asarray(option_nll, dtype=np.float64)
    if metric == "acc_norm":
        nll = nll / np.array([max(len(text), 1) for text in option_texts])
    return int(np.argmin(nll))


def _normal(text: str) -> str:
    """Drop the harness's `regexes_to_ignore`: all up to the mark, `,`, `$`, a final `.`."""
    text = text.translate(MINUS).rpartition("#### ")[2]
    return text.replace(",", "").replace("$", "").removesuffix(".").strip()


def _read_value(text: str) -> str | None:
    end = numbers.plain(ended(text))
    if re.search("[0-9]", end):
        return numbers.final(end)
    return numbers.last(numbers.plain(text))


def _boxed(text: str) -> str:
    r"""The content of the last \boxed{}, or nothing."""
    start = text.rfind(BOXED)
    depth = 1
    for place in range(start + len(BOXED), len(text)) if start >= 0 else ():
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[start + len(BOXED) : place]
    return ""


def letters(n: int) -> list[str]:
    """The labels of n options if letters are chosen: "(A)", "(B)", ...

    n is at most MAX_OPTIONS, which `parse` ensures.
    """
    return [f"({string.ascii_uppercase[i]})" for i in range(n)]

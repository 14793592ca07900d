"""Readers of answers: the same for reward and evaluation.

Numbers are read as lm-evaluation-harness reads GSM8K (`lm_eval/tasks/gsm8k`, version
3.0), so that `strict` and `flexible` mean what its users expect; `numeric` compares
values.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from tmap.errors import TmapError

#: Raised with every change that can alter a verdict; part of every ledger key.
READER_VERSION = 1

MINUS = str.maketrans({"−": "-", "﹣": "-", "－": "-"})  # noqa: RUF001
STRICT = re.compile(r"#### (-?[0-9.,]+)")
#: The harness's pattern, without its matches that have no digit ("...", "$").
FLEXIBLE = re.compile(r"-?(?=[$.,]*[0-9])[$0-9.,]{2,}|-?[0-9]+")
MARKED = re.compile(r"####\s*(.*)")
#: A minus is a sign unless it follows what it could be subtracted from.
NUMBER = re.compile(
    r"(?:(?<![\w)\]])-)?\$?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)?(?:\.[0-9]+)?"
)


class Reading(NamedTuple):
    """An answer as read by three readers; None if one finds nothing.

    Attributes
    ----------
    strict : the number after the first "#### "
    flexible : the last number of the text
    numeric : canonical decimal ("1000", "-0.5") of the number after the first "####";
        without that mark, of the last number of the text
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
    text = text.translate(MINUS)
    strict = STRICT.search(text)
    numbers = FLEXIBLE.findall(text)
    return Reading(
        _normal(strict[1]) if strict else None,
        _normal(numbers[-1]) if numbers else None,
        _read_value(text),
    )


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
        If the metric is "numeric" and gold contains no number.
    """
    if metric not in Reading._fields:
        raise ValueError(f"metric {metric!r} does not mark numbers")
    answer: str | None = getattr(reading, metric)
    if metric != "numeric":
        return answer is not None and answer == _normal(gold)
    right = _read_value(gold.translate(MINUS))
    if right is None:
        raise TmapError(
            f"The gold answer '{gold}' contains no number; metric numeric needs one. Fix "
            "the questions file, or set `metric: strict` in the dataset card."
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
    marked = MARKED.search(text)
    found = _values(marked[1])[:1] if marked else []
    found = found or _values(text)[-1:]
    return found[0] if found else None


def _values(text: str) -> list[str]:
    """Canonical decimals of all numbers in a text."""
    found = (f[0].replace(",", "").replace("$", "") for f in NUMBER.finditer(text))
    return [_canonical(Decimal(n)) for n in found if n.strip("-")]


def _canonical(value: Decimal) -> str:
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    text = text or "0"
    return "0" if text in ("-0", "-") else text


def letters(n: int) -> list[str]:
    """The labels of n options if letters are chosen: "(A)", "(B)", ...

    n is at most MAX_OPTIONS, which `parse` ensures.
    """
    return [f"({string.ascii_uppercase[i]})" for i in range(n)]

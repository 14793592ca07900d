"""Golds of written answers, tried before anything runs.

A gold is answered to the letter ("#### GOLD") and read by the reader of the card. If that
finds no value, no answer of any model can be right, and the questions are refused. A gold
that is marked wrong although it is answered, or that is read as another number than a
human reads, is named in a warning.
"""

from __future__ import annotations

import re
from collections import defaultdict
from decimal import Decimal, InvalidOperation
from typing import Any

from tmap.errors import TmapError
from tmap.evaluation import expressions, numbers
from tmap.evaluation.readers import gold_value, mark, read_number

#: GSM8K writes its final answer after this mark (arXiv 2110.14168).
MARK = "####"
EXAMPLES, SHOWN = 3, 40
#: Decimals that no answer has: a float column of 32 bits makes 0.1 of 0.10000000149.
DECIMALS = re.compile(r"-?[0-9]*\.[0-9]{8,}")
ZEROS = re.compile(r"-?(?:0+[0-9].*|[0-9]*\.[0-9]*0)")
NUMBER = re.compile(
    r"[-+]?\$?[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(?:(?<=[0-9])\.|\.?[0-9]+\.?)?"
)
DOTS = re.compile(r"[^0-9]*[0-9]{1,3}(?:\.[0-9]{3})+(?:,[0-9]+|\.[0-9]{3})")
DOT = re.compile(r"[^0-9]*[1-9][0-9]{0,2}\.[0-9]{3}")
#: What only LaTeX has.
MATHS = re.compile(r"\\[A-Za-z{]|\^|\$.*\$")
FIX = (
    "Fix the file, or name another column under `questions.columns.gold` in the dataset "
    "card"
)
EMPTY = "have no value"
WRONG = "can never be marked right: their own text is marked wrong"
OTHER = "are read as another number than people read"
LONG = "have more decimals than an answer writes, so that none is right"
DIGITS = "are right only in the same digits, so that 18 is not 18.0"
ROUND = "Round the golds of the file as its questions ask"


def final_answer(text: str) -> str:
    """The answer to compare with: what follows the last '####', or all of `text`.

    A number loses its dollar sign, thousands commas and final dot: '$1,234.' -> '1234'.
    '3,5' and '1,2,3' keep their commas, because they are no thousands.
    """
    answer = text.rpartition(MARK)[2].strip()
    if answer and NUMBER.fullmatch(answer) and any(c.isdigit() for c in answer):
        return answer.replace(",", "").replace("$", "").lstrip("+").removesuffix(".")
    return answer


def written(value: Any) -> str:
    """A gold as text; empty if there is none (null, NaN, a truth value, several).

    A column with an empty cell makes whole numbers floats, so 18.0 is '18'; a sum of
    floats has noise in its last digits, so 0.1 + 0.2 is '0.3'. Text is as it is: '18.0'
    stays. A list of one is its element.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return final_answer(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return ""
    rounded = isinstance(value, float) and not value.is_integer()
    number = Decimal(f"{value:.15g}" if rounded else str(value))
    return numbers.canonical(number) if number.is_finite() else ""


def try_all(place: str, golds: list[str], metric: str) -> list[str]:
    """Sentences on golds that the metric will not mark as a human would.

    Parameters
    ----------
    place : where the golds come from
    metric : strict, flexible, numeric or math_verify

    Raises
    ------
    TmapError
        A gold has no value under the metric, or none can be marked right.
    """
    # In a file that has 1.000,5, nobody knows whether 2.500 is 2500.
    points = any(DOTS.fullmatch(gold) for gold in golds)
    by_fault: dict[str, list[str]] = defaultdict(list)
    for gold in golds:
        by_fault[_fault(gold, metric, points)].append(gold)
    empty, wrong = by_fault[EMPTY], by_fault[WRONG]
    head = f"golds in '{place}'"
    if empty:
        raise TmapError(
            f"{_some(empty, golds)} {head} {EMPTY} under metric {metric}: "
            f"{_shown(empty)}. {_must(metric)}. "
            f"{_fix(empty, metric)}."
        )
    if wrong and len(wrong) == len(golds):
        raise TmapError(
            f"No gold in '{place}' can be marked right under metric {metric}, not even "
            f"by its own text: {_shown(wrong)}. {_must(metric)}. "
            f"{_fix(wrong, metric)}."
        )
    return [
        f"{_some(by_fault[fault], golds)} {head} {fault}, under metric {metric}: "
        f"{_shown(by_fault[fault])}. "
        f"{ROUND if fault == LONG else _fix(by_fault[fault], metric)}."
        for fault in (WRONG, OTHER, LONG, DIGITS)
        if by_fault[fault]
    ]


def _fault(gold: str, metric: str, points: bool) -> str:
    """What is wrong with a gold, or nothing; `points`: a dot may separate thousands."""
    if metric == expressions.METRIC:
        read, is_right = expressions.compare(f"{MARK} {gold}", gold)
        return EMPTY if read is None else "" if is_right else WRONG
    reading = read_number(f"{MARK} {gold}")
    answer = getattr(reading, metric)
    value = gold_value(gold)
    if answer is None or (metric == "numeric" and value is None):
        return EMPTY
    if not mark(reading, gold, metric):
        return WRONG
    if _value(answer) != value or (points and DOT.fullmatch(gold)):
        return OTHER
    if DECIMALS.fullmatch(answer):
        return LONG
    if metric != "numeric" and ZEROS.fullmatch(answer):
        return DIGITS
    return ""


def _value(answer: str) -> str | None:
    """One spelling of what a reader found; None if it is no number."""
    try:
        return numbers.canonical(Decimal(answer))
    except InvalidOperation:
        return answer if "/" in answer else None


def _must(metric: str) -> str:
    if metric == expressions.METRIC:
        return "A gold must be an expression, as 3/4 or \\frac{3}{4}"
    return "A gold must be one number, as 18 or -0.5"


def _fix(found: list[str], metric: str) -> str:
    if metric == expressions.METRIC:
        return FIX
    if all(gold_value(gold) is None and MATHS.search(gold) for gold in found):
        return "Set `metric: math_verify` in the dataset card, which reads LaTeX"
    if metric != "numeric" and all(gold_value(gold) is not None for gold in found):
        return "Set `metric: numeric` in the dataset card, which compares values"
    return FIX


def _some(found: list[str], golds: list[str]) -> str:
    return f"{len(found):,} of {len(golds):,}"


def _shown(found: list[str]) -> str:
    first = list(dict.fromkeys(found))[:EXAMPLES]
    return ", ".join(repr(" ".join(gold.split())[:SHOWN]) for gold in first)

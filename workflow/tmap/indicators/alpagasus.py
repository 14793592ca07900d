r"""Accuracy of the response, written by a judge as a number from 0 to 5.

A judge card sets the judge and its wording; the form is `accuracy` (the dimension that
AlpaGasus was published with). The number is read from the reply by these rules::

    "4.5\nBoth steps are right."       4.5     first line that is not blank, leading number
    "Score: 4/5"                      4       words before it: then the line's only number
    "**4** out of 5"                  4       "/5" and "out of 5" do not count
    "4 of the 6 steps are right"      4       a leading number counts, whatever follows
    "3/10", "80%", "4,5", "4-5"       -       another scale, a comma, a range: unparsable
    "Steps 1 and 2 fail: 2"           -       several numbers: unparsable
    "6", "-1", "five", ""             -       out of range, or no number: unparsable
    "<think>2 of 3.</think>\n5"       5       thoughts before the reply do not count
    "1. Right.\n\nScore: 4"           4       after a list, or in JSON: the only number
    "{\"score\": 4}"                   4       behind score, rating, accuracy or grade
    "1. Right.\n2. Clear."            -       numbers of a list are no ratings
    "It has 2 errors.\nScore: 3"      3       a number in words, and one with a name
    "Step 1: right"                   -       numbers of steps are no ratings

An unparsable reply is NaN, never a middle score; published parsers return -1 or abort. At
temperature 0 there are few different ratings, so many rows tie, and the tie-break of the
selection decides. For a chat of several turns, the first exchange is rated.

Source: Chen et al. 2024, arXiv:2307.08701 (AlpaGasus; they keep 4.5 and above); TMAP
Table 7, "Alpagasus Score". The paper does not name the judge.
"""

from __future__ import annotations

import re

import pandas as pd

from tmap.indicators import Scores, indicator
from tmap.indicators.scoring.ratings import said, written_number
from tmap.judges import Judge

LOW, HIGH = 0.0, 5.0
_NUMBER = re.compile(r"[-+\u2212]?[0-9]+(?:\.[0-9]+)?")
#: Text that names the scale and is not a rating.
_SCALE = re.compile(r"\s*\(?(?:/|out of)\s*5(?:\.0+)?(?![.,]?[0-9])", re.IGNORECASE)
#: Text that makes a number part of something else: a range, a fraction, a decimal comma,
#: a percentage, a word, a version number.
_PART = re.compile(
    r"\s*(?:[/%]|[-\u2013\u2014~]\s*[0-9]|\(?(?:to|out of)\s+[0-9])|[,.:][0-9]|\w",
    re.IGNORECASE,
)
#: A first line after which the rating is looked for by its name: a list, JSON, a fence,
#: "Step 1:".
_NOT_YET = re.compile(
    r"[0-9]{1,2}[.)]\s+\S|[-*\u2022]\s+\S|[{\[]?\s*\"|\{|`{3}"
    r"|[*#\s]*(?:step|part|point|item|claim|fact|reason|criterion|aspect|dimension)"
    r"\s+[0-9]{1,2}\s?[:.)*]",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"(?:score|rating|accuracy|grade)[\"'*_\s]*(?:[:=]|is\b)[\"'*_\s]*"
    rf"(?P<number>{_NUMBER.pattern})(?P<rest>[^\n]*)",
    re.IGNORECASE,
)


@indicator(
    unit="rating 0-5", source="arXiv:2307.08701", looks_at="judge", form="accuracy"
)
def alpagasus(pool: pd.DataFrame, lm: Judge, *, judge: str = "phi4") -> Scores:
    """Rate the accuracy of every response.

    Parameters
    ----------
    pool : table 'pool', n_samples rows
    lm : the judge, with its form `accuracy`
    judge : judge card that `lm` was made from

    Returns
    -------
    (n_samples,) in [0, 5]; higher means more accurate
    """
    return written_number(pool, lm, parse)


def parse(reply: str) -> float | None:
    """The rating in a reply by the rules above, or None."""
    reply = said(reply)
    lines = (line.strip() for line in reply.splitlines())
    line = next((line for line in lines if line), "")
    if _NOT_YET.match(line):
        return _named(reply)
    found = _NUMBER.search(line)
    if not found or re.search(r"\w[.,-]?$|[.,]$", line[: found.start()]):
        return None
    rest = line[found.end() :].lstrip("*_`\"'")
    scale = _SCALE.match(rest)
    rest = rest[scale.end() :] if scale else rest
    if _PART.match(rest):
        return None
    leads = not re.search(r"\w", line[: found.start()])
    if not leads and _NUMBER.search(rest):
        return None
    if not leads and not _NAMED.search(line) and _NAMED.search(reply):
        return _named(reply)
    return _in_range(found.group())


def _named(reply: str) -> float | None:
    """The one number that the reply calls its score."""
    found = []
    for match in _NAMED.finditer(reply):
        rest = match["rest"].lstrip("*_`\"'")
        scale = _SCALE.match(rest)
        if _PART.match(rest[scale.end() :] if scale else rest):
            return None
        found.append(_in_range(match["number"]))
    return found[0] if len(set(found)) == 1 else None


def _in_range(number: str) -> float | None:
    value = float(number.replace("\u2212", "-")) + 0.0  # no minus zero
    return value if LOW <= value <= HIGH else None

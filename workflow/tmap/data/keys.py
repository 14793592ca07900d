"""Which option a gold names: by label, by text, or by position from 0 or from 1.

A label comes first, then the text, then a letter, then the position. What numbers mean is
decided for the whole file (`survey`), because one row cannot tell: 0 among them counts
from 0; without 0, one that equals the number of options counts from 1. If neither occurs,
if the latter are more than the zeros, or if numbers may be texts as well, the card must
say so under `gold_is`.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from tmap.cards.dataset import GoldIs

ASK = "set `gold_is:` next to `columns:` in the dataset card"
#: A column of this name counts from 0 if its values do not show it.
INDEX = re.compile(r"ind(?:ex|ices)|idx", re.IGNORECASE)
#: "The correct answer is", "Answer:", "Option".
PREFIX = re.compile(
    r"(?:the\s)?(?:(?:correct|right|final)\s)?(?:answer|option|choice|key|ans)\b"
    r"(?:\sis)?\s?[:=]?\s?|the\s(?=\W?[a-z]\b)",
    re.IGNORECASE,
)
OPEN, CLOSE = r"[(\[{*\"'`$<]{0,3}(?:\\(?:boxed|text)\{)?", r"[)\]}*\"'`$>.:,;]{0,4}"
NAME = re.compile(rf"{OPEN}\s?(?P<name>[A-Za-z]|[0-9]{{1,3}})\s?{CLOSE}")
NAME_AND_TEXT = re.compile(
    r"[(\[*]{0,3}(?P<name>[A-Za-z]|[0-9]{1,2})(?:\s?[)\]*.:]{1,4}|\s[-\u2013\u2014](?=\s))\s?"
    r"(?P<text>\S.*)",
    re.DOTALL,
)
WHOLE = re.compile(r"[0-9]{1,9}(?:\.0+)?")


class Unclear(ValueError):
    """The gold is no option, or may be one of two; the message is the reason."""


@dataclass(frozen=True)
class Rule:
    """How golds name options.

    Attributes
    ----------
    gold_is : the card's key
    numbers : what a number is that is no label, as decided for the file; None if the file
        does not show it
    """

    gold_is: GoldIs = "auto"
    numbers: Literal["text", "from_0", "from_1"] | None = None


AUTO = Rule()


@dataclass(frozen=True)
class Asked:
    """A row's gold as its source has it, its options, and their labels if it has any.

    `column` is the name of the gold's column.
    """

    value: Any
    options: Sequence[str]
    labels: Sequence[str]
    column: str = ""


def is_missing(value: Any) -> bool:
    """None, empty text, or the NaN that stands in a float column's empty cell."""
    if isinstance(value, (float, Decimal)):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value.strip())


def survey(rows: Iterable[Asked]) -> Rule:
    """What numbers mean in a file, from all its rows that have options and a gold."""
    found = [
        (
            n,
            len(row.options),
            str(n) in row.options,
            isinstance(row.value, str),
            row.column,
        )
        for row in rows
        if (n := _unlabelled(row)) is not None
    ]
    if not found:
        return AUTO
    positions, sizes, are_text, written, columns = zip(*found, strict=True)
    index = any(INDEX.search(column) for column in columns)
    last = [n == size for n, size in zip(positions, sizes, strict=True)]
    inside = [0 <= n <= size for n, size in zip(positions, sizes, strict=True)]
    if all(are_text) and (all(written) or not (index or all(inside))):
        return Rule(numbers="text")
    if all(are_text) and not index:
        return AUTO
    beyond = zip(are_text, positions, sizes, strict=True)
    if any(is_text and n > size for is_text, n, size in beyond):
        return AUTO  # some golds are texts, so others may be
    if 0 < positions.count(0) < sum(last):
        return AUTO  # from 1, with 0 for none: or faults, which nobody can tell
    if 0 in positions or (index and not any(last)):
        return Rule(numbers="from_0")
    return Rule(numbers="from_1" if any(last) else None)


def find(row: Asked, rule: Rule = AUTO) -> int:
    """Position of the right option, from 0.

    Raises
    ------
    Unclear
        No option, or one of two.
    """
    value = _plain(row.value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise _none(row)
    ways = {"label": _label, "text": _text}
    if rule.gold_is in ways:
        place = ways[rule.gold_is](value, row)
    elif rule.gold_is != "auto":
        place = _position(value, row, rule.gold_is)
    else:
        place = _auto(value, row, rule)
    if place is None:
        raise _none(row)
    return place


def _auto(value: str | int, row: Asked, rule: Rule) -> int | None:
    label = _label(value, row)
    if row.labels and label is not None:
        return label
    text = _text(value, row) if isinstance(value, str) else None
    number = _number(value)
    if number is None:
        if None not in (label, text) and label != text:
            raise Unclear(
                f"gold {row.value!r} is the letter of one choice and the text of "
                f"another: {ASK} to label or text"
            )
        return label if text is None else text
    if row.labels and all(_number(_undressed(mark)) is not None for mark in row.labels):
        return text
    if rule.numbers == "text":
        return _text(str(number), row)
    if rule.numbers:
        return _position(value, row, rule.numbers)
    if 0 <= number <= len(row.options):
        raise Unclear(_either(number, row))
    return _text(str(value), row)


def _either(number: int, row: Asked) -> str:
    places = {"from_0": number, "from_1": number - 1}
    told = [
        f"{way} ({row.options[place][:40]!r})"
        for way, place in places.items()
        if 0 <= place < len(row.options)
    ]
    told += [f"text ({str(number)!r})"] if str(number) in row.options else []
    seen = "and no gold of the file shows which"
    if len(told) == 1:
        seen = "but most golds of the file do not fit that"
    return f"gold {row.value!r} may be read {' or '.join(told)}, {seen}: {ASK}"


def _unlabelled(row: Asked) -> int | None:
    """The number that a gold is, if it is no label."""
    value = _plain(row.value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    if row.labels and _label(value, row) is not None:
        return None
    return _number(value)


def _plain(value: Any) -> Any:
    """A list of one as its element, a whole float as a whole number."""
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if isinstance(value, (float, Decimal)) and math.isfinite(value):
        return int(value) if value == int(value) else str(value)
    return " ".join(value.split()) if isinstance(value, str) else value


def _number(value: str | int) -> int | None:
    if isinstance(value, int):
        return value
    name = _undressed(value)
    return int(float(name)) if WHOLE.fullmatch(name) else None


def _undressed(text: str) -> str:
    """'B' of '(B)', 'b.', 'Answer: B' in its own case; other text as it is."""
    text = " ".join(text.split())
    name = NAME.fullmatch(_bare(text))
    return name["name"] if name else text


def _label(value: str | int, row: Asked) -> int | None:
    """By the row's labels, or by letters if it has none; 'B. fire' must fit its text."""
    marks = list(row.labels) or list(string.ascii_uppercase[: len(row.options)])
    given = str(value)
    if given in marks:
        return marks.index(given)
    names = [_undressed(mark).casefold() for mark in marks]
    place = _only(names, _undressed(given).casefold())
    if place is not None or isinstance(value, int):
        return place
    both = NAME_AND_TEXT.fullmatch(_bare(given))
    if both is None:
        return None
    place = _only(names, both["name"].casefold())
    fits = place is not None and _folded(row.options[place]) == _folded(both["text"])
    return place if fits else None


def _text(value: str | int, row: Asked) -> int | None:
    if str(value) in row.options:
        return list(row.options).index(str(value))
    folded = [_folded(option) for option in row.options]
    place = _only(folded, _folded(str(value)))
    return _only(folded, _folded(_bare(str(value)))) if place is None else place


def _bare(text: str) -> str:
    """'B' of 'Answer: B'; other text as it is."""
    return PREFIX.sub("", text, count=1) if PREFIX.match(text) else text


def _position(value: str | int, row: Asked, way: str) -> int | None:
    number = _number(value)
    if number is None:
        return None
    place = number - (way == "from_1")
    return place if 0 <= place < len(row.options) else None


def _only(names: Sequence[str], name: str) -> int | None:
    """Position of `name` if it occurs once."""
    return list(names).index(name) if list(names).count(name) == 1 else None


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold().removesuffix(".")


def _none(row: Asked) -> Unclear:
    return Unclear(f"gold {row.value!r:.80} is none of the {len(row.options)} choices")

"""Cells of a source's row: which were read, and what counts as missing."""

from __future__ import annotations

import ast
import json
import math
import re
import unicodedata
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

#: Categories of characters that no reader sees, and single ones of other categories.
_UNSEEN = frozenset("Cc Cf Cs Zs Zl Zp".split())
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | frozenset(
    map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
)
_NO_INPUT = ("noinput", "no input", "none", "n/a", "not applicable")
#: What Alpaca-like data writes for "no input", without brackets, full stop and case.
PLACEHOLDERS = frozenset(
    [
        *_NO_INPUT,
        *(f"no input {end}" for end in ("needed", "required", "provided", "necessary")),
    ]
)
#: The same between brackets, where these words cannot be meant.
BRACKETED = frozenset([*PLACEHOLDERS, "null", "nan", "empty", "blank", "input"])
#: What programs write for a value that is not there. An input may be such a word.
NULLS = frozenset("nan null nil nat [] {} <na>".split())
_QUOTED = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
#: A list as NumPy prints it, without commas. Python would join its texts to one.
_PRINTED = re.compile(rf"\[\s*{_QUOTED}(?:\s+{_QUOTED})+\s*\]", re.DOTALL)
#: Characters of the longest text that is read as a Python list.
_LITERAL = 2**20


class Cells(Mapping[str, Any]):
    """A row that remembers which of its columns were asked for.

    Attributes
    ----------
    read : names asked for
    inner : keys of turns that are filled and not read, such as 'messages[].name'
    placeholders : texts of its cells that only say that there is nothing
    unwanted : keys of turns that are neither read nor reported
    """

    def __init__(self, row: Mapping[str, Any], unwanted: Collection[str] = ()) -> None:
        self._row = row
        self.unwanted = unwanted
        self.read: set[str] = set()
        self.inner: set[str] = set()
        self.placeholders: list[str] = []

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return self._row[name]

    def __contains__(self, name: object) -> bool:
        return name in self._row  # a look at the name is no reading

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)

    def unread(self, named: Iterable[str] = ()) -> list[str]:
        """Filled columns that were not asked for and are not named, and such keys."""
        known = self.read | set(named)
        names = [n for n, v in self._row.items() if n not in known and not missing(v)]
        return names + sorted(self.inner)


def missing(value: Any) -> bool:
    """Whether a cell has no value, in any of the forms in which files say so.

    Null, NaN, text without a visible character, and lists and structs of only such values
    (Arrow fills the keys that a struct lacks with nulls).
    """
    if value is None:
        return True
    if isinstance(value, str):
        return not visible(value)
    if isinstance(value, float):
        return math.isnan(value)
    if isinstance(value, Mapping):
        return all(map(missing, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(missing, value))
    return False


def visible(text: str) -> bool:
    """Whether a reader sees anything of `text`: not only spaces and controls."""
    return any(map(_is_seen, text))


def _is_seen(character: str) -> bool:
    if character.isascii():
        return character.isprintable() and character != " "
    return unicodedata.category(character) not in _UNSEEN and character not in _BLANK


def identity(value: Any) -> str | None:
    """An id as text; None if it is none (empty, a truth value, a fraction, a list).

    A column with an empty cell makes whole numbers floats, so 7.0 is '7'.
    """
    if isinstance(value, (float, Decimal)) and value % 1 == 0:
        return str(int(value))
    is_id = isinstance(value, (str, int, UUID)) and not isinstance(value, bool)
    return str(value) if is_id and not missing(value) else None


def is_placeholder(text: str) -> bool:
    """Whether an input only says that there is none, as '<noinput>' does."""
    if len(text) > 40:
        return False
    plain = " ".join(text.casefold().split()).rstrip(".")
    inner = plain.strip("<>[](){}").strip().rstrip(".").replace("_", " ")
    return plain in PLACEHOLDERS or (inner != plain and inner in BRACKETED)


def says_null(text: Any) -> bool:
    """Whether a cell is text that only says that there is nothing, as 'NaN' does.

    Only for a system text or a history: an input or an answer may be that word.
    """
    return isinstance(text, str) and (
        is_placeholder(text) or " ".join(text.casefold().split()) in NULLS
    )


def counted(unread: Mapping[str, int]) -> str:
    """Names of columns with their numbers of rows, as a log shows them."""
    return ", ".join(f"{name or repr(name)} ({n})" for name, n in unread.items())


def unpacked(value: Any) -> Any:
    """A list that a table of text has as text; every other value as it is."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        try:
            return literal(value)
        except ValueError:
            return value
    return value


def literal(text: str) -> Any:
    """The value of text in JSON, as a Python literal, or as NumPy prints a list of texts.

    Nothing is executed.

    Raises
    ------
    ValueError
        It is neither.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if len(text) > _LITERAL:
        raise ValueError("too long for a Python literal")
    text = text.strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd escapes, which stay as they are
            if _PRINTED.fullmatch(text):
                return [ast.literal_eval(part) for part in re.findall(_QUOTED, text)]
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as fault:
        raise ValueError(str(fault)) from None

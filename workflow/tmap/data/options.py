"""Multiple-choice questions: read the formats that benchmarks publish them in."""

from __future__ import annotations

import ast
import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tmap.evaluation.readers import letters

MAX_OPTIONS = len(string.ascii_uppercase)
#: Column names that are looked for when the card does not name one, in this order.
USUAL = {
    "question": ("question", "Question"),
    "choices": ("choices", "options"),
    "labels": ("labels",),
    "gold": ("answerKey", "answer_index", "gold", "answer"),
}


class Malformed(ValueError):
    """A row that is not a question; the message is the reason."""


@dataclass(frozen=True)
class ChoiceQuestion:
    """A question as its source has it: options in the source's order."""

    stem: str
    options: tuple[str, ...]
    gold: int

    def text(self) -> str:
        """Stem and lettered options in the source's order."""
        return self.stem + lettered(self.options)


def lettered(options: Sequence[str]) -> str:
    """The options as lines '(A) ...', to append to the question."""
    pairs = zip(letters(len(options)), options, strict=True)
    return "\n\n" + "\n".join(f"{letter} {option}" for letter, option in pairs)


def column(row: Mapping[str, Any], columns: Mapping[str, str], name: str) -> str | None:
    """The source's column for our `name`: the card's, else a usual one that exists."""
    if name in columns:
        return columns[name]
    return next((usual for usual in USUAL.get(name, ()) if usual in row), None)


def text(row: Mapping[str, Any], columns: Mapping[str, str], name: str) -> str:
    """The text under our `name`; not empty."""
    theirs = column(row, columns, name)
    if theirs is None or theirs not in row:
        raise Malformed(f"no column '{theirs or name}' for {name}")
    value = row[theirs]
    if not isinstance(value, str):
        raise Malformed(f"{name} is not text (got {type(value).__name__})")
    if not value.strip():
        raise Malformed(f"empty {name}")
    return value


def stem(row: Mapping[str, Any], columns: Mapping[str, str]) -> str:
    """The question, after its context if the card names one."""
    asked = text(row, columns, "question")
    if "context" not in columns:
        return asked
    return f"{text(row, columns, 'context')}\n\n{asked}"


def parse(row: Mapping[str, Any], columns: Mapping[str, str]) -> ChoiceQuestion:
    """Read one multiple-choice row.

    Parameters
    ----------
    row : the source's row
    columns : ours -> theirs, the card's `columns:`. `choices` may be a list, a list
        written as text (MuSR), a mapping {text, label} (ARC) or several comma-separated
        columns (GPQA); `gold` a label, an index from 0, or the right option's text.

    Raises
    ------
    Malformed
        The row is not a question with at least two options and a gold.
    """
    asked = stem(row, columns)
    options, labels = _options(row, columns)
    if not 2 <= len(options) <= MAX_OPTIONS:
        raise Malformed(f"{len(options)} choices (2 to {MAX_OPTIONS} are read)")
    return ChoiceQuestion(asked, options, _gold(row, columns, options, labels))


def _options(
    row: Mapping[str, Any], columns: Mapping[str, str]
) -> tuple[tuple[str, ...], list[str]]:
    theirs = column(row, columns, "choices")
    if theirs is not None and "," in theirs and theirs not in row:
        names = [name.strip() for name in theirs.split(",")]
        missing = [name for name in names if name not in row]
        if missing:
            raise Malformed(f"no column '{missing[0]}' for choices")
        return _texts([row[name] for name in names]), []
    if theirs is None or theirs not in row:
        raise Malformed(f"no column '{theirs or 'choices'}' for choices")
    value = _unwrap(row[theirs])
    if isinstance(value, Mapping):
        return _texts(value.get("text")), _labels(value.get("label"))
    named = column(row, columns, "labels")
    return _texts(value), _labels(row.get(named)) if named else []


def _unwrap(value: Any) -> Any:
    """A list written as text, in JSON or as a Python literal; nothing is executed."""
    if not isinstance(value, str):
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            return read(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    raise Malformed("choices are not a list")


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, (list, tuple)):
        raise Malformed("choices are not a list")
    if any(not isinstance(value, str) or not value.strip() for value in values):
        raise Malformed("a choice is empty or not text")
    if len(set(values)) < len(values):
        raise Malformed("two choices are the same")
    return tuple(values)


def _labels(values: Any) -> list[str]:
    return [str(value) for value in values] if isinstance(values, list) else []


def _gold(
    row: Mapping[str, Any],
    columns: Mapping[str, str],
    options: tuple[str, ...],
    labels: list[str],
) -> int:
    theirs = column(row, columns, "gold")
    value = row.get(theirs) if theirs else None
    if value is None or value == "":
        raise Malformed(f"no gold under '{theirs or 'gold'}'")
    if isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value < len(options):
            return value
    elif value in labels and labels.index(value) < len(options):
        return labels.index(value)
    elif value in options:
        return options.index(value)
    elif not labels and value in tuple(string.ascii_uppercase[: len(options)]):
        return string.ascii_uppercase.index(value)
    raise Malformed(f"gold {value!r} is none of the {len(options)} choices")

"""Multiple-choice questions: read the formats that benchmarks publish them in."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tmap.cards.dataset import GoldIs
from tmap.data import golds, keys
from tmap.data.cells import literal, missing
from tmap.evaluation.readers import letters

MAX_OPTIONS = len(string.ascii_uppercase)
#: Column names that are looked for when the card does not name one, in this order.
USUAL = {
    "question": ("question", "Question"),
    "choices": ("choices", "options"),
    "labels": ("labels",),
    "gold": ("answerKey", "answer_index", "gold", "answer"),
}
#: Names of an option's text and label inside a mapping, in this order.
TEXTS = ("text", "texts", "content", "value", "option", "choice", "body", "answer")
LABELS = ("label", "labels", "key", "letter", "id", "name")
#: Columns that only questions with options have.
OPTION_COLUMNS = re.compile(
    r"choices|options|alternatives|endings|answer_?(?:choices|options|key|index|idx)"
    r"|mc[12]_targets|multiple_choice_targets|(?:option|choice|ending|distractor|opt)s?"
    r"[_ ]?(?:[a-j]|[0-9])|(?:incorrect|wrong)[_ ]?(?:answers?|options?)?[_ ]?[0-9]?",
    re.IGNORECASE,
)
#: An option with its own label in front: "A) ice", "(A) ice", "A. ice", "A: ice".
LABELLED = re.compile(
    r"\s*[(\[]?(?P<label>[A-Z])\s?[)\].:]{1,2}\s*(?P<text>\S.*)", re.DOTALL
)


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


def option_columns(names: Iterable[str]) -> list[str]:
    """The columns that only questions with options have, like `options` or `A` to `D`."""
    names = list(names)
    letters_ = [name for name in names if name in tuple("ABCDE")]
    found = [name for name in names if OPTION_COLUMNS.fullmatch(name.strip())]
    return found + (letters_ if len(letters_) > 1 else [])


def text(row: Mapping[str, Any], columns: Mapping[str, str], name: str) -> str:
    """The text under our `name`; not empty."""
    theirs = column(row, columns, name)
    if theirs is None or theirs not in row:
        raise Malformed(f"no column '{theirs or name}' for {name}")
    value = row[theirs]
    if not isinstance(value, str):
        raise Malformed(f"{name} is not text (got {type(value).__name__})")
    if missing(value):
        raise Malformed(f"empty {name}")
    return value


def stem(row: Mapping[str, Any], columns: Mapping[str, str]) -> str:
    """The question, after its context if the card names one."""
    asked = text(row, columns, "question")
    if "context" not in columns:
        return asked
    return f"{text(row, columns, 'context')}\n\n{asked}"


def parse(
    row: Mapping[str, Any], columns: Mapping[str, str], rule: keys.Rule = keys.AUTO
) -> ChoiceQuestion:
    """Read one multiple-choice row.

    Parameters
    ----------
    row : the source's row
    columns : ours -> theirs, the card's `columns:`. `choices` may be a list, a list
        written as text (MuSR), a mapping {text, label} (ARC) or {A: text} (MedQA), a
        list of such mappings, or several comma-separated columns (GPQA); `gold` a label
        or letter in any dress, the right option's text, or its position.
    rule : what a gold is, from `survey`

    Raises
    ------
    Malformed
        The row is not a question with at least two options and a gold.
    """
    asked = stem(row, columns)
    options, labels = _options(row, columns)
    if not 2 <= len(options) <= MAX_OPTIONS:
        raise Malformed(f"{len(options)} choices (2 to {MAX_OPTIONS} are read)")
    return ChoiceQuestion(asked, options, _gold(row, columns, options, labels, rule))


def _options(
    row: Mapping[str, Any], columns: Mapping[str, str]
) -> tuple[tuple[str, ...], list[str]]:
    """Texts and labels; the labels may be in the texts, as in ['A) ice', 'B) fire']."""
    texts, labels = _given(row, columns)
    found = [LABELLED.fullmatch(text) for text in texts]
    marks = sorted(match["label"] for match in found if match)
    if labels or marks != list(string.ascii_uppercase[: len(texts)]):
        return texts, labels
    parts = [match.group("text", "label") for match in found if match]
    return _texts([text for text, _ in parts]), [label for _, label in parts]


def _given(
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
        return _labelled(value)
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], Mapping):
        return _structs(value)
    named = column(row, columns, "labels")
    return _texts(value), _labels(row.get(named)) if named else []


def _labelled(value: Mapping[str, Any]) -> tuple[tuple[str, ...], list[str]]:
    """{text: [...], label: [...]}, or {A: text, B: text} in which null is no option."""
    of_text = next((name for name in TEXTS if isinstance(value.get(name), list)), None)
    if of_text:
        of_label = next((name for name in LABELS if name in value), None)
        return _texts(value[of_text]), _labels(value[of_label]) if of_label else []
    given = {str(name): text for name, text in value.items() if text is not None}
    return _texts(list(given.values())), list(given)


def _structs(values: Sequence[Any]) -> tuple[tuple[str, ...], list[str]]:
    """[{label: A, text: ...}, ...]."""
    found = [value for value in values if isinstance(value, Mapping)]
    of_text = next((name for name in TEXTS if all(name in v for v in found)), None)
    if of_text is None or len(found) < len(values):
        raise Malformed(f"choices are not a list of {{label, text}} (text: {TEXTS})")
    of_label = next((name for name in LABELS if all(name in v for v in found)), None)
    labels = _labels([v[of_label] for v in found]) if of_label else []
    return _texts([v[of_text] for v in found]), labels


def _unwrap(value: Any) -> Any:
    """A list written as text: see `cells.literal`."""
    if not isinstance(value, str):
        return value
    try:
        return literal(value)
    except ValueError:
        raise Malformed("choices are not a list") from None


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, (list, tuple)):
        raise Malformed("choices are not a list")
    values = list(values)
    while len(values) > 2 and missing(values[-1]):
        values.pop()  # a table fills the columns that a question with fewer lacks
    values = [_number(value) for value in values]
    odd = [v for v in values if not isinstance(v, str) or missing(v)]
    if odd:
        raise Malformed(f"a choice is empty or not text ({odd[0]!r:.40})")
    if len(set(values)) < len(values):
        raise Malformed("two choices are the same")
    return tuple(values)


def _number(value: Any) -> Any:
    """A number as text; other values as they are."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return golds.written(value) if is_number and not missing(value) else value


def _labels(values: Any) -> list[str]:
    if not isinstance(values, (list, tuple)):
        return []
    whole = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]
    labels = [str(value).strip() for value in whole]
    if len(set(labels)) < len(labels):
        raise Malformed("two choices have the same label")
    return labels


def survey(
    rows: Iterable[Any], columns: Mapping[str, str], gold_is: GoldIs
) -> keys.Rule:
    """What golds are in this file: the card's word, else what its numbers show."""
    if gold_is != "auto":
        return keys.Rule(gold_is)
    return keys.survey(_asked(rows, columns))


def _asked(rows: Iterable[Any], columns: Mapping[str, str]) -> Iterator[keys.Asked]:
    for row in rows:
        if not isinstance(row, Mapping):
            continue
        try:
            texts, labels = _options(row, columns)
        except Malformed:
            continue
        theirs = column(row, columns, "gold")
        if theirs and not keys.is_missing(row.get(theirs)):
            yield keys.Asked(row[theirs], texts, labels, theirs)


def _gold(
    row: Mapping[str, Any],
    columns: Mapping[str, str],
    options: tuple[str, ...],
    labels: list[str],
    rule: keys.Rule,
) -> int:
    theirs = column(row, columns, "gold")
    value = row.get(theirs) if theirs else None
    if keys.is_missing(value):
        raise Malformed(f"no gold under '{theirs or 'gold'}'")
    if labels and len(labels) != len(options):
        raise Malformed(f"{len(labels)} labels for {len(options)} choices")
    try:
        return keys.find(keys.Asked(value, options, labels), rule)
    except keys.Unclear as fault:
        raise Malformed(str(fault)) from None

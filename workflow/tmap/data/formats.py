"""Instruction data: read its usual formats into one form of candidate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from tmap.cards.dataset import PoolSource
from tmap.data import keys, options
from tmap.errors import TmapError
from tmap.evaluation import readers

Columns = Mapping[str, str]
Turn = dict[str, str]

ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}
Format = Literal["alpaca", "messages", "sharegpt", "qa", "multiple_choice"]
#: How `auto` decides: the first format that has one of its column sets present.
SIGNS: list[tuple[Format, list[dict[str, str]]]] = [
    ("messages", [{"messages": "messages"}]),
    ("sharegpt", [{"messages": "conversations"}]),
    (
        "alpaca",
        [
            {"instruction": "instruction", "response": "output"},
            {"instruction": "instruction", "response": "response"},
        ],
    ),
    (
        "qa",
        [
            {"instruction": "question", "response": "answer"},
            {"instruction": "prompt", "response": "response"},
            {"instruction": "prompt", "response": "completion"},
        ],
    ),
]


class Unusable(ValueError):
    """A row that cannot be a candidate: the kind of fault, and its detail."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind


@dataclass(frozen=True)
class Candidate:
    """One sample. `asked` has the texts of its question side, for the overlap check."""

    instruction: str
    input: str
    response: str
    turns: list[Turn] | None
    asked: tuple[str, ...]


Read = Callable[[Mapping[str, Any], Columns], Candidate]


def reader(
    source: PoolSource,
    columns_seen: Iterable[str],
    *,
    by_letter: bool = False,
    values: Iterable[Any] = (),
) -> Callable[[Mapping[str, Any]], Candidate]:
    """A function that reads one row, in the card's format or the detected one.

    Parameters
    ----------
    source : its format and columns
    columns_seen : column names of the source
    by_letter : a question lists its options and its answer is a letter, as in the test
        questions; else it has no options and its answer is the right option's text
    values : all rows; with options, they show what a gold is

    Raises
    ------
    TmapError
        `auto` cannot detect the format, or the card names a column that is not there.
    """
    name, columns = mapping(source, columns_seen)
    rule = keys.AUTO
    if name == "multiple_choice":
        rule = options.survey(values, columns, source.gold_is)
    choice: Read = partial(_choice, by_letter=by_letter, rule=rule)
    read = {
        "alpaca": _pair,
        "qa": _pair,
        "messages": _chat,
        "sharegpt": _chat,
        "multiple_choice": choice,
    }[name]
    return lambda row: read(row, columns)


def mapping(
    source: PoolSource, columns_seen: Iterable[str]
) -> tuple[Format, dict[str, str]]:
    """The format, and the columns: ours -> theirs.

    Raises
    ------
    TmapError
        `auto` cannot detect the format, or the card names a column that is not there.
    """
    seen = list(columns_seen)
    missing = [name for name in _named(source) if name not in seen]
    if missing:
        raise TmapError(
            f"The pool has no column '{missing[0]}'; it has {', '.join(seen)}. "
            "Fix `pool.columns:` in the dataset card."
        )
    return _decide(source, seen)


def _named(source: PoolSource) -> list[str]:
    """Every column that the card names."""
    names = []
    for ours, theirs in source.columns.items():
        several = ours == "choices" and "," in theirs
        names += [part.strip() for part in theirs.split(",")] if several else [theirs]
    return names


def _decide(source: PoolSource, seen: list[str]) -> tuple[Format, dict[str, str]]:
    own = {str(ours): theirs for ours, theirs in source.columns.items()}
    if source.format == "multiple_choice":
        return source.format, own
    if source.format == "auto" and "choices" in own:
        return "multiple_choice", own
    if source.format == "auto" and "messages" in own:
        return "messages", own
    if source.format == "auto" and {"instruction", "response"} <= own.keys():
        return "qa", own
    for name, sets in SIGNS:
        if source.format not in ("auto", name):
            continue
        for columns in sets:
            needed = {**columns, **own}
            if all(needed[ours] in seen for ours in columns):
                _refuse_options(source, name, seen)
                return name, needed
    keys = (
        "columns: {messages: ...}"
        if source.format in ("messages", "sharegpt")
        else ("columns: {instruction: ..., response: ...}")
    )
    raise TmapError(
        f"The pool's columns ({', '.join(seen) or 'none'}) do not look like format "
        f"'{source.format}'. Set `pool.format:` and `pool.{keys}` in the dataset card."
    )


def _refuse_options(source: PoolSource, name: Format, seen: list[str]) -> None:
    """Questions with options are not detected as pairs, which would lose the options."""
    found = options.option_columns(seen)
    if source.format == "auto" and name in ("qa", "alpaca") and found:
        raise TmapError(
            f"The pool has the columns of questions with options ({', '.join(found)}), so "
            f"`format: auto` does not read it as '{name}'. Set `pool.format: "
            "multiple_choice` and `pool.columns: {choices: ..., gold: ...}` in the "
            f"dataset card, or `pool.format: {name}` to leave the options out."
        )


def _text(row: Mapping[str, Any], name: str, what: str) -> str:
    value = row.get(name)
    if value is None:
        raise Unusable(f"missing {what}", f"no '{name}'")
    if not isinstance(value, str):
        raise Unusable("not text", f"{what} is {type(value).__name__}")
    if not value.strip():
        raise Unusable(f"empty {what}")
    return value


def _pair(row: Mapping[str, Any], columns: Columns) -> Candidate:
    instruction = _text(row, columns["instruction"], "instruction")
    response = _text(row, columns["response"], "response")
    extra = row.get(columns.get("input", "input"))
    if extra is not None and not isinstance(extra, str):
        raise Unusable("not text", f"input is {type(extra).__name__}")
    given = extra or ""
    whole = f"{instruction}\n{given}"
    # Input alone too: a short benchmark question may follow a general instruction.
    asked = (whole, instruction, given) if given else (instruction,)
    return Candidate(instruction, given, response, None, asked)


def _chat(row: Mapping[str, Any], columns: Columns) -> Candidate:
    value = row.get(columns["messages"])
    if not isinstance(value, list) or not value:
        raise Unusable("missing instruction", f"'{columns['messages']}' is no chat")
    turns = [_turn(part) for part in value]
    _check_order([turn["role"] for turn in turns])
    for turn in turns:
        what = "response" if turn["role"] == "assistant" else "instruction"
        if not turn["content"].strip() and turn["role"] != "system":
            raise Unusable(f"empty {what}")
    asked = tuple(turn["content"] for turn in turns if turn["role"] == "user")
    return Candidate(
        instruction=asked[0],
        input="",
        response=turns[-1]["content"],
        turns=turns if len(turns) > 2 else None,
        asked=asked,
    )


def _turn(part: Any) -> Turn:
    """One turn, in OpenAI's keys (role, content) or ShareGPT's (from, value)."""
    if not isinstance(part, Mapping):
        raise Unusable("not text", f"a turn is {type(part).__name__}")
    who = part.get("role", part.get("from"))
    content = part.get("content", part.get("value"))
    if not isinstance(who, str) or who.lower() not in ROLES:
        raise Unusable("unknown role", repr(who)[:60])
    if not isinstance(content, str):
        raise Unusable("not text", f"content is {type(content).__name__}")
    return {"role": ROLES[who.lower()], "content": content}


def _check_order(roles: list[str]) -> None:
    """Require an optional system turn, then user and assistant in turn, assistant last."""
    talk = roles[1:] if roles[0] == "system" else roles
    expected = ["user", "assistant"] * (len(talk) // 2)
    if not talk or talk != expected:
        shown = " ".join(roles[:8]) + (" ..." if len(roles) > 8 else "")
        raise Unusable("roles out of order", shown)


def _choice(
    row: Mapping[str, Any], columns: Columns, *, by_letter: bool, rule: keys.Rule
) -> Candidate:
    try:
        question = options.parse(row, columns, rule)
    except options.Malformed as fault:
        raise Unusable("not a multiple-choice question", str(fault)) from None
    if by_letter:
        right = readers.letters(len(question.options))[question.gold]
        return Candidate(question.text(), "", right, None, (question.stem,))
    right = question.options[question.gold]
    return Candidate(question.stem, "", right, None, (question.stem,))

"""Instruction data: read its usual formats into one form of candidate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from tmap.cards.dataset import PoolSource
from tmap.data import chats, keys, options
from tmap.data.cells import Cells, is_placeholder, missing, says_null, unpacked
from tmap.data.chats import Turn, Unusable
from tmap.errors import TmapError, several
from tmap.evaluation import readers

Columns = Mapping[str, str]

Format = Literal["alpaca", "messages", "sharegpt", "qa", "multiple_choice"]
#: How `auto` decides: the first format that has one of its column sets present.
SIGNS: list[tuple[Format, list[dict[str, str]]]] = [
    ("messages", [{"messages": "messages"}]),
    ("sharegpt", [{"messages": "conversations"}, {"messages": "conversation"}]),
    (
        "alpaca",
        [
            {"instruction": "instruction", "response": "output"},
            {"instruction": "instruction", "response": "response"},
            {"instruction": "instruction", "response": "completion"},
            {"instruction": "instruction", "response": "answer"},
            {"instruction": "definition", "response": "output"},
            {"instruction": "definition", "response": "targets"},
        ],
    ),
    (
        "qa",
        [
            {"instruction": "question", "response": "answer"},
            {"instruction": "prompt", "response": "response"},
            {"instruction": "prompt", "response": "completion"},
            {"instruction": "question", "response": "response"},
            {"instruction": "query", "response": "response"},
            {"instruction": "prompt", "response": "output"},
            {"instruction": "problem", "response": "solution"},
            {"instruction": "inputs", "response": "targets"},
            {"instruction": "input", "response": "output"},
        ],
    ),
]
#: Columns that a row may have too, ours -> usual names; the first filled one is read.
USUAL = {
    "input": ("input", "inputs", "context", "passage", "article"),
    "system": (
        "system",
        "system_prompt",
        "system_message",
        "system_instruction",
        "system_text",
        "systemPrompt",
        "sys_prompt",
    ),
    "history": ("history", "chat_history", "conversation_history", "dialogue_history"),
    "weights": ("weights",),
}
#: Columns of truth values that mark an answer as wanted or not, as TRL and LLaMA-Factory
#: have them for unpaired preferences.
VERDICTS = ("label", "kto_tag")


@dataclass(frozen=True)
class Candidate:
    """One sample. `asked` has the texts of its question side, for the overlap check."""

    instruction: str
    input: str
    response: str
    turns: list[Turn] | None
    asked: tuple[str, ...]


Read = Callable[[Cells, Columns], Candidate]


def reader(
    source: PoolSource,
    columns_seen: Iterable[str],
    *,
    by_letter: bool = False,
    values: Iterable[Any] = (),
) -> Callable[[Cells], Candidate]:
    """A function that reads one row, in the card's format or the detected one.

    Parameters
    ----------
    source : its format and columns
    columns_seen : column names of the source, perhaps -> whether any row has a value
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
    verdicts = [column for column in VERDICTS if column not in columns.values()]

    def one(row: Cells) -> Candidate:
        if name != "multiple_choice":
            _refuse_unwanted(row, verdicts)
        return read(row, columns)

    return one


def mapping(
    source: PoolSource, columns_seen: Iterable[str]
) -> tuple[Format, dict[str, str]]:
    """The format, and the columns: ours -> theirs.

    Raises
    ------
    TmapError
        `auto` cannot detect the format, or the card names a column that is not there.
    """
    seen = dict(columns_seen) if isinstance(columns_seen, Mapping) else {}
    seen = seen or dict.fromkeys(columns_seen, True)
    absent = [name for name in _named(source) if name not in seen]
    if absent:
        raise TmapError(
            f"The pool has no column '{absent[0]}'; it has {several(seen)}. "
            "Fix `pool.columns:` in the dataset card."
        )
    filled = [name for name, has_values in seen.items() if has_values]
    found = _decide(source, filled) or _decide(source, list(seen))
    if found is None:
        raise TmapError(_unlike(source, list(seen)))
    name, columns = found
    if name != "multiple_choice" and "context" in columns:
        columns.setdefault("input", columns.pop("context"))
    return name, columns


def also_read(name: Format, columns: Columns, seen: Iterable[str]) -> dict[str, str]:
    """The columns that a format reads if a row has them, ours -> theirs, of those seen."""
    pairs = name in ("alpaca", "qa")
    wanted = ["input", "system", "history", "weights"] if pairs else ["system"]
    there = set(seen) - set(columns.values())
    found = {}
    for ours in wanted if name != "multiple_choice" else []:
        first = next((usual for usual in USUAL[ours] if usual in there), None)
        if ours not in columns and first:
            found[ours] = first
    return found


def _named(source: PoolSource) -> list[str]:
    """Every column that the card names."""
    names = []
    for ours, theirs in source.columns.items():
        several = ours == "choices" and "," in theirs
        names += [part.strip() for part in theirs.split(",")] if several else [theirs]
    return names


def _decide(
    source: PoolSource, seen: list[str]
) -> tuple[Format, dict[str, str]] | None:
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
    return None


def _unlike(source: PoolSource, seen: list[str]) -> str:
    chat, pair = "{messages: ...}", "{instruction: ..., response: ...}"
    keys = f"`pool.columns: {pair}`"
    if source.format in ("messages", "sharegpt"):
        keys = f"`pool.columns: {chat}`"
    elif source.format == "auto":
        keys += f" (of chats `{chat}`)"
    return (
        f"The pool's columns ({several(seen)}) do not look like format "
        f"'{source.format}'. Set `pool.format:` and {keys} in the dataset card."
    )


def _refuse_options(source: PoolSource, name: Format, seen: list[str]) -> None:
    """Questions with options are not detected as pairs, which would lose the options."""
    found = options.option_columns(seen)
    if source.format == "auto" and name in ("qa", "alpaca") and found:
        raise TmapError(
            f"The pool has the columns of questions with options ({several(found)}), so "
            f"`format: auto` does not read it as '{name}'. Set `pool.format: "
            "multiple_choice` and `pool.columns: {choices: ..., gold: ...}` in the "
            f"dataset card, or `pool.format: {name}` to leave the options out."
        )


def _refuse_unwanted(row: Cells, verdicts: list[str]) -> None:
    """An answer that its row marks as a bad one is not taught."""
    for column in verdicts:
        if column not in row:
            continue
        value = row[column]
        if isinstance(value, str):  # as a table of text has it
            value = {"true": True, "false": False}.get(value.strip().lower())
        if value is False:
            raise Unusable("not wanted", f"{column} is false, the mark of a bad answer")
        if value is not True:
            row.read.discard(column)


def _text(row: Mapping[str, Any], name: str, what: str) -> str:
    value = row.get(name)
    if value is None or (missing(value) and not isinstance(value, str)):
        raise Unusable(f"missing {what}", f"no '{name}'")
    if not isinstance(value, str):
        raise Unusable("not text", f"{what} is {type(value).__name__}")
    if missing(value):
        raise Unusable(f"empty {what}")
    return value


def _filled(row: Cells, columns: Columns, ours: str) -> tuple[str, Any]:
    """The first column for `ours` with a value, and the value; else ('', None)."""
    named = [columns[ours]] if ours in columns else USUAL[ours]
    taken = {theirs for key, theirs in columns.items() if key != ours}
    for name in named:
        if name not in row or name in taken:
            continue
        if missing(unpacked(row[name]) if ours == "history" else row[name]):
            continue
        if ours == "input" or not says_null(row[name]):
            return name, row[name]
        row.placeholders.append(row[name])
    return "", None


def _optional(row: Cells, columns: Columns, ours: str) -> str:
    name, value = _filled(row, columns, ours)
    if not name:
        return ""
    if not isinstance(value, str):
        raise Unusable("not text", f"{ours} is {type(value).__name__}")
    return value


def _pair(row: Cells, columns: Columns) -> Candidate:
    asked, said = columns["instruction"], columns["response"]
    if chats.is_chat(row.get(asked)) or chats.is_chat(row.get(said)):
        return _prompt_and_completion(row, columns)
    instruction = _text(row, asked, "instruction")
    response = _text(row, said, "response")
    given = _optional(row, columns, "input")
    if is_placeholder(given):
        row.placeholders.append(given)
        given = ""
    system = _optional(row, columns, "system")
    name, value = _filled(row, columns, "history")
    before = chats.history(value, name, row.unwanted)
    weights = _weights(row, columns)
    # Input alone too: a short benchmark question may follow a general instruction.
    whole = f"{instruction}\n{given}"
    texts = (whole, instruction, given) if given else (instruction,)
    if not system and not before and all(weights):
        return Candidate(instruction, given, response, None, texts)
    question = f"{instruction}\n\n{given}" if given else instruction
    last = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": response},
    ]
    talk = chats.with_system([*before, *last], system)
    return _talk(row, chats.weighed(talk, weights), texts)


def _weights(row: Cells, columns: Columns) -> list[Any]:
    """The weights of a row's answers, if it has them; one number is the row's own."""
    name, value = _filled(row, columns, "weights")
    if name and not isinstance(unpacked(value), list):
        row.read.discard(name)
        return []
    return unpacked(value) if name else []


def _prompt_and_completion(row: Cells, columns: Columns) -> Candidate:
    """A conversation in two columns, as TRL has it."""
    found: list[Turn] = []
    for ours, role in (("instruction", "user"), ("response", "assistant")):
        name = columns[ours]
        if chats.is_chat(row.get(name)):
            found += chats.turns(row[name], name, row.unwanted)
            row.inner |= chats.extra_keys(row[name], name, row.unwanted)
        else:
            found.append({"role": role, "content": _text(row, name, ours)})
    return _talk(row, chats.with_system(found, _optional(row, columns, "system")))


def _chat(row: Cells, columns: Columns) -> Candidate:
    name = columns["messages"]
    found = chats.turns(row.get(name), name, row.unwanted)
    row.inner |= chats.extra_keys(row[name], name, row.unwanted)
    return _talk(row, chats.with_system(found, _optional(row, columns, "system")))


def _talk(row: Cells, found: list[Turn], texts: tuple[str, ...] = ()) -> Candidate:
    """A conversation; `texts` are further texts for the overlap check."""
    first = found[0]
    if first["role"] == "system" and says_null(first["content"]) and len(found) > 1:
        row.placeholders.append(first["content"])
        found = found[1:]
    turns = chats.ordered(found)
    asked = tuple(turn["content"] for turn in turns if turn["role"] == "user")
    return Candidate(
        instruction=asked[0],
        input="",
        response=turns[-1]["content"],
        turns=turns if len(turns) > 2 else None,
        asked=(*asked, *texts),
    )


def _choice(
    row: Cells, columns: Columns, *, by_letter: bool, rule: keys.Rule
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

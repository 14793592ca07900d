"""Conversations in the forms that data has them: turns, pairs, parts of text."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from tmap.data.cells import missing, unpacked

#: role, content, and weight: 0 if the loss does not count this answer
Turn = dict[str, Any]

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "ai": "assistant",
}
TOOLS = re.compile(
    r"(?:tool|function)s?(?:[_ -]?(?:call|response|result|output|return)s?)?"
    r"|observation|ipython|environment"
)
#: Keys of a turn that say whether the loss counts on it.
WEIGHTS = ("weight", "train", "training", "trainable", "loss", "loss_mask")
#: Other keys that seem to say that; what they mean is not known.
LIKE_WEIGHTS = re.compile(
    r"(?:\w+_)?(?:mask(?:ed)?|loss|train|training|trainable|weights?|learn)(?:_\w+)?"
)
FLAGS = {1: True, "1": True, "true": True, 0: False, "0": False, "false": False}
#: Keys of a turn with the reasoning that comes before its answer.
THOUGHTS = ("reasoning_content", "reasoning", "thinking")
THOUGHT_MARK = re.compile(r"</?think>")
WHO = ("role", "from")
WHAT = ("content", "value")
CALLS = ("tool_calls", "function_call")
NO_TOOLS = "only chats without tools are read; end the chat before it, or leave it out"


class Unusable(ValueError):
    """A row that cannot be a candidate: the kind of fault, and its detail."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind


def is_chat(value: Any) -> bool:
    """Whether a cell has turns. Text is none, even if it is JSON: it may be an answer."""
    return isinstance(value, list) and any(
        isinstance(part, Mapping) and not missing(part) for part in value
    )


def turns(value: Any, name: str, unwanted: Collection[str] = ()) -> list[Turn]:
    """The turns in a cell, in OpenAI's keys (role, content) or ShareGPT's (from, value).

    Texts alone are user and assistant in turn, as LIMA has them. Keys that are unwanted,
    as 'messages[].mask', count as absent.

    Raises
    ------
    Unusable
        It is no list of turns, or a turn is not text of a known role.
    """
    value = listed(value)
    if not isinstance(value, list) or not value:
        kind = (
            "" if missing(value) else f", a list of turns, but {type(value).__name__}"
        )
        raise Unusable("missing instruction", f"'{name}' is no chat{kind}")
    return [_turn(part) for part in map(_wanted(name, unwanted), value)]


def _wanted(name: str, unwanted: Collection[str]) -> Callable[[Any], Any]:
    """A function that leaves the unwanted keys of turns out."""

    def left(part: Any) -> Any:
        if not unwanted or not isinstance(part, Mapping):
            return part
        return {k: v for k, v in part.items() if f"{name}[].{k}" not in unwanted}

    return left


def listed(value: Any) -> Any:
    """Turns as a list of mappings, if they are in another form; else the value.

    `datasets` makes {role: [...], content: [...]} of a Sequence of structs.
    """
    value = unpacked(value)
    if isinstance(value, Mapping) and value:
        columns = list(value.values())
        sizes = {len(c) if isinstance(c, list) else -1 for c in columns}
        if len(sizes) == 1 and -1 not in sizes:
            rows = zip(*columns, strict=True)
            return [dict(zip(value, row, strict=True)) for row in rows]
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        roles = ("user", "assistant")
        return [{"role": roles[i % 2], "content": c} for i, c in enumerate(value)]
    return value


def extra_keys(value: Any, name: str, unwanted: Collection[str] = ()) -> set[str]:
    """Filled keys of turns that `turns` does not read, as 'messages[].name'."""
    return {
        f"{name}[].{key}"
        for part in map(_wanted(name, unwanted), listed(value))
        if isinstance(part, Mapping)
        for key, inner in part.items()
        if not missing(inner) and not _is_read(part, key, inner)
    }


def _is_read(part: Mapping[str, Any], key: str, inner: Any) -> bool:
    """Whether a key says something here; the loss counts nothing but answers."""
    if key in WHO:
        return _role({key: inner}) == _role(part)
    if key in WHAT:
        return bool(inner == _first(part, WHAT))
    if _role(part) == "assistant":
        return key in (*WEIGHTS, *THOUGHTS)
    return key in WEIGHTS and not _flag(key, inner)


def history(value: Any, name: str, unwanted: Collection[str] = ()) -> list[Turn]:
    """Earlier exchanges: pairs of question and answer, or turns.

    Raises
    ------
    Unusable
        They are neither.
    """
    value = unpacked(value)
    if missing(value):
        return []
    if is_chat(value):
        return turns(value, name, unwanted)
    found: list[Turn] = []
    for pair in value if isinstance(value, list) else [value]:
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            raise Unusable("unknown history", f"'{name}' is no list of pairs")
        for role, content in zip(("user", "assistant"), pair, strict=True):
            if content is not None and not isinstance(content, str):
                raise Unusable("not text", f"{name} has {type(content).__name__}")
            found.append({"role": role, "content": content or ""})
    return found


def ordered(found: list[Turn]) -> list[Turn]:
    """The turns without an empty system text, if user and assistant alternate.

    Raises
    ------
    Unusable
        An optional system turn, then user and assistant in turn, assistant last, none of
        them empty and one answer in the loss, is what can be read.
    """
    if found[0]["role"] == "system" and missing(found[0]["content"]) and len(found) > 1:
        found = found[1:]
    roles = [turn["role"] for turn in found]
    talk = roles[1:] if roles[0] == "system" else roles
    if not talk or talk != ["user", "assistant"] * (len(talk) // 2):
        shown = " ".join(roles[:8]) + (" ..." if len(roles) > 8 else "")
        raise Unusable(
            "roles out of order",
            f"{shown}; a system text, if any, then user and assistant in turn is read",
        )
    for turn in found:
        if missing(turn["content"]):
            what = "response" if turn["role"] == "assistant" else "instruction"
            raise Unusable(f"empty {what}")
    if all(turn.get("weight") == 0 for turn in found if turn["role"] == "assistant"):
        raise Unusable(
            "nothing to learn", "every answer has weight 0, so none is in the loss"
        )
    return found


def with_system(found: list[Turn], text: str) -> list[Turn]:
    """The turns after a system text that the row has in its own column.

    Raises
    ------
    Unusable
        The conversation begins with another system text.
    """
    if not text:
        return found
    first = found[0]
    if first["role"] != "system" or missing(first["content"]):
        rest = found[1:] if first["role"] == "system" else found
        return [{"role": "system", "content": text}, *rest]
    if first["content"].strip() != text.strip():
        raise Unusable("two system texts", "one in its column, another as first turn")
    return found


def weighed(found: list[Turn], weights: Sequence[Any]) -> list[Turn]:
    """The turns with a weight for each answer, as `export-subset` writes them.

    Raises
    ------
    Unusable
        They are not 0 and 1, one for each answer.
    """
    if not weights:
        return found
    answers = [turn for turn in found if turn["role"] == "assistant"]
    if len(weights) != len(answers):
        raise Unusable(
            "weight of a turn", f"{len(weights)} weights for {len(answers)} answers"
        )
    for turn, weight in zip(answers, weights, strict=True):
        if not _flag("weights", weight):
            turn["weight"] = 0
    return found


def _turn(part: Any) -> Turn:
    if not isinstance(part, Mapping):
        raise Unusable("not text", f"a turn is {type(part).__name__}")
    who = _first(part, WHO)
    if isinstance(who, str) and TOOLS.fullmatch(who.strip().lower()):
        raise Unusable("tool call", f"a turn of '{who}'; {NO_TOOLS}")
    if any(not missing(part.get(key)) for key in CALLS):
        raise Unusable("tool call", f"a turn calls one; {NO_TOOLS}")
    role = _role(part)
    if role is None:
        there = f"its keys are {_names(part)}" if who is None else "it is none of ours"
        raise Unusable(
            "unknown role",
            f"{who!r:.60}, {there}; write system, user or assistant under role or from",
        )
    if not any(key in part for key in WHAT):
        what = "response" if role == "assistant" else "instruction"
        raise Unusable(
            f"empty {what}", f"a turn has neither content nor value, but {_names(part)}"
        )
    content = _content(_first(part, WHAT))
    if role != "assistant":
        return {"role": role, "content": content}
    turn: Turn = {"role": role, "content": _with_thought(part, content)}
    odd = [key for key in part if _is_odd(key) and not missing(part[key])]
    if odd:
        raise Unusable(
            "weight of a turn",
            f"'{odd[0]}' may say what the loss counts, and is not known; write `weight: 0` "
            "or `weight: 1` in its place, or remove it",
        )
    given = [key for key in WEIGHTS if not missing(part.get(key))]
    if not all([_flag(key, part[key]) for key in given]):
        turn["weight"] = 0
    return turn


def _is_odd(key: Any) -> bool:
    return key not in WEIGHTS and LIKE_WEIGHTS.fullmatch(str(key).lower()) is not None


def _names(part: Mapping[str, Any]) -> str:
    return ", ".join(map(str, part))[:60] or "none"


def _role(part: Mapping[str, Any]) -> str | None:
    who = _first(part, WHO)
    return ROLES.get(who.strip().lower()) if isinstance(who, str) else None


def _flag(key: str, value: Any) -> bool:
    """Whether the loss counts a turn."""
    plain = value.strip().lower() if isinstance(value, str) else value
    flag = FLAGS.get(plain) if isinstance(plain, (str, int, float)) else None
    if flag is None:
        raise Unusable(
            "weight of a turn",
            f"{key} is {str(value)[:40]!r}, but the loss counts an answer or does not; "
            "write 0 or 1",
        )
    return flag


def _with_thought(part: Mapping[str, Any], content: str) -> str:
    """The answer after the reasoning that its turn has under a key of its own.

    The form is the one that models of reasoning write and chat templates look for.
    """
    given = {key: part[key] for key in THOUGHTS if not missing(part.get(key))}
    texts = {value.strip() for value in given.values() if isinstance(value, str)}
    if not given or (len(texts) == 1 and min(texts) in content):
        return content
    if len(texts) != 1 or not all(isinstance(v, str) for v in given.values()):
        kinds = ", ".join(f"{key} is {type(v).__name__}" for key, v in given.items())
        raise Unusable("unclear reasoning", f"{kinds}; it must be one text")
    if THOUGHT_MARK.search(content + min(texts)):
        raise Unusable(
            "unclear reasoning", f"<think> in the answer, and a text in {min(given)}"
        )
    if missing(content):
        raise Unusable("empty response", f"reasoning in {min(given)}, and no answer")
    return f"<think>\n{min(texts)}\n</think>\n\n{content.strip()}"


def _first(part: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The first of these keys that is filled; else the value of one that is there."""
    there = [part[name] for name in names if name in part]
    return next((value for value in there if not missing(value)), (*there, None)[0])


def _content(value: Any) -> str:
    """The text of a turn: text, or a list of parts that are all text."""
    if isinstance(value, str):
        return value
    if missing(value) and not isinstance(value, list):
        return ""
    if not isinstance(value, list):
        raise Unusable("not text", f"content is {type(value).__name__}")
    texts = []
    for part in value:
        text = part.get("text") if isinstance(part, Mapping) else None
        kind = part.get("type") or "text" if isinstance(part, Mapping) else part
        if kind not in ("text", "input_text", "output_text") or not isinstance(
            text, str
        ):
            raise Unusable(
                "not text",
                f"content is list with a part {str(kind)[:40]!r}; only text is read",
            )
        texts.append(text)
    return "".join(texts)

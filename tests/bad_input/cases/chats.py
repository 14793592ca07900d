"""Chats: turns that no loss, template or tokenizer can take as they are."""

from __future__ import annotations

from functools import partial
from typing import Any

from cases import Case
from cases.pool import of_rows

ASKED = {"role": "user", "content": "2+2?"}
SAID = {"role": "assistant", "content": "4"}
NO_TOOLS = "only chats without tools are read"
END = "end the chat before it, or leave it out"


def talk(*turns: Any) -> Any:
    return partial(of_rows, rows=[{"messages": list(turns)}])


def told(name: str, do: Any, wrong: str, right: str, fix: str = "Fix") -> Case:
    return Case(name, do, wrong, right, fix)


def tool(name: str, turn: dict[str, Any], wrong: str) -> Case:
    return told(name, talk(ASKED, SAID, turn), wrong, NO_TOOLS, END)


def weight(name: str, key: str, value: Any) -> Case:
    return told(
        f"a turn whose {name}",
        talk(ASKED, {**SAID, key: value}),
        f"weight of a turn: {key} is {str(value)[:40]!r}",
        "the loss counts an answer or does not",
        "write 0 or 1",
    )


def like_a_weight(key: str, value: Any) -> Case:
    return told(
        f"a turn with the key {key}",
        talk(ASKED, {**SAID, key: value}),
        f"weight of a turn: '{key}' may say what the loss counts",
        "write `weight: 0` or `weight: 1`",
        "or remove it",
    )


def unclear(name: str, wrong: str, right: str, **turn: Any) -> Case:
    return told(name, talk(ASKED, {**SAID, **turn}), wrong, right)


def part(name: str, content: Any, kind: str) -> Case:
    return told(
        name,
        talk({"role": "user", "content": content}, SAID),
        f"not text: content is {kind}",
        "text" if "part" not in kind else "only text is read",
    )


LAST = {"instruction": "And 3+3?", "output": "6", "history": [["2+2?", "4"]]}
NOTHING = "so none is in the loss"

CASES = [
    tool("the answer of a tool", {"role": "tool", "content": "4"}, "turn of 'tool'"),
    tool("a function", {"role": "function", "content": "4"}, "turn of 'function'"),
    tool("an observation", {"from": "observation", "value": "4"}, "of 'observation'"),
    tool("ipython", {"role": "ipython", "content": "4"}, "turn of 'ipython'"),
    tool(
        "a call of ShareGPT", {"from": "function_call", "value": "4"}, "'function_call'"
    ),
    tool(
        "a call of a tool",
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a"}]},
        "a turn calls one",
    ),
    tool(
        "a call of a function",
        {"role": "assistant", "content": "", "function_call": {"name": "f"}},
        "a turn calls one",
    ),
    weight("weight is a half", "weight", 0.5),
    weight("weight is negative", "weight", -1),
    weight("weight is 2", "weight", 2),
    weight("weight is a list", "weight", [0]),
    weight("flag is a word", "train", "maybe"),
    weight("mask has an entry per token", "loss_mask", [0, 1, 1]),
    weight("flag is null as a word", "trainable", "null"),
    weight("loss is a share", "loss", 0.25),
    like_a_weight("mask", True),
    like_a_weight("loss_scale", 0.5),
    like_a_weight("train_on_turn", False),
    like_a_weight("train_detail", [{"begin_offset": 0, "end_offset": 1}]),
    like_a_weight("token_weights", [0, 1]),
    tool(
        "swift's answer of a tool", {"role": "tool_response", "content": "4"}, "tool_"
    ),
    tool("the calls of a tool", {"role": "tool_calls", "content": "4"}, "'tool_calls'"),
    tool("results", {"from": "function_results", "value": "4"}, "'function_results'"),
    told(
        "a chat of Gemini's parts",
        talk({"role": "user", "parts": [{"text": "2+2?"}]}, SAID),
        "a turn has neither content nor value, but role, parts",
        "content",
    ),
    told(
        "a turn with its text under another key",
        talk(ASKED, {"role": "assistant", "text": "4"}),
        "empty response: a turn has neither content nor value, but role, text",
        "value",
    ),
    told(
        "an exchange as one turn",
        talk({"user": "2+2?", "assistant": "4"}),
        "unknown role: None, its keys are user, assistant",
        "write system, user or assistant under role or from",
    ),
    told(
        "a list that NumPy printed without commas",
        partial(of_rows, rows=[{"messages": "[{'role': 'user'}\n {'role': 'x'}]"}]),
        "'messages' is no chat, a list of turns, but str",
        "a list of turns",
    ),
    told(
        "an answer that is marked as bad",
        partial(of_rows, rows=[{"prompt": "2+2?", "completion": "5", "label": False}]),
        "not wanted: label is false",
        "the mark of a bad answer",
    ),
    told(
        "a chat whose only answer has weight 0",
        talk(ASKED, {**SAID, "weight": 0}),
        "nothing to learn: every answer has weight 0",
        NOTHING,
    ),
    told(
        "a chat whose answers are all not to be trained",
        talk(ASKED, {**SAID, "train": False}, ASKED, {**SAID, "trainable": False}),
        "nothing to learn: every answer has weight 0",
        NOTHING,
    ),
    told(
        "fewer weights than answers",
        partial(of_rows, rows=[{**LAST, "weights": [1]}]),
        "weight of a turn: 1 weights for 2 answers",
        "2 answers",
    ),
    told(
        "weights that are all 0",
        partial(of_rows, rows=[{**LAST, "weights": [0, 0]}]),
        "nothing to learn",
        NOTHING,
    ),
    told(
        "weights that are shares",
        partial(of_rows, rows=[{**LAST, "weights": [0.2, 0.8]}]),
        "weight of a turn: weights is '0.2'",
        "the loss counts an answer or does not",
        "write 0 or 1",
    ),
    unclear(
        "reasoning under two keys",
        "unclear reasoning: reasoning_content is str, thinking is str",
        "it must be one text",
        reasoning_content="a",
        thinking="b",
    ),
    unclear(
        "reasoning in a list",
        "unclear reasoning: reasoning is list",
        "it must be one text",
        reasoning=["a"],
    ),
    unclear(
        "reasoning in its key and another in the answer",
        "unclear reasoning: <think> in the answer",
        "a text in reasoning",
        content="<think>x</think>4",
        reasoning="y",
    ),
    unclear(
        "reasoning and no answer",
        "empty response: reasoning in reasoning_content",
        "no answer",
        content="",
        reasoning_content="y",
    ),
    unclear(
        "marks of reasoning inside of it",
        "unclear reasoning: <think> in the answer",
        "a text in thinking",
        thinking="a </think> b",
    ),
    part("a picture", [{"type": "image_url", "image_url": "x"}], "list with a part"),
    part("a sound", [{"type": "input_audio", "data": "x"}], "list with a part"),
    part("a part that is a word", ["2+2?"], "list with a part"),
    part("a text part without text", [{"type": "text"}, 4], "list with a part"),
    part("a number", 4, "int"),
    part("an object", {"text": "x"}, "dict"),
    told(
        "a role of another kind", talk({"role": 7, "content": "x"}), "role: 7", "role"
    ),
    told("a role without name", talk({"content": "x"}), "unknown role: None", "role"),
    told("a turn that is text", talk(ASKED, "4"), "a turn is str", "text"),
    told(
        "two questions in a row", talk(ASKED, ASKED, SAID), "order: user user", "roles"
    ),
    told(
        "two answers in a row", talk(ASKED, SAID, SAID), "user assistant ass", "roles"
    ),
    told("a question at the end", talk(ASKED, SAID, ASKED), "order: user", "roles"),
]

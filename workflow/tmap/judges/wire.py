"""Questions and replies in the format of OpenAI-compatible servers.

A server fills its own chat template, and many read control tokens in user text. If data
contain such words, an invisible word joiner (U+2060) breaks them after one character.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from tmap.judges.base import Question, Style, Want

if TYPE_CHECKING:
    from tmap.cards.judge import FormSection, ServerSection

#: How the common model families write control tokens.
CONTROL = re.compile(
    r"<\|[^<>|\s]{1,40}\|>|<[\uff5c][^<>]{1,40}[\uff5c]>|</?s>|\[/?INST\]|<</?SYS>>"
    r"|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>|<\|"
)
JOINER = "\u2060"
PATHS = {"chat": "/chat/completions", "completion": "/completions"}


def request(question: Question, style: Style) -> dict[str, Any]:
    """The question in the words that are sent: the part that recordings contain."""
    text = "".join(
        piece.text if piece.trusted else harmless(piece.text)
        for piece in question.pieces
    )
    if style == "completion":
        return {"prompt": text}
    system = [{"role": "system", "content": question.system}] if question.system else []
    return {"messages": [*system, {"role": "user", "content": text}]}


def harmless(text: str) -> str:
    """`text` without anything that a chat template would read as a control token."""
    return CONTROL.sub(lambda found: found[0][0] + JOINER + found[0][1:], text)


def decoding(
    server: ServerSection, form: FormSection, style: Style, want: Want
) -> dict[str, Any]:
    """The other fields of a request, the same for all rows; greedy decoding."""
    fields: dict[str, Any] = {"model": server.model, "temperature": 0}
    if want == "text":
        fields["max_tokens"] = form.max_new_tokens
        if form.stop:
            fields["stop"] = form.stop
    elif style == "chat":
        fields |= {"max_tokens": 1, "logprobs": True}
        fields["top_logprobs"] = server.top_logprobs
    else:
        fields |= {"max_tokens": 1, "logprobs": server.top_logprobs}
    fields |= server.extra
    return {name: value for name, value in fields.items() if value is not None}


def read(answer: Any, want: Want) -> dict[str, Any] | None:
    """The raw reply in a server's answer; None if it lacks what was wanted.

    Either shape is read, whatever style was asked for: servers mix them. An empty text
    that was cut, as by thoughts without an end, is no reply.
    """
    try:
        choice = answer["choices"][0]
        if want == "digits":
            return _tokens(choice["logprobs"])
        text = _written(choice)
        if not text and is_cut(answer):
            return None
        # An answer without text (such as a refusal) is also a reply, without a number.
        return {"text": _sound("" if text is None else text)}
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def is_cut(answer: Any) -> bool:
    """Whether an answer ended because it was as long as it may be."""
    try:
        return bool(answer["choices"][0]["finish_reason"] == "length")
    except (KeyError, IndexError, TypeError):
        return False


def _written(choice: Any) -> str | None:
    """The text, in the shape of either style."""
    if "message" not in choice:
        return choice["text"]
    content = choice["message"]["content"]
    if isinstance(content, list):  # parts, of which some may be thoughts
        texts = ("text", "output_text")
        return "".join(part["text"] for part in content if part.get("type") in texts)
    return content


def _tokens(logprobs: Any) -> dict[str, Any]:
    """{"tokens": [[text, log-probability], ...]} of the first position, likeliest first.

    Either shape: chat's `content`, with a list of objects for each
    position, or completion's `top_logprobs`, with an object (or such a list) for each. A
    null stands for minus infinity, which JSON has not.
    """
    content = logprobs.get("content")
    listed = content[0]["top_logprobs"] if content else logprobs["top_logprobs"][0]
    if isinstance(listed, dict):
        given = list(listed.items())
    else:
        given = [(entry["token"], entry["logprob"]) for entry in listed]
    pairs = [(token, float(value)) for token, value in given if value is not None]
    finite = [(_sound(t), p) for t, p in pairs if math.isfinite(p) and p <= 1e-6]
    if not finite:
        raise ValueError("no token")
    return {"tokens": [list(p) for p in sorted(finite, key=lambda p: (-p[1], p[0]))]}


def _sound(text: str) -> str:
    """Make text valid for JSON and parquet; anything but text raises AttributeError."""
    return text.encode("utf-8", "replace").decode("utf-8")

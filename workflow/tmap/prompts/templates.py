"""Prompt templates: the layout of questions and answers in a prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

Role = Literal["system", "user", "assistant"]

URIAL_HEADER = """\
# Instruction

What follows are exchanges between a person and an assistant. Each message of the person
stands under "# Query:", each reply of the assistant under "# Answer:". The assistant
knows many fields, thinks a task through before it concludes, and replies to what was
asked: clearly, fully and in good order.

"""


#: What templates look at inside an answer: the marks around its reasoning. White space is
#: looked at once, as a text may have a megabyte of it.
THOUGHT = re.compile(r"((?:(?<!\s)\s+)?</?think>\s*)")


class Slot(NamedTuple):
    """A place for text from data: that of `role` in exchange number `turn`.

    An answer with reasoning has several pieces, the answer proper being the last one.
    """

    role: Role
    turn: int
    piece: int = 0


Part = str | Slot
Parts = tuple[Part, ...]


class Shape(NamedTuple):
    """What of an exchange's texts a template may look at, in front of and between slots.

    That is the indentation of a first line, and the marks around reasoning.
    """

    question: Parts
    answer: Parts


def shape(role: Role, turn: int, text: str) -> tuple[Parts, dict[Slot, str]]:
    """A text as parts, and the texts of its slots.

    Parameters
    ----------
    text : cleaned; only of an answer, `<think>` and `</think>` become parts
    """
    body = text.lstrip()
    pieces = THOUGHT.split(body) if role == "assistant" else [body]
    if not pieces[-1]:  # reasoning without an answer: text like any other
        pieces = [body]
    parts: list[Part] = [text[: len(text) - len(body)]]
    texts: dict[Slot, str] = {}
    for number, piece in enumerate(pieces):
        slot = Slot(role, turn, number)
        if number % 2:
            parts.append(piece)
        elif piece or len(pieces) == 1:
            parts.append(slot)
            texts[slot] = piece
    return tuple(part for part in parts if part), texts


class Filled(NamedTuple):
    """A conversation: exchanges, the texts of all slots, whether it has a system text."""

    shapes: tuple[Shape, ...]
    texts: Mapping[Slot, str]
    system: bool


class Turn(NamedTuple):
    """One exchange as a template writes it.

    Attributes
    ----------
    before : text before the seam: header, separator, system text
    asked : from the seam to where the answer starts
    said : the answer, with " " in front if the model is to write the space
    close : text that ends the answer; empty if the end-of-sequence token alone does
    """

    before: Parts
    asked: Parts
    said: Parts
    close: str


class Template(Protocol):
    """A way to lay out conversations.

    Attributes
    ----------
    stop : texts that end an answer
    literals : text that the template itself writes; it may contain control tokens
    """

    stop: tuple[str, ...]
    literals: str

    def turns(self, shapes: Sequence[Shape], system: bool) -> tuple[Turn, ...] | None:
        """The layout of exchanges; None if it has no place for a system text."""

    def rewrites(self, talks: Sequence[Filled]) -> list[bool]:
        """Whether it makes another text of each conversation than its turns say."""


class Plain:
    """`Question: ... Answer: ...`, with a blank line between examples."""

    stop: tuple[str, ...] = ("\n\nQuestion:",)
    literals = ""

    def rewrites(self, talks: Sequence[Filled]) -> list[bool]:
        return [False] * len(talks)

    def turns(self, shapes: Sequence[Shape], system: bool) -> tuple[Turn, ...] | None:
        if system:
            return None
        return tuple(
            Turn(
                before=("\n\n",) if turn else (),
                asked=("Question: ", *shape.question, "\nAnswer:"),
                said=(" ", *shape.answer),
                close="",
            )
            for turn, shape in enumerate(shapes)
        )


class Urial:
    """Instruction, then `# Query:` and `# Answer:` blocks (paper, Table 10)."""

    literals = ""

    def __init__(self, fenced: bool) -> None:
        self.fence = "```\n" if fenced else ""
        self.close = "\n```" if fenced else ""
        self.stop: tuple[str, ...] = (
            ("# Query:", self.close) if fenced else ("# Query:",)
        )

    def rewrites(self, talks: Sequence[Filled]) -> list[bool]:
        return [False] * len(talks)

    def turns(self, shapes: Sequence[Shape], system: bool) -> tuple[Turn, ...] | None:
        if system:
            return None
        query, answer = f"# Query:\n{self.fence}", f"\n\n# Answer:\n{self.fence}"
        return tuple(
            Turn(
                before=("\n\n",) if turn else (URIAL_HEADER,),
                asked=(query, *shape.question, self.close + answer),
                said=shape.answer,
                close=self.close,
            )
            for turn, shape in enumerate(shapes)
        )

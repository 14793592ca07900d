"""Prompt templates: the layout of questions and answers in a prompt."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

Role = Literal["system", "user", "assistant"]

URIAL_HEADER = """\
# Instruction

What follows are exchanges between a person and an assistant. Each message of the person
stands under "# Query:", each reply of the assistant under "# Answer:". The assistant
knows many fields, thinks a task through before it concludes, and replies to what was
asked: clearly, fully and in good order.

"""


class Slot(NamedTuple):
    """A place for text from data: that of `role` in exchange number `turn`."""

    role: Role
    turn: int


Part = str | Slot


class Turn(NamedTuple):
    """One exchange as a template writes it.

    Attributes
    ----------
    before : text before the seam: header, separator, system text
    asked : from the seam to where the answer starts
    lead : the start of the answer (" " if the model is to write the space)
    close : text that ends the answer; empty if the end-of-sequence token alone does
    """

    before: tuple[Part, ...]
    asked: tuple[Part, ...]
    lead: str
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

    def turns(self, n: int, system: bool) -> tuple[Turn, ...] | None:
        """The layout of n exchanges; None if it has no place for a system text."""


class Plain:
    """`Question: ... Answer: ...`, with a blank line between examples."""

    stop: tuple[str, ...] = ("\n\nQuestion:",)
    literals = ""

    def turns(self, n: int, system: bool) -> tuple[Turn, ...] | None:
        if system:
            return None
        return tuple(
            Turn(
                before=("\n\n",) if turn else (),
                asked=("Question: ", Slot("user", turn), "\nAnswer:"),
                lead=" ",
                close="",
            )
            for turn in range(n)
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

    def turns(self, n: int, system: bool) -> tuple[Turn, ...] | None:
        if system:
            return None
        query, answer = f"# Query:\n{self.fence}", f"\n\n# Answer:\n{self.fence}"
        return tuple(
            Turn(
                before=("\n\n",) if turn else (URIAL_HEADER,),
                asked=(query, Slot("user", turn), self.close + answer),
                lead="",
                close=self.close,
            )
            for turn in range(n)
        )

"""The questions to a judge, and its replies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

from tmap.prompts.encoding import Text

#: digits: probabilities of 1 to 6 as the first token; text: a written reply.
Want = Literal["digits", "text"]
Style = Literal["chat", "completion"]
DIGITS = "123456"


class Question(NamedTuple):
    """A filled form; pieces from the template are trusted, data are not."""

    system: str
    pieces: tuple[Text, ...]

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


class JudgeReply(NamedTuple):
    """A raw reply, None unless ok, and a status of `tmap.indicators.STATUSES`.

    Raw replies: {"digits": [6 natural log-probabilities over the whole vocabulary]} from a
    local model, {"tokens": [[text, log-probability], ...]} with a server's likeliest first
    tokens, or {"text": "..."}.
    """

    status: str
    raw: dict[str, Any] | None = None


class Asker(Protocol):
    """A source of replies: one reply per question, in order."""

    def ask(self, questions: Sequence[Question], want: Want) -> list[JudgeReply]:
        """Replies to questions; they do not depend on the order of the questions."""

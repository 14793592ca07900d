"""What is asked of a judge, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

from tmap.prompts.encoding import Text

#: digits: probabilities of 1 to 6 as the first token; text: a written reply.
Want = Literal["digits", "text"]
Style = Literal["chat", "completion"]
DIGITS = "123456"


class Question(NamedTuple):
    """A filled form; pieces that the template wrote are trusted, data are not."""

    system: str
    pieces: tuple[Text, ...]

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


class JudgeReply(NamedTuple):
    """A raw reply, None unless ok, and a status of `tmap.indicators.STATUSES`.

    Raw replies: {"digits": [6 natural log-probabilities over the whole vocabulary]} of a
    local model, {"tokens": [[text, log-probability], ...]} of a server's likeliest first
    tokens, or {"text": "..."}.
    """

    status: str
    raw: dict[str, Any] | None = None


class Asker(Protocol):
    """Whoever replies: one reply per question, in order."""

    def ask(self, questions: Sequence[Question], want: Want) -> list[JudgeReply]:
        """Replies to questions; the order of the questions changes none."""

"""End an answer at a stop text, as soon as a token completes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tmap.engines.base import Ids

#: Tokens decoded in addition to the stop text's bytes, because some decode to nothing.
SLACK = 4


class StopTexts:
    """Looks for stop texts in the tail of an answer.

    Parameters
    ----------
    tokenizer : transformers tokenizer
    stop : texts that end an answer; empty ones are ignored
    """

    def __init__(self, tokenizer: Any, stop: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._stop = [text for text in stop if text]
        # A token has at least one byte, so this many cover any stop text.
        self._tail = max((len(t.encode()) for t in self._stop), default=0) + SLACK
        self._enders = self._find_enders() if self._stop else frozenset()

    def ended(self, ids: Ids) -> bool:
        """Whether the last of `ids` completed a stop text."""
        if not self._stop or (self._enders is not None and ids[-1] not in self._enders):
            return False
        text = _decode(self._tokenizer, ids[-self._tail :])
        return any(mark in text for mark in self._stop)

    def _find_enders(self) -> frozenset[int] | None:
        """Tokens that can complete a stop text; None: any (white space is hard to tell)."""
        last = {text[-1] for text in self._stop}
        if any(character.isspace() and character != "\n" for character in last):
            return None
        last.add("\ufffd")  # part of a character that the next token may complete
        size = len(self._tokenizer)
        texts = ((i, _decode(self._tokenizer, [i])) for i in range(size))
        return frozenset(i for i, text in texts if last & set(text))


def _decode(tokenizer: Any, ids: Ids) -> str:
    text: str = tokenizer.decode(
        list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
    )
    return text

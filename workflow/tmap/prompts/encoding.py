"""Text to token ids, with control tokens kept out of data."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

#: A text is encoded after one of these, so that it does not look like the beginning of a
#: row; the first that stays a token of its own is used.
ANCHORS = ("\n", "x", ".")


class Text(NamedTuple):
    """A piece of text; `trusted` if the template wrote it, not the data."""

    text: str
    trusted: bool


class SafeTokenizer:
    """Encodes pieces of text as one stretch of token ids.

    Control tokens are recognised in trusted pieces only; the same words inside data stay
    words. No space is added before a stretch.

    Parameters
    ----------
    tokenizer : transformers tokenizer
    literals : text of the template; an added token that is not special but occurs here
        (some models' turn marks) is a control token as well
    """

    def __init__(self, tokenizer: Any, literals: str) -> None:
        self._tokenizer = tokenizer
        added = {
            token.content: (number, token)
            for number, token in tokenizer.added_tokens_decoder.items()
        }
        self._controls = {
            text: entry
            for text, entry in added.items()
            if text.strip() and (entry[1].special or text in literals)
        }
        self._plain_controls = _any_of(
            [text for text, (_, token) in self._controls.items() if not token.special]
        )
        self._split = _any_of(self._controls)
        self.invents_space = self._raw("\nx") != self._raw("\n") + self._raw("x")

    def encode(self, pieces: Sequence[Text]) -> list[int]:
        """Ids of the pieces, joined; neither BOS nor EOS is added."""
        ids: list[int] = []
        run = ""
        for text, control in self._scan(pieces):
            if control is None:
                run += text
            else:
                ids += [*self._words(run), control]
                run = ""
        return ids + self._words(run)

    def first_control(self, text: str) -> int:
        """Where the first control token in `text` ends; 0 if there is none."""
        found = self._split.search(text) if self._split else None
        return found.end() if found else 0

    def last_control(self, text: str) -> int:
        """Where the last control token in `text` ends; 0 if there is none."""
        found = list(self._split.finditer(text)) if self._split else []
        return found[-1].end() if found else 0

    def _scan(self, pieces: Sequence[Text]) -> Iterator[tuple[str, int | None]]:
        """(words, None) and (control token, its id) in the order of the text."""
        for piece in pieces:
            if not piece.trusted or self._split is None:
                yield piece.text, None
                continue
            strip_next = False
            parts = self._split.split(piece.text)
            for here, text in enumerate(parts):
                if here % 2:
                    yield text, self._controls[text][0]
                    continue
                # A token may be declared to swallow the white space next to it.
                if strip_next:
                    text = text.lstrip()
                if here + 1 < len(parts):
                    after = self._controls[parts[here + 1]][1]
                    text = text.rstrip() if after.lstrip else text
                    strip_next = after.rstrip
                yield text, None

    def _words(self, text: str) -> list[int]:
        if not text:
            return []
        if self._plain_controls is None:
            return self._continue(text)
        # `split_special_tokens` does not cover these: break them after one character.
        cuts = [found.start() + 1 for found in self._plain_controls.finditer(text)]
        edges = [0, *cuts, len(text)]
        runs = (text[a:b] for a, b in itertools.pairwise(edges))
        return [number for run in runs for number in self._continue(run)]

    def _continue(self, text: str) -> list[int]:
        if not self.invents_space:
            return self._raw(text)
        for anchor in ANCHORS:
            head = self._raw(anchor)
            ids = self._raw(anchor + text)
            if ids[: len(head)] == head:
                return ids[len(head) :]
        return self._raw(text)

    def _raw(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(
            text, add_special_tokens=False, split_special_tokens=True, verbose=False
        )
        return ids


def _any_of(texts: Sequence[str] | dict[str, Any]) -> re.Pattern[str] | None:
    longest_first = sorted(texts, key=len, reverse=True)
    if not longest_first:
        return None
    return re.compile(f"({'|'.join(map(re.escape, longest_first))})")

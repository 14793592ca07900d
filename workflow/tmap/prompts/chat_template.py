"""The model's own chat template, split into exchanges.

The template is rendered with a marker in place of every text. Whatever is between the
markers comes from the template; the texts are inserted afterwards, as data.
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from typing import Any, cast

from tmap.errors import TmapError
from tmap.prompts import bounded
from tmap.prompts.encoding import SafeTokenizer
from tmap.prompts.templates import Part, Role, Slot, Turn

FIX = "Set `prompt: {template: plain}` (or urial) in the model card."
#: A fixed date for templates that print the date, which would change tokens from day to
#: day: the one that Llama 3's template falls back to.
TODAY = "26 Jul 2024"
STANDSTILL = f"{{% macro strftime_now(format) %}}{TODAY}{{% endmacro %}}"
MARK = re.compile(r"tmap(system|user|assistant)(\d+)slot")


class Chat:
    """Layout by `tokenizer.chat_template`.

    A system text goes where the template puts it. The prompt ends where the template's
    generation prompt ends. If its finished conversations differ from that (for example by
    an empty reasoning block), it ends where the answer begins in a finished conversation.

    Raises
    ------
    TmapError
        If there is no template, or texts cannot be distinguished from what it writes.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not tokenizer.chat_template:
            raise TmapError(
                f"The model's tokenizer has no chat template; one is needed. {FIX}"
            )
        self._tokenizer = tokenizer
        # Imports what every copy of this process would import again.
        tokenizer.apply_chat_template(
            _conversation(1, system=False), tokenize=False, chat_template="x"
        )
        self._known = cache(self._turns)
        self.literals = self._render_plain(1)
        self._encoder = SafeTokenizer(tokenizer, self.literals)
        end = self._split(self.literals, 1)[-1].close.strip()
        self.stop: tuple[str, ...] = (end,) if end else ()

    def turns(self, n: int, system: bool) -> tuple[Turn, ...] | None:
        return self._known(n, system)

    def _turns(self, n: int, system: bool) -> tuple[Turn, ...] | None:
        if not system:
            return self._split(self._render_plain(n), n)
        try:
            text = self._render(_conversation(n, system=True))
        except bounded.Failed as fault:
            if not fault.is_refusal:
                raise _fails("a system text", fault) from None
            return None
        if _mark(Slot("system", 0)) not in text:  # or ignores it
            return None
        return self._split(text, n)

    def _split(self, text: str, n: int) -> tuple[Turn, ...]:
        bos = self._tokenizer.bos_token
        text = text.removeprefix(bos) if bos else text
        lead = self._lead(text)
        turns, start = [], 0
        for turn in range(n):
            mark = _mark(Slot("assistant", turn))
            asked, _, rest = text[start:].partition(mark)
            before, asked, own_lead = self._seam(asked, turn, lead)
            close = self._close(rest.partition(_mark(Slot("user", turn + 1)))[0])
            turns.append(Turn(_parts(before), _parts(asked), own_lead, close))
            start = len(text) - len(rest) + len(close)
        return tuple(turns)

    def _seam(self, text: str, turn: int, lead: str) -> tuple[str, str, str]:
        """(text before the seam, from it to the answer, the beginning of the answer)."""
        head, mark, tail = text.partition(_mark(Slot("user", turn)))
        written = head.rpartition(_mark(Slot("system", 0)))[2]
        blank = written.rfind("\n\n") + 2 if "\n\n" in written else 0
        cut = len(head) - len(written) + (self._encoder.last_control(written) or blank)
        own_lead = lead if tail.endswith(lead) else ""
        asked = head[cut:] + mark + tail.removesuffix(own_lead)
        return head[:cut], asked, own_lead

    def _close(self, text: str) -> str:
        """The end of an answer: up to its first control token, or all if there is none."""
        return text[: self._encoder.first_control(text)] or text.rstrip()

    def _lead(self, text: str) -> str:
        """White space that the generation prompt leaves to the answer."""
        opened = self._opened
        bos = self._tokenizer.bos_token
        opened = opened.removeprefix(bos) if bos else opened
        written = text.partition(_mark(Slot("assistant", 0)))[0]
        rest = written.removeprefix(opened)
        if written.startswith(opened) and not rest.strip():
            return rest
        return written[len(written.rstrip(" ")) :]

    @cached_property
    def _opened(self) -> str:
        """A question and the prompt for its answer."""
        try:
            return self._render(_conversation(1, system=False)[:1], answer_next=True)
        except bounded.Failed as fault:
            raise _fails("a question that waits for its answer", fault) from None

    def _render_plain(self, n: int) -> str:
        """A conversation of n exchanges without a system text, with every mark once."""
        try:
            text = self._render(_conversation(n, system=False))
        except bounded.Failed as fault:
            raise _fails(f"{n} exchanges of user and assistant", fault) from None
        marks = [_mark(Slot(r, t)) for t in range(n) for r in ("user", "assistant")]
        places = [text.find(mark) for mark in marks]
        once = all(text.count(mark) == 1 for mark in marks)
        if not once or places != sorted(places):
            raise TmapError(
                "The chat template does not write each text once and in order; without "
                f"that, prompt and answer cannot be split. {FIX}"
            )
        return text

    def _render(self, messages: list[dict[str, str]], answer_next: bool = False) -> str:
        def make() -> str:
            text: str = self._tokenizer.apply_chat_template(
                messages,
                tokenize=False,
                add_generation_prompt=answer_next,
                chat_template=STANDSTILL + self._tokenizer.get_chat_template(),
                date_string=TODAY,
            )
            return text

        return bounded.render(make)


def _fails(on: str, fault: bounded.Failed) -> TmapError:
    return TmapError(
        f"The chat template fails on {on} ({fault}); it must render that. {FIX}"
    )


def _conversation(n: int, system: bool) -> list[dict[str, str]]:
    slots = [Slot("system", 0)] if system else []
    slots += [Slot(r, t) for t in range(n) for r in ("user", "assistant")]
    return [{"role": slot.role, "content": _mark(slot)} for slot in slots]


def _mark(slot: Slot) -> str:
    """A word that no template writes or changes; none is a part of another."""
    return f"tmap{slot.role}{slot.turn}slot"


def _parts(text: str) -> tuple[Part, ...]:
    """Split text with marks into literals of the template and slots, in order."""
    parts: list[Part] = []
    pieces = MARK.split(text)  # text, role, number, text, role, number, ... text
    for literal, role, turn in zip(
        pieces[::3], [*pieces[1::3], None], [*pieces[2::3], None], strict=True
    ):
        parts += [literal] if literal else []
        parts += [Slot(cast(Role, role), int(turn))] if role and turn else []
    return tuple(parts)

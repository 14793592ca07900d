"""The model's own chat template, split into exchanges.

The template is rendered with a marker in place of every text. Whatever is between the
markers comes from the template; the texts are inserted afterwards, as data. The template
sees what it may look at (`tmap.prompts.templates.Shape`): the indentation of a text, and
the marks around reasoning, which it may write, strip or move.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import takewhile
from typing import Any, cast

from tmap.errors import TmapError
from tmap.prompts import bounded
from tmap.prompts.encoding import SafeTokenizer
from tmap.prompts.templates import (
    THOUGHT,
    Filled,
    Part,
    Parts,
    Role,
    Shape,
    Slot,
    Turn,
)

FIX = "Set `prompt: {template: plain}` (or urial) in the model card."
#: A fixed date for templates that print the date, which would change tokens from day to
#: day: the one that Llama 3's template falls back to.
TODAY = "26 Jul 2024"
STANDSTILL = f"{{% macro strftime_now(format) %}}{TODAY}{{% endmacro %}}"
MARK = re.compile(r"tmap(system|user|assistant)(\d+)n(\d+)slot")
#: Keys under which templates look for the reasoning of an answer.
KEYS = ("reasoning_content", "reasoning", "thinking")
#: One block of reasoning in front of an answer; with the line breaks next to the marks,
#: which are not part of it.
BLOCK = re.compile(r"\s*<think>\n*(.*?)\n*</think>\n*(.*)", re.DOTALL)
#: A first exchange without indentation and reasoning, and one with reasoning.
PLAIN = Shape((Slot("user", 0),), (Slot("assistant", 0),))
REASONED = Shape(
    (Slot("user", 0),),
    ("<think>\n", Slot("assistant", 0), "\n</think>\n\n", Slot("assistant", 0, 2)),
)


class Chat:
    """Layout by `tokenizer.chat_template`.

    A system text goes where the template puts it. The prompt ends where the template's
    generation prompt ends. If its finished conversations differ from that (for example by
    an empty reasoning block), it ends where the answer begins in a finished conversation.
    An answer with reasoning begins with it. A template that has a place for reasoning
    under a key, and leaves `<think>` in a text as it is, gets it under that key.

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
        self._known = lru_cache(maxsize=1024)(self._turns)
        self._whole = lru_cache(maxsize=1)(self._render_whole)
        self._by_key = False
        one = (PLAIN,)
        # Imports what every copy of this process would import again.
        tokenizer.apply_chat_template(
            self._conversation(one, system=False), tokenize=False, chat_template="x"
        )
        text = self._whole(one)
        self._opened, self._lead = self._opening(text)
        self.literals = text + self._reasoned()
        self._encoder = SafeTokenizer(tokenizer, self.literals)
        end = self._split(text, one)[-1].close.strip()
        self.stop: tuple[str, ...] = (end,) if end else ()

    def turns(self, shapes: Sequence[Shape], system: bool) -> tuple[Turn, ...] | None:
        return self._known(tuple(shapes), system)

    def rewrites(self, talks: Sequence[Filled]) -> list[bool]:
        """Whether the template makes another text of each conversation than its turns say.

        That is so if it looks at what texts say, as at `/no_think`, or changes them. A
        conversation that it refuses counts, too.
        """

        def make() -> str:
            return "".join("01"[self._differs(*talk)] for talk in talks)

        try:
            return [verdict == "1" for verdict in bounded.render(make)]
        except bounded.Failed as fault:
            raise _fails(f"{len(talks)} rows of the pool", fault) from None

    def _differs(
        self, shapes: Sequence[Shape], texts: Mapping[Slot, str], system: bool
    ) -> bool:
        def fill(text: str) -> str:
            return MARK.sub(lambda mark: texts[_slot(mark)], text)

        marked = self._conversation(shapes, system)
        filled = [{key: fill(text) for key, text in turn.items()} for turn in marked]
        try:
            return fill(self._made(marked)) != self._made(filled)
        except Exception:  # the template's own, whatever it raises
            return True

    def _turns(
        self, shapes: tuple[Shape, ...], system: bool
    ) -> tuple[Turn, ...] | None:
        if not system:
            return self._split(self._whole(shapes), shapes)
        try:
            text = self._render(self._conversation(shapes, system=True))
        except bounded.Failed as fault:
            if not fault.is_refusal:
                raise _fails("a system text", fault) from None
            return None
        if _mark(Slot("system", 0)) not in text:  # or ignores it
            return None
        return self._split(text, shapes)

    def _split(self, text: str, shapes: tuple[Shape, ...]) -> tuple[Turn, ...]:
        bos = self._tokenizer.bos_token
        text = text.removeprefix(bos) if bos else text
        final = text[max(m.end() for m in MARK.finditer(text) if m[1] == "assistant") :]
        turns, start = [], 0
        for turn, shape in enumerate(shapes):
            own = text[start:].partition(_mark(Slot("user", turn + 1)))[0]
            head, mark, tail = own.partition(_mark(Slot("user", turn)))
            places = [found for found in MARK.finditer(tail) if found[1] == "assistant"]
            first, last = places[0].start(), places[-1].end()
            asked, said = self._begin(tail[:first], shape)
            cut = self._seam(head)
            close = self._close(tail[last:], final)
            turns.append(
                Turn(
                    _parts(head[:cut]),
                    _parts(head[cut:] + mark + asked),
                    _parts(said + tail[first:last]),
                    close,
                )
            )
            start += len(head) + len(mark) + last + len(close)
        return tuple(turns)

    def _seam(self, head: str) -> int:
        """Where, in the text before a question, the part begins that depends on it."""
        written = head.rpartition(_mark(Slot("system", 0)))[2]
        blank = written.rfind("\n\n") + 2 if "\n\n" in written else 0
        return len(head) - len(written) + (self._encoder.last_control(written) or blank)

    def _begin(self, text: str, shape: Shape) -> tuple[str, str]:
        """Split the text before an answer's first slot: (of the prompt, of the answer)."""
        first = shape.answer[0]
        if _reasons(shape) and text.startswith(self._opened):
            return self._opened, text.removeprefix(self._opened)
        own = first if isinstance(first, str) and text.endswith(first) else ""
        text = text.removesuffix(own)
        lead = self._lead if text.endswith(self._lead) else ""
        return text.removesuffix(lead), lead + own

    def _close(self, text: str, final: str) -> str:
        """The end of an answer in the text up to the next one.

        Up to its first control token; if there is none, what follows the last answer, too,
        because the rest introduces the next question.
        """
        until = self._encoder.first_control(text)
        if until:
            return text[:until]
        pairs = zip(text, final, strict=False)
        same = [here for here, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
        return "".join(same).rstrip()

    def _opening(self, text: str) -> tuple[str, str]:
        """What opens an answer, and the white space that this leaves to the answer."""
        asked = self._conversation((PLAIN,), system=False)[:1]
        try:
            opened = self._render(asked, answer_next=True)
        except bounded.Failed as fault:
            raise _fails("a question that waits for its answer", fault) from None
        mark = _mark(Slot("user", 0))
        written = text.partition(_mark(Slot("assistant", 0)))[0]
        rest = written.removeprefix(opened)
        whole = written.startswith(opened) and not rest.strip()
        lead = rest if whole else written[len(written.rstrip(" ")) :]
        return opened.partition(mark)[2], lead

    def _reasoned(self) -> str:
        """An answer with reasoning as the template writes it; settles `_by_key`."""
        within, aside = "", ""
        try:
            within = self._render(self._conversation((REASONED,), system=False))
            if _marked(REASONED.answer) not in within:
                return within
            self._by_key = True
            aside = self._render(self._conversation((REASONED,), system=False))
            self._by_key = _mark(Slot("assistant", 0)) in aside
        except bounded.Failed:  # told when a row needs it
            self._by_key = False
        return aside if self._by_key else within

    def _render_whole(self, shapes: tuple[Shape, ...]) -> str:
        """A conversation without a system text, with all questions and answers in it."""
        try:
            text = self._render(self._conversation(shapes, system=False))
        except bounded.Failed as fault:
            raise _fails(
                f"{len(shapes)} exchanges of user and assistant", fault
            ) from None
        slots = [part for s in shapes for part in (*s.question, s.answer[-1])]
        marks = [_mark(slot) for slot in slots if isinstance(slot, Slot)]
        places = [text.find(mark) for mark in marks]
        once = all(text.count(mark) == 1 for mark in marks)
        if not once or places != sorted(places):
            raise TmapError(
                "The chat template does not write each text once and in order; without "
                f"that, prompt and answer cannot be split. {FIX}"
            )
        return text

    def _render(self, messages: list[dict[str, str]], answer_next: bool = False) -> str:
        return bounded.render(lambda: self._made(messages, answer_next))

    def _made(self, messages: list[dict[str, str]], answer_next: bool = False) -> str:
        text: str = self._tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=answer_next,
            chat_template=STANDSTILL + self._tokenizer.get_chat_template(),
            date_string=TODAY,
        )
        return text

    def _conversation(
        self, shapes: Sequence[Shape], system: bool
    ) -> list[dict[str, str]]:
        found = []
        if system:
            found.append({"role": "system", "content": _mark(Slot("system", 0))})
        for asked, said in shapes:
            text = _marked(said)
            block = BLOCK.fullmatch(text) if self._by_key else None
            apart = dict.fromkeys(KEYS, block[1]) if block else {}
            content = block[2] if block else text
            found.append({"role": "user", "content": _marked(asked)})
            found.append({"role": "assistant", "content": content, **apart})
        return found


def _fails(on: str, fault: bounded.Failed) -> TmapError:
    return TmapError(
        f"The chat template fails on {on} ({fault}); it must render that. {FIX}"
    )


def _mark(slot: Slot) -> str:
    """A word that no template writes or changes; none is a part of another."""
    return f"tmap{slot.role}{slot.turn}n{slot.piece}slot"


def _slot(mark: re.Match[str]) -> Slot:
    return Slot(cast(Role, mark[1]), int(mark[2]), int(mark[3]))


def _marked(parts: Parts) -> str:
    return "".join(_mark(part) if isinstance(part, Slot) else part for part in parts)


def _reasons(shape: Shape) -> bool:
    """Whether an answer has marks of reasoning."""
    return any(isinstance(part, str) and THOUGHT.search(part) for part in shape.answer)


def _parts(text: str) -> tuple[Part, ...]:
    """Split text with marks into literals of the template and slots, in order."""
    parts: list[Part] = []
    end = 0
    for mark in MARK.finditer(text):
        parts += [text[end : mark.start()]] if mark.start() > end else []
        parts.append(_slot(mark))
        end = mark.end()
    return tuple([*parts, text[end:]] if text[end:] else parts)

"""One renderer for every use: reward, fine-tuning, evaluation, indicators.

A prompt is tokenised in two stretches, `prefix` and `question`, whose ids are joined, so
the seam is a token boundary in every use. Text from the template may contain control
tokens; text from data may not (`tmap.prompts.encoding`). Only `<think>` and `</think>` in
an answer count as text of the template, which may write, strip or move them. All texts are
stripped first; the indentation of a first line stays where it means something.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from tmap.cards.model import PromptSection
from tmap.engines.base import cut
from tmap.errors import TmapError
from tmap.prompts.conversation import Spoken
from tmap.prompts.conversation import Turn as Said
from tmap.prompts.encoding import SafeTokenizer, Text
from tmap.prompts.templates import (
    Filled,
    Part,
    Plain,
    Shape,
    Slot,
    Template,
    Turn,
    Urial,
    shape,
)

INDENT = re.compile(r"[ \t]+\Z")
WIDE = re.compile(r"\t| {4}")
INDENTED = re.compile(r"^[ \t]+\S", re.MULTILINE)


class Demo(NamedTuple):
    """A worked example."""

    question: str
    answer: str


class Prompt(NamedTuple):
    """Token ids of a prompt: the shared part, and the part for one question."""

    prefix: list[int]
    question: list[int]


class TrainingRow(NamedTuple):
    """Token ids of a conversation; `loss_mask` is 1 for ids in the loss, else 0."""

    ids: list[int]
    loss_mask: list[int]


class Renderer:
    """Turns questions, demonstrations and answers into token ids.

    Every row begins with one BOS if the tokenizer has such a token (BOS tokens that a
    chat template writes between exchanges stay).

    Parameters
    ----------
    tokenizer : transformers tokenizer
    settings : `prompt:` section of a model card

    Attributes
    ----------
    stop : texts that end an answer, in addition to the end-of-sequence tokens
    end_ids : ids that close an answer in training; empty if the tokenizer has no end

    Raises
    ------
    TmapError
        If `template: chat` finds no chat template, or one that cannot be split.
    """

    def __init__(self, tokenizer: Any, settings: PromptSection) -> None:
        self.tokenizer = tokenizer
        self._template = get(settings, tokenizer)
        self._system = settings.system or "" if settings.template == "chat" else ""
        self._encoder = SafeTokenizer(tokenizer, self._template.literals)
        self._bos = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        self._prefix = lru_cache(maxsize=256)(self._build_prefix)
        (turn,), _ = self._fill([Demo("", "")], "")
        self.end_ids = self._end(turn.close)
        self.stop = tuple(dict.fromkeys([*self._template.stop, *settings.stop]))

    def render(
        self, question: str, demos: Sequence[Demo] = (), said: str = ""
    ) -> Prompt:
        """The prompt up to where the answer starts; `prefix` depends on `demos` only.

        Demonstrations are in the given order, the last one next to the question. `said`
        is the answer that will follow, if it is known: where a template writes reasoning,
        the prompt for an answer with reasoning ends before it.
        """
        pairs = [*demos, Demo(question, said)]
        turns, filled = self._fill(pairs, self._system)
        asked = self._encode(turns[-1].asked, filled.texts)
        return Prompt(list(self._prefix(tuple(demos))), asked)

    def answer(self, text: str) -> list[int]:
        """Ids of a response after the prompt, without an end; empty for no text."""
        if not clean(text):
            return []
        turns, filled = self._fill([Demo("", text)], "")
        return self._encode(turns[0].said, filled.texts)

    def training(self, turns: Sequence[Spoken]) -> TrainingRow:
        """One row for fine-tuning: no demonstrations, loss on each answer that counts.

        Parameters
        ----------
        turns : (role, text), and perhaps whether the loss counts on it: optionally a
            "system" turn, then "user" and "assistant" in alternation, "assistant" last

        Returns
        -------
        ids and mask of equal length; the loss counts on each answer and on the ids that
        close it. One exchange is `render(question, said=text)`, `answer(text)`,
        `end_ids`, joined.

        Raises
        ------
        TmapError
            If the roles do not alternate like that.
        """
        given = [Said(*turn) for turn in turns]
        system, pairs = _exchanges(given)
        counts = [turn.counts for turn in given if turn.role == "assistant"]
        layout, filled = self._fill(pairs, system or self._system)
        texts = filled.texts
        ids = list(self._bos)
        mask = [0] * len(ids)
        for turn, pair, counted in zip(layout, pairs, counts, strict=True):
            asked = self._encode(turn.before, texts) + self._encode(turn.asked, texts)
            said = self._encode(turn.said, texts) if clean(pair.answer) else []
            said += self._end(turn.close)
            ids += asked + said
            mask += [0] * len(asked) + [int(counted)] * len(said)
        return TrainingRow(ids, mask)

    def rewritten(self, talks: Sequence[Sequence[Spoken]]) -> list[bool]:
        """Whether the template itself writes each conversation otherwise than `training`.

        A model's template may look at what a text says, or change it.
        """
        found = []
        for turns in talks:
            system, pairs = _exchanges([Said(*turn) for turn in turns])
            found.append(self._fill(pairs, system or self._system)[1])
        return self._template.rewrites(found)

    def read(self, ids: Sequence[int]) -> str:
        """Text of generated ids: decoded, cut at the first stop text, stripped."""
        text = self.tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return cut(text, self.stop).strip()

    def _build_prefix(self, demos: tuple[Demo, ...]) -> list[int]:
        # A system text may open the first question; the last question is not used.
        turns, filled = self._fill([*demos, Demo("", "")], self._system)
        parts: list[Part] = []
        for turn in turns[:-1]:
            parts += [*turn.before, *turn.asked, *turn.said, turn.close]
        return self._bos + self._encode([*parts, *turns[-1].before], filled.texts)

    def _end(self, close: str) -> list[int]:
        """Ids that close an answer: what the template writes, or the end of sequence."""
        ids = self._encoder.encode([Text(close, True)])
        eos = self.tokenizer.eos_token_id
        if eos is None or self._encoder.first_control(close):
            return ids
        return [*ids, eos]

    def _fill(
        self, pairs: Sequence[Demo], system: str
    ) -> tuple[tuple[Turn, ...], Filled]:
        """Layout and texts; if `system` has no place of its own, it opens question one."""
        shapes, texts = _shapes(pairs)
        texts[Slot("system", 0)] = clean(system)
        turns = self._template.turns(shapes, bool(system))
        if turns is not None:
            return turns, Filled(shapes, texts, bool(system))
        assert system, "a layout without a system text is always there"
        first = Demo(f"{clean(system)}\n\n{clean(pairs[0].question)}", pairs[0].answer)
        return self._fill([first, *pairs[1:]], "")

    def _encode(self, parts: Iterable[Part], texts: Mapping[Slot, str]) -> list[int]:
        return self._encoder.encode(
            [
                Text(texts[part], False) if isinstance(part, Slot) else Text(part, True)
                for part in parts
            ]
        )


def clean(text: str) -> str:
    """Stripped; lone surrogates, which no tokenizer accepts, become `?`.

    The first line's indentation stays if it is that of code: a tab or four spaces, or
    less if a later line is indented, too.
    """
    body = text.strip()
    edge = INDENT.search(text[: text.find(body)] if body else "")
    if edge and (WIDE.search(edge[0]) or INDENTED.search(body)):
        body = edge[0] + body
    return body.encode("utf-8", "replace").decode("utf-8")


def _shapes(pairs: Sequence[Demo]) -> tuple[tuple[Shape, ...], dict[Slot, str]]:
    """What a template may look at, and the texts of all slots."""
    shapes: list[Shape] = []
    texts: dict[Slot, str] = {}
    for number, (question, answer) in enumerate(pairs):
        asked, of_asked = shape("user", number, clean(question))
        said, of_said = shape("assistant", number, clean(answer))
        shapes.append(Shape(asked, said))
        texts |= of_asked | of_said
    return tuple(shapes), texts


def _exchanges(turns: Sequence[Said]) -> tuple[str, list[Demo]]:
    """(system text, question and answer of each exchange)."""
    roles = [turn.role for turn in turns]
    system = turns[0].content if roles[:1] == ["system"] else ""
    rest = turns[1:] if roles[:1] == ["system"] else turns
    wanted = ["user", "assistant"] * (len(rest) // 2)
    if not rest or [turn.role for turn in rest] != wanted:
        raise TmapError(
            f"A conversation has the roles {', '.join(roles) or 'none'}; after an "
            "optional system turn, user and assistant must alternate and assistant be "
            "last. Drop or fix the row."
        )
    texts = [turn.content for turn in rest]
    return system, [Demo(*pair) for pair in zip(texts[::2], texts[1::2], strict=True)]


def get(settings: PromptSection, tokenizer: Any) -> Template:
    """The template that a model card asks for."""
    if settings.template == "plain":
        return Plain()
    if settings.template == "urial":
        return Urial(settings.fenced)
    from tmap.prompts.chat_template import Chat

    return Chat(tokenizer)

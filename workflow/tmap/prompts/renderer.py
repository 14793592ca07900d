"""One renderer for every use: reward, fine-tuning, evaluation, indicators.

A prompt is tokenised in two stretches, `prefix` and `question`, whose ids are joined, so
the seam is a token boundary in every use. Text from the template may contain control
tokens; text from data may not (`tmap.prompts.encoding`). All texts are stripped first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from tmap.cards.model import PromptSection
from tmap.engines.base import cut
from tmap.errors import TmapError
from tmap.prompts.encoding import SafeTokenizer, Text
from tmap.prompts.templates import Part, Plain, Slot, Template, Turn, Urial


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
        (turn,) = self._lay_out(1, False)[0]
        self._lead = turn.lead
        self.end_ids = self._encoder.encode([Text(turn.close, True)])
        if not self._encoder.first_control(turn.close):
            eos = tokenizer.eos_token_id
            self.end_ids += [] if eos is None else [eos]
        self.stop = tuple(dict.fromkeys([*self._template.stop, *settings.stop]))

    def render(self, question: str, demos: Sequence[Demo] = ()) -> Prompt:
        """The prompt up to where the answer starts; `prefix` depends on `demos` only.

        Demonstrations are in the given order, the last one next to the question.
        """
        pairs = [*demos, Demo(question, "")]
        turns, texts = self._fill(pairs, self._system)
        asked = self._encode(turns[-1].asked, texts)
        return Prompt(list(self._prefix(tuple(demos))), asked)

    def answer(self, text: str) -> list[int]:
        """Ids of a response after the prompt, without an end; empty for no text."""
        text = clean(text)
        return self._encoder.encode([Text(self._lead + text, False)]) if text else []

    def training(self, turns: Sequence[tuple[str, str]]) -> TrainingRow:
        """One row for fine-tuning: no demonstrations, loss on every assistant turn.

        Parameters
        ----------
        turns : (role, text): optionally a "system" turn, then "user" and "assistant" in
            alternation, "assistant" last

        Returns
        -------
        ids and mask of equal length; the loss counts on each answer and on the ids that
        close it. One exchange is `render(question)`, `answer(text)`, `end_ids`, joined.

        Raises
        ------
        TmapError
            If the roles do not alternate like that.
        """
        system, pairs = _exchanges(turns)
        layout, texts = self._fill(pairs, system or self._system)
        ids = list(self._bos)
        mask = [0] * len(ids)
        for turn, pair in zip(layout, pairs, strict=True):
            asked = self._encode(turn.before, texts) + self._encode(turn.asked, texts)
            said = self.answer(pair.answer) + self.end_ids
            ids += asked + said
            mask += [0] * len(asked) + [1] * len(said)
        return TrainingRow(ids, mask)

    def read(self, ids: Sequence[int]) -> str:
        """Text of generated ids: decoded, cut at the first stop text, stripped."""
        text = self.tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return cut(text, self.stop).strip()

    def _build_prefix(self, demos: tuple[Demo, ...]) -> list[int]:
        # A system text may open the first question; the last question is not used.
        turns, texts = self._fill([*demos, Demo("", "")], self._system)
        parts: list[Part] = []
        for number, turn in enumerate(turns[:-1]):
            answer = (turn.lead, Slot("assistant", number), turn.close)
            parts += [*turn.before, *turn.asked, *answer]
        return self._bos + self._encode([*parts, *turns[-1].before], texts)

    def _lay_out(self, n: int, system: bool) -> tuple[tuple[Turn, ...], bool]:
        """The layout of n exchanges, and whether it has a place for the system text."""
        turns = self._template.turns(n, system) if system else None
        if turns is not None:
            return turns, True
        turns = self._template.turns(n, False)
        assert turns is not None
        return turns, False

    def _fill(
        self, pairs: Sequence[Demo], system: str
    ) -> tuple[tuple[Turn, ...], dict[Slot, str]]:
        """Layout and texts; if `system` has no place of its own, it opens question one."""
        turns, has_place = self._lay_out(len(pairs), bool(system))
        texts = {Slot("system", 0): clean(system)}
        for number, (question, answer) in enumerate(pairs):
            texts[Slot("user", number)] = clean(question)
            texts[Slot("assistant", number)] = clean(answer)
        if system and not has_place:
            first = texts[Slot("user", 0)]
            texts[Slot("user", 0)] = f"{clean(system)}\n\n{first}"
        return turns, texts

    def _encode(self, parts: Iterable[Part], texts: dict[Slot, str]) -> list[int]:
        return self._encoder.encode(
            [
                Text(texts[part], False) if isinstance(part, Slot) else Text(part, True)
                for part in parts
            ]
        )


def clean(text: str) -> str:
    """Stripped; lone surrogates, which no tokenizer accepts, become `?`."""
    return text.strip().encode("utf-8", "replace").decode("utf-8")


def _exchanges(turns: Sequence[tuple[str, str]]) -> tuple[str, list[Demo]]:
    """(system text, question and answer of each exchange)."""
    roles = [role for role, _ in turns]
    system = turns[0][1] if roles[:1] == ["system"] else ""
    rest = turns[1:] if roles[:1] == ["system"] else turns
    wanted = ["user", "assistant"] * (len(rest) // 2)
    if not rest or [role for role, _ in rest] != wanted:
        raise TmapError(
            f"A conversation has the roles {', '.join(roles) or 'none'}; after an "
            "optional system turn, user and assistant must alternate and assistant be "
            "last. Drop or fix the row."
        )
    texts = [text for _, text in rest]
    return system, [Demo(*pair) for pair in zip(texts[::2], texts[1::2], strict=True)]


def get(settings: PromptSection, tokenizer: Any) -> Template:
    """The template that a model card asks for."""
    if settings.template == "plain":
        return Plain()
    if settings.template == "urial":
        return Urial(settings.fenced)
    from tmap.prompts.chat_template import Chat

    return Chat(tokenizer)

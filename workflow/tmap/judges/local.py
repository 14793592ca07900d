"""A judge that is a language model in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tmap.cards.model import PromptSection
from tmap.errors import TmapError
from tmap.judges.base import DIGITS, JudgeReply, Question, Style, Want
from tmap.prompts.encoding import SafeTokenizer, Text
from tmap.prompts.renderer import Renderer

if TYPE_CHECKING:
    from tmap.cards.judge import FormSection
    from tmap.engines.base import LanguageModel

Ids = tuple[int, ...]


class Local:
    """Asks an engine.

    Parameters
    ----------
    lm : the engine; one with a cache asks nothing twice
    style : chat: one user message; completion: the text as it is
    form : the wording
    max_positions : tokens that prompt and reply may have together; None: no limit
    """

    def __init__(
        self,
        lm: LanguageModel,
        style: Style,
        form: FormSection,
        *,
        max_positions: int | None = None,
    ) -> None:
        self.lm, self.form = lm, form
        self.limit = max_positions or lm.context
        tokenizer = lm.tokenizer
        self._encoder = SafeTokenizer(tokenizer, form.template)
        self._bos = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        self._chat = None
        if style == "chat":
            settings = PromptSection(template="chat", system=form.system or None)
            self._chat = Renderer(tokenizer, settings)

    def ask(self, questions: Sequence[Question], want: Want) -> list[JudgeReply]:
        """As `Asker.ask`; `truncated` if prompt and reply do not fit into the context."""
        prompts = [self.prompt(question) for question in questions]
        room = self.form.max_new_tokens if want == "text" else 0
        limit = self.limit or max(map(len, prompts), default=0) + room
        fits = [len(ids) + room <= limit for ids in prompts]
        asked = [ids for ids, good in zip(prompts, fits, strict=True) if good]
        raw = iter((self._digits if want == "digits" else self._texts)(asked))
        return [next(raw) if good else JudgeReply("truncated") for good in fits]

    def prompt(self, question: Question) -> Ids:
        """Token ids of a question; control tokens inside data stay words."""
        if self._chat is not None:
            prompt = self._chat.render(question.text)
            return (*prompt.prefix, *prompt.question)
        # Begin the text as this tokenizer does: some put a space before it.
        begin = [Text(" ", True)] if self._encoder.invents_space else []
        return tuple(self._bos + self._encoder.encode([*begin, *question.pieces]))

    def digit_ids(self) -> list[int]:
        """Ids of the digits 1 to 6 directly after the prompt."""
        found = [self._encoder.encode([Text(digit, False)]) for digit in DIGITS]
        if any(len(ids) != 1 for ids in found):
            raise TmapError(
                "The judge's tokenizer does not write each digit as one token, so no "
                "rating can be read from its first token. Name another model in the "
                "judge card."
            )
        return [ids[0] for ids in found]

    def _digits(self, prompts: list[Ids]) -> list[JudgeReply]:
        log_p = self.lm.digit_logits(prompts, self.digit_ids())
        sound = np.isfinite(log_p).all(axis=1)
        return [
            JudgeReply("ok", {"digits": row.tolist()}) if good else JudgeReply("failed")
            for row, good in zip(log_p, sound, strict=True)
        ]

    def _texts(self, prompts: list[Ids]) -> list[JudgeReply]:
        how: dict[str, Any] = {"max_new_tokens": self.form.max_new_tokens}
        (written,) = self.lm.generate([[]], prompts, **how, stop=self.form.stop)
        return [JudgeReply("ok", {"text": self._decode(ids)}) for ids in written]

    def _decode(self, ids: list[int]) -> str:
        text: str = self.lm.tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

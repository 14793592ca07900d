"""A judge that is a language model in this process."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tmap.cards.model import PromptSection
from tmap.encoding import Encoder, Text
from tmap.errors import TmapError
from tmap.judges.base import DIGITS, SHELVES, OpenStore, Question, Reply, Style, Want
from tmap.prompts import Renderer
from tmap.store import Entry, key

if TYPE_CHECKING:
    from tmap.cards.judge import FormSection
    from tmap.engines.base import LanguageModel

logger = logging.getLogger(__name__)
#: Prompts per part of the store: what a kill can cost.
CHUNK = 512
Ids = tuple[int, ...]


class Local:
    """Asks an engine; what the store has is not computed again.

    Prompts are computed in one order, whatever the pool's, and stored chunk by chunk:
    a run that continues after a kill forms the same batches, and so the same bits.

    Parameters
    ----------
    lm : the engine
    style : chat: one user message; completion: the text as it stands
    form : the words
    open_store : gives the store of a kind
    max_positions : tokens that prompt and reply may have together; None: no limit
    """

    def __init__(
        self,
        lm: LanguageModel,
        style: Style,
        form: FormSection,
        open_store: OpenStore,
        *,
        max_positions: int | None = None,
    ) -> None:
        self.lm, self.form, self.open_store = lm, form, open_store
        self.limit = max_positions or lm.context
        tokenizer = lm.tokenizer
        self._encoder = Encoder(tokenizer, form.template)
        self._bos = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        self._chat = None
        if style == "chat":
            settings = PromptSection(template="chat", system=form.system or None)
            self._chat = Renderer(tokenizer, settings)

    def ask(self, questions: Sequence[Question], want: Want) -> list[Reply]:
        """As `Asker.ask`; `truncated` where prompt and reply do not fit the context."""
        prompts = [self.prompt(question) for question in questions]
        room = self.form.max_new_tokens if want == "text" else 0
        limit = self.limit or max(map(len, prompts), default=0) + room
        fits = {ids for ids in prompts if len(ids) + room <= limit}
        known = self._measured(sorted(fits, key=lambda ids: (-len(ids), ids)), want)
        replies = []
        for ids in prompts:
            raw = known.get(ids)
            status = "truncated" if ids not in fits else "ok" if raw else "failed"
            replies.append(Reply(status, raw))
        return replies

    def prompt(self, question: Question) -> Ids:
        """Token ids of a question; control tokens inside data stay words."""
        if self._chat is not None:
            prompt = self._chat.render(question.text)
            return (*prompt.prefix, *prompt.question)
        # A text begins as this tokenizer begins texts: some put a space before it.
        begin = [Text(" ", True)] if self._encoder.invents_space else []
        return tuple(self._bos + self._encoder.encode([*begin, *question.pieces]))

    def digit_ids(self) -> list[int]:
        """Ids of the digits 1 to 6 as they stand right after the prompt."""
        found = [self._encoder.encode([Text(digit, False)]) for digit in DIGITS]
        if any(len(ids) != 1 for ids in found):
            raise TmapError(
                "The judge's tokenizer does not write each digit as one token, so no "
                "rating can be read from its first token. Name another model in the "
                "judge card."
            )
        return [ids[0] for ids in found]

    def _measured(self, prompts: list[Ids], want: Want) -> dict[Ids, dict[str, Any]]:
        how = self._how(want)
        keys = {ids: key(["local", self.lm.key, how], ids) for ids in prompts}
        store = self.open_store(SHELVES[want])
        stored = store.get(keys.values())
        missing = [ids for ids in prompts if keys[ids] not in stored]
        logger.info("judge: %d to ask, %d stored", len(missing), len(stored))
        for start in range(0, len(missing), CHUNK):
            chunk = missing[start : start + CHUNK]
            found = zip(chunk, self._compute(chunk, how), strict=True)
            entries = [Entry(keys[ids], None, raw) for ids, raw in found if raw]
            store.put(entries)
            stored |= {entry.key: entry.reply for entry in entries}
        return {ids: stored[name] for ids, name in keys.items() if name in stored}

    def _how(self, want: Want) -> dict[str, Any]:
        if want == "digits":
            return {"digits": self.digit_ids()}
        return {"max_new_tokens": self.form.max_new_tokens, "stop": self.form.stop}

    def _compute(
        self, prompts: list[Ids], how: dict[str, Any]
    ) -> list[dict[str, Any] | None]:
        if "digits" in how:
            log_p = self.lm.digit_logits(prompts, how["digits"])
            sound = np.isfinite(log_p).all(axis=1)
            return [
                {"digits": row.tolist()} if good else None
                for row, good in zip(log_p, sound, strict=True)
            ]
        (written,) = self.lm.generate([[]], prompts, **how)
        return [{"text": self._decode(ids)} for ids in written]

    def _decode(self, ids: list[int]) -> str:
        text: str = self.lm.tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

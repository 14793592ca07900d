"""Engine `server`: any OpenAI-compatible server that writes answers (/v1/completions).

Requests have only fields that all servers accept: model, prompt, max_tokens, temperature 0
and stop. Replies are cut at the stop text here, because not all servers do so.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tmap.engines import base
from tmap.engines.base import Ids, cut, room
from tmap.engines.client import Client, OverBudget, Refused
from tmap.engines.launch import Launched
from tmap.engines.weights import load_tokenizer
from tmap.errors import TmapError
from tmap.jobs.log import Progress

if TYPE_CHECKING:
    from tmap.cards.model import AnsweringSection, EngineSection

logger = logging.getLogger(__name__)
#: Most stop texts per request that OpenAI's interface allows.
MAX_STOPS = 4


class Server:
    """Answers come from a server; the tokenizer is here, for prompts.

    Parameters
    ----------
    card : `engine: server:` of a model card
    tokenizer, key, context : as for `LanguageModel`
    """

    n_layers = 0
    #: One group at a time: requests run in parallel, not rows.
    batch_size = 1

    def __init__(
        self, card: AnsweringSection, tokenizer: Any, *, key: str, context: int | None
    ) -> None:
        self.card, self.tokenizer, self.key = card, tokenizer, key
        self.context = context
        self.line = Client(f"{card.url}/completions", card.limits, "model")
        self.spent = base.Spent()
        self._warned = False

    @classmethod
    def start(cls, record: dict[str, Any], engine: EngineSection, key: str) -> Server:
        """The server of a model card; launched if the card says so."""
        assert engine.server is not None
        card = engine.server
        if card.launch is not None:
            launched = Launched(card, record["path"])
            launched.wait()
            card = launched.card
        tokenizer = load_tokenizer(record)
        context = record.get("max_positions")
        return cls(card, tokenizer, key=key, context=context)

    def generate(
        self,
        prefixes: Sequence[Ids],
        questions: Sequence[Ids],
        *,
        max_new_tokens: int,
        stop: Sequence[str] = (),
    ) -> list[list[list[int]]]:
        """As `LanguageModel.generate`; ids are those of the returned text.

        Raises
        ------
        TmapError
            If the server does not answer, or answers with something other than texts.
        """
        start = time.monotonic()
        progress = Progress("generate", len(prefixes) * len(questions), "answers")
        fields = {"temperature": 0, **self.card.extra}
        if stop:
            fields["stop"] = list(stop)[:MAX_STOPS]
        found = []
        with ThreadPoolExecutor(self.card.limits.concurrency) as workers:
            for prefix in prefixes:
                # The first request alone caches the prefix on the server for the rest.
                first, *rest = self._requests(prefix, questions, max_new_tokens)
                texts = [self._ask(first, fields)]
                jobs = [workers.submit(self._ask, request, fields) for request in rest]
                try:
                    texts += [job.result() for job in jobs]
                finally:
                    for job in jobs:
                        job.cancel()
                if progress.done + len(questions) < progress.total:
                    progress.advance(len(questions))
                found.append([self._ids(t, stop) for some in texts for t in some])
        self.spent.whole(time.monotonic() - start, prefixes, questions, found)
        return found

    def option_nll(self, *_: Any) -> Any:
        """Not supported, like all likelihoods: servers differ, or silently omit them.

        Raises
        ------
        TmapError
        """
        raise TmapError(
            "A model on a server only writes answers; multiple choice needs likelihoods. "
            "Set `engine: {name: transformers}` in the model card."
        )

    answer_nll = digit_logits = attention = option_nll

    def _requests(
        self, prefix: Ids, questions: Sequence[Ids], max_new_tokens: int
    ) -> list[tuple[int, list[Any]]]:
        """(max. new tokens, prompts) of each request, in order."""
        rows = [[*prefix, *question] for question in questions]
        rooms = [room(self.context, len(ids), max_new_tokens) for ids in rows]
        n = self.card.prompts_per_request
        found = []
        for most, some in groupby(zip(rooms, rows, strict=True), lambda pair: pair[0]):
            prompts = [self._prompt(ids) for _, ids in some]
            chunks = (prompts[i : i + n] for i in range(0, len(prompts), n))
            found += [(most, chunk) for chunk in chunks]
        return found

    def _prompt(self, ids: list[int]) -> Any:
        """Ids, or the text that the server reads as these ids (warns if it may not)."""
        if self.card.prompts == "ids":
            return ids
        bos = self.tokenizer.bos_token_id
        # Servers use the tokenizer's defaults; some add a BOS token, some do not.
        ways = [ids[1:], ids] if ids[:1] == [bos] else [ids]
        texts = [self._text(way) for way in ways]
        read = [self.tokenizer.encode(text) for text in texts]
        if ids not in read and not self._warned:
            self._warned = True
            logger.warning(
                "the server reads a prompt's text as %d tokens, here it has %d: answers "
                "may differ from those of other engines; `prompts: ids` avoids this",
                len(read[-1]),
                len(ids),
            )
        return texts[read.index(ids) if ids in read else -1]

    def _text(self, ids: Ids) -> str:
        text: str = self.tokenizer.decode(
            list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text

    def _ask(self, request: tuple[int, list[Any]], fields: dict[str, Any]) -> list[str]:
        """The texts that follow the prompts of a request."""
        most, prompts = request
        prompt = prompts if len(prompts) > 1 else prompts[0]
        body = {
            "model": self.card.model,
            "prompt": prompt,
            "max_tokens": most,
            **fields,
        }
        try:
            answer = self.line.post(body)
        except (Refused, OverBudget) as fault:
            raise TmapError(
                f"The model's server at {self.card.url} does not answer: {fault}. Start "
                "it again or fix `engine: server:` in the model card; answers of finished "
                "groups are on disk, and the same command continues."
            ) from None
        try:
            choices = sorted(answer["choices"], key=lambda c: c.get("index", 0))
            texts = [choice["text"] for choice in choices]
        except (KeyError, TypeError, AttributeError):
            texts = []
        if len(texts) != len(prompts) or not all(isinstance(t, str) for t in texts):
            raise TmapError(
                f"The model's server at {self.card.url} answers {len(prompts)} prompts "
                f"with {len(texts)} texts. It must accept lists if `prompts_per_request` "
                "is above 1; lower that to 1, or fix the address."
            )
        written = _cut_after(answer, most)
        if written is not None:
            raise TmapError(
                f"The model's server at {self.card.url} ended an answer after {written} of "
                f"{most} tokens, because its context was full. Start it with a longer "
                "context (llama.cpp divides `--ctx-size` among its `--parallel` slots), or "
                "lower `engine: max_new_tokens:` in the model card."
            )
        return texts

    def _ids(self, text: str, stop: Sequence[str]) -> list[int]:
        ids: list[int] = self.tokenizer.encode(
            cut(text, stop), add_special_tokens=False
        )
        return ids


def _cut_after(answer: Any, most: int) -> int | None:
    """Tokens of an answer that a full context cut short; None if none was.

    With several answers, servers count the tokens of all or of one. So a cut is certain
    only where every answer ended by length, and still fewer than `most` are counted.
    """
    ends = [choice.get("finish_reason") for choice in answer["choices"]]
    usage = answer.get("usage")
    written = usage.get("completion_tokens") if isinstance(usage, dict) else None
    if set(ends) != {"length"} or not isinstance(written, int) or written >= most:
        return None
    return written

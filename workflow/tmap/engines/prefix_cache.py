"""The default engine (`name: transformers`): reads every prefix once.

Made for many questions after few prefixes: a prefix is read once and shared; rows of
similar length are batched; a row that has ended leaves the batch.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from tmap.engines.base import Ids
from tmap.engines.expanded_prefix import ExpandedPrefixes
from tmap.engines.likelihood import Head, in_batches
from tmap.engines.local import Local
from tmap.engines.shared_prefix import Row, SharedPrefixes
from tmap.engines.stops import StopTexts
from tmap.jobs.log import Progress

LOGGER = logging.getLogger(__name__)
#: Tokens per forward pass with padding, when given answers are measured.
TOKEN_BUDGET = {"cpu": 1024, "cuda": 16_384}
#: Ended rows leave when they are this share of the batch; each time, a few rows move.
DROP_SHARE = 1 / 32
#: Number of a prefix, and of the question that follows it.
Pair = tuple[int, int]


class PrefixCache(Local):
    """Shared prefixes if the model's layers allow them, else copied ones (logged)."""

    def __init__(self, model: Any, tokenizer: Any, **options: Any) -> None:
        super().__init__(model, tokenizer, **options)
        self.prefixes = _prefixes(model)
        self.head = Head(model)
        self.budget = TOKEN_BUDGET.get(self.device.type, 1024)
        self._stops = lru_cache(maxsize=8)(lambda stop: StopTexts(tokenizer, stop))

    @torch.inference_mode()
    def generate(
        self,
        prefixes: Sequence[Ids],
        questions: Sequence[Ids],
        *,
        max_new_tokens: int,
        stop: Sequence[str] = (),
    ) -> list[list[list[int]]]:
        """As `LanguageModel.generate`."""
        stops = self._stops(tuple(stop))
        rooms = [[self.room(p, q, max_new_tokens) for q in questions] for p in prefixes]
        done: dict[Pair, list[int]] = {}

        def work(read: Any, rows: list[Row], batch: list[Pair]) -> None:
            found = self._answer(read, rows, [rooms[p][s] for p, s in batch], stops)
            done.update(zip(batch, found, strict=True))
            self._count_floor(prefixes, batch, rows, found)

        self._in_batches("answers", prefixes, questions, work)
        return [
            [done[p, s] for s in range(len(questions))] for p in range(len(prefixes))
        ]

    @torch.inference_mode()
    def option_nll(
        self,
        prefixes: Sequence[Ids],
        questions: Sequence[Ids],
        options: Sequence[Sequence[Ids]],
    ) -> list[list[list[float]]]:
        """As `LanguageModel.option_nll`."""
        pairs = [
            (s, o) for s, choices in enumerate(options) for o in range(len(choices))
        ]
        stretches = [[*questions[s], *options[s][o]] for s, o in pairs]
        for ids in prefixes:
            self.check_fits((ids, stretch) for stretch in stretches)
        found = [[[0.0] * len(choices) for choices in options] for _ in prefixes]

        def work(read: Any, rows: list[Row], batch: list[Pair]) -> None:
            start = time.monotonic()
            hidden = self.prefixes.hidden(read, rows)
            for (p, i), states in zip(batch, hidden, strict=True):
                s, o = pairs[i]
                found[p][s][o] = self._nll(states, options[s][o])
            self._count(start, sum(len(ids) for _, ids in rows))

        self._in_batches("options", prefixes, stretches, work)
        return found

    @torch.inference_mode()
    def answer_nll(
        self, prompts: Sequence[Ids], answers: Sequence[Ids]
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `LanguageModel.answer_nll`."""
        pairs = list(zip(prompts, answers, strict=True))
        scored = [list(a if len(p) else a[1:]) for p, a in pairs]
        count = np.array([len(ids) for ids in scored], np.int64)
        total = np.full(len(pairs), np.nan)
        rows = np.flatnonzero(count)
        texts = [[*pairs[i][0], *pairs[i][1]] for i in rows]

        def add(batch: list[int], hidden: torch.Tensor) -> None:
            ids = [scored[rows[i]] for i in batch]
            before = [
                state[len(texts[i]) - len(its) - 1 : len(texts[i]) - 1]
                for state, i, its in zip(hidden, batch, ids, strict=True)
            ]
            flat = [token for its in ids for token in its]
            log_p = self.head.log_p(torch.cat(before), flat)
            for i, one in zip(
                batch, log_p.split([len(its) for its in ids]), strict=True
            ):
                total[rows[i]] = -float(one.sum())

        self._read(texts, add)
        return total, count

    @torch.inference_mode()
    def digit_logits(self, prompts: Sequence[Ids], digits: Ids) -> np.ndarray:
        """As `LanguageModel.digit_logits`."""
        found = np.empty((len(prompts), len(digits)))

        def add(batch: list[int], hidden: torch.Tensor) -> None:
            last = torch.stack(
                [hidden[row, len(prompts[i]) - 1] for row, i in enumerate(batch)]
            )
            log_p = torch.log_softmax(self.head.logits(last), dim=-1)
            found[batch] = log_p[:, list(digits)].double().cpu().numpy()

        self._read(prompts, add)
        return found

    def _in_batches(
        self,
        what: str,
        prefixes: Sequence[Ids],
        stretches: Sequence[Ids],
        work: Callable[[Any, list[Row], list[Pair]], None],
    ) -> None:
        """Do `work` on every stretch after every prefix, each once.

        If memory runs out, the batch is halved, and fewer prefixes are kept in memory.

        Parameters
        ----------
        what : for the log
        work : called with prefixes that were read, rows that continue them, and the
            (prefix, stretch) numbers of these rows
        """
        lengths = [len(ids) for ids in stretches]
        done: set[Pair] = set()
        progress = Progress(what, len(prefixes) * len(stretches))

        def pass_through() -> None:
            n = self.prefixes.at_once(len(lengths), self.batch_size)
            for first in range(0, len(prefixes), n):
                groups = range(first, min(first + n, len(prefixes)))
                batches = self.prefixes.batches(groups, lengths, self.batch_size)
                left = [[pair for pair in some if pair not in done] for some in batches]
                if not any(left):
                    continue
                start = time.monotonic()
                read = self.prefixes.prefill([prefixes[p] for p in groups])
                self._count(start, sum(len(prefixes[p]) for p in groups))
                for batch in filter(None, left):
                    work(read, [(p - first, stretches[s]) for p, s in batch], batch)
                    done.update(batch)
                    _advance(progress, len(batch))

        self.within_memory(pass_through)

    def _answer(
        self,
        read: Any,
        rows: list[Row],
        room: list[int],
        stops: StopTexts,
    ) -> list[list[int]]:
        """Answers of one batch."""
        start = time.monotonic()
        started, states = self.prefixes.start(read, rows, max(room))
        self._count(start, sum(len(ids) for _, ids in rows))
        start = time.monotonic()
        found = self._decode(started, states, room, stops)
        self.spent.decode_seconds += time.monotonic() - start
        self.spent.new_tokens += sum(map(len, found))
        return found

    def _count(self, start: float, n_tokens: int) -> None:
        """Count time and tokens of prompts that were read since `start`."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.spent.prefill_seconds += time.monotonic() - start
        self.spent.prompt_tokens += n_tokens
        self.spent.floor_seconds += self.roofline.read(n_tokens)

    def _count_floor(
        self,
        prefixes: Sequence[Ids],
        batch: list[Pair],
        rows: list[Row],
        found: list[list[int]],
    ) -> None:
        shared = [len(prefixes[p]) for p in sorted({p for p, _ in batch})]
        own = [len(ids) for _, ids in rows]
        self.spent.floor_seconds += self.roofline.write(
            shared, own, list(map(len, found))
        )

    def _decode(
        self, rows: Any, states: torch.Tensor, rooms: list[int], stops: StopTexts
    ) -> list[list[int]]:
        """Greedy answers of one batch; rooms are the most new tokens of each row."""
        answers: list[list[int]] = [[] for _ in rooms]
        live, ended = list(range(len(rooms))), set[int]()
        while True:
            tokens = self.head.logits(states).argmax(dim=-1).tolist()
            for i, token in zip(live, tokens, strict=True):
                if i not in ended and self._ends(answers[i], token, rooms[i], stops):
                    ended.add(i)
            n_left = len(live) - sum(i in ended for i in live)
            if not n_left:
                return answers
            if len(live) - n_left >= DROP_SHARE * len(live):
                order = _closed_up([i not in ended for i in live])
                rows.keep(order)
                tokens, live = [tokens[r] for r in order], [live[r] for r in order]
            states = rows.step(torch.tensor(tokens, device=self.device)[:, None])

    def _ends(self, answer: list[int], token: int, room: int, stops: StopTexts) -> bool:
        """Append a token unless it is an end; return whether the answer is complete."""
        if token in self.eos:
            return True
        answer.append(token)
        return len(answer) >= room or stops.ended(answer)

    def _nll(self, hidden: torch.Tensor, ids: Ids) -> float:
        """Nats of `ids`, the last tokens of a text with these hidden states, (T, d)."""
        if not len(ids):
            return 0.0
        return -float(self.head.log_p(hidden[-len(ids) - 1 : -1], ids).sum())

    def _read(
        self, texts: Sequence[Ids], add: Callable[[list[int], torch.Tensor], None]
    ) -> None:
        """Call `add(indices, hidden states)` on batches of similar length.

        Rows are padded on the right, which a causal model does not see, so no mask is
        needed; attention without one is faster.
        """
        self.check_fits((text,) for text in texts)

        def read(batch: list[int]) -> None:
            width = len(texts[batch[0]])
            rows = [[*texts[i], *[0] * (width - len(texts[i]))] for i in batch]
            ids = torch.tensor(rows, device=self.device)
            add(batch, self.model.base_model(ids, use_cache=False).last_hidden_state)

        lengths = [len(text) for text in texts]
        self.budget = in_batches(lengths, self.budget, read)


def _closed_up(stays: list[bool]) -> list[int]:
    """Rows that stay; the last of them take the places of those that leave."""
    n = sum(stays)
    movers = [row for row in range(n, len(stays)) if stays[row]]
    return [row if stays[row] else movers.pop() for row in range(n)]


@torch.inference_mode()
def _prefixes(model: Any) -> SharedPrefixes | ExpandedPrefixes:
    """Shared prefixes if the model's layers allow; the reason is logged if not."""
    reason = SharedPrefixes.refusal(model)
    if reason is None:
        shared = SharedPrefixes(model)
        if shared.agrees():
            return shared
        shared.release()
        reason = "its layers do not pass it on"
    LOGGER.info("prefix copied for every row of a batch: %s", reason)
    return ExpandedPrefixes(model)


def _advance(progress: Progress, n: int) -> None:
    """Count, but print no last line: searches generate hundreds of times."""
    if progress.done + n < progress.total:
        progress.advance(n)

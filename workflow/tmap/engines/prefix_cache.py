"""The default engine (`name: transformers`): reads every prefix once.

Answers to many questions after few prefixes: a prefix is read once and shared; rows of
similar length go together; a row that has ended leaves the batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from tmap.engines.base import Ids
from tmap.engines.expanded_prefix import ExpandedPrefixes
from tmap.engines.likelihood import Head, in_batches
from tmap.engines.local import Local
from tmap.engines.shared_prefix import SharedPrefixes
from tmap.engines.stops import StopTexts
from tmap.log import Progress

LOGGER = logging.getLogger(__name__)
#: Tokens per forward pass with padding, where given answers are measured.
TOKEN_BUDGET = {"cpu": 1024, "cuda": 16_384}
#: Ended rows leave when they are this share of the batch: each leaving copies the rest.
DROP_SHARE = 1 / 8


class PrefixCache(Local):
    """Shared prefixes where the model's layers allow, else copied ones (logged)."""

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
        progress = Progress("generate", len(prefixes) * len(questions), "answers")
        found = []
        for ids in prefixes:
            rooms = [self.room(ids, question, max_new_tokens) for question in questions]
            prefix = self.prefixes.prefill(ids)
            answers: list[list[int]] = [[] for _ in questions]
            for batch in self._batches(questions):
                texts, room = [questions[i] for i in batch], [rooms[i] for i in batch]
                rows, logits = self.prefixes.start(prefix, texts, max(room))
                decoded = self._decode(rows, logits, room, stops)
                for i, answer in zip(batch, decoded, strict=True):
                    answers[i] = answer
                _advance(progress, len(batch))
            found.append(answers)
        return found

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
        progress = Progress("options", len(prefixes) * len(pairs), "options")
        found = []
        for ids in prefixes:
            self.check_fits((ids, stretch) for stretch in stretches)
            prefix = self.prefixes.prefill(ids)
            nll = [[0.0] * len(choices) for choices in options]
            for batch in self._batches(stretches):
                hidden = self.prefixes.hidden(prefix, [stretches[i] for i in batch])
                for row, i in enumerate(batch):
                    s, o = pairs[i]
                    nll[s][o] = self._nll(hidden[row], options[s][o])
                _advance(progress, len(batch))
            found.append(nll)
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

    def _batches(self, stretches: Sequence[Ids]) -> list[list[int]]:
        return self.prefixes.batches([len(s) for s in stretches], self.batch_size)

    def _decode(
        self, rows: Any, logits: torch.Tensor, rooms: list[int], stops: StopTexts
    ) -> list[list[int]]:
        """Greedy answers of one batch; rooms are the most new tokens of each row."""
        answers: list[list[int]] = [[] for _ in rooms]
        live, ended = list(range(len(rooms))), set[int]()
        while True:
            tokens = logits.argmax(dim=-1)
            for i, token in zip(live, tokens.tolist(), strict=True):
                if i not in ended and self._ends(answers[i], token, rooms[i], stops):
                    ended.add(i)
            left = [row for row, i in enumerate(live) if i not in ended]
            if not left:
                return answers
            if len(live) - len(left) >= DROP_SHARE * len(live):
                index = torch.tensor(left)  # on the CPU: layers may lie on several GPUs
                rows.keep(index)
                tokens, live = tokens[index], [live[row] for row in left]
            logits = rows.step(tokens[:, None])

    def _ends(self, answer: list[int], token: int, room: int, stops: StopTexts) -> bool:
        """Append a token unless it is an end; whether the answer ends with it."""
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

        Rows are padded on the right, where a causal model does not look, so no mask is
        needed, and attention without one is faster.
        """
        self.check_fits((text,) for text in texts)

        def read(batch: list[int]) -> None:
            width = len(texts[batch[0]])
            rows = [[*texts[i], *[0] * (width - len(texts[i]))] for i in batch]
            ids = torch.tensor(rows, device=self.device)
            add(batch, self.model.base_model(ids, use_cache=False).last_hidden_state)

        lengths = [len(text) for text in texts]
        self.budget = in_batches(lengths, self.budget, read)


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

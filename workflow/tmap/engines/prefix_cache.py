"""The default engine (`name: transformers`): reads every prefix once.

Answers to many questions after few prefixes: a prefix is read once and shared; rows of
similar length go together; a row that has ended leaves the batch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from tmap.engines.base import Ids
from tmap.engines.expanded_prefix import ExpandedPrefixes
from tmap.engines.likelihood import Head, budget_batches
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
        scored = [list(a if p else a[1:]) for p, a in pairs]
        count = np.array([len(ids) for ids in scored], np.int64)
        total = np.full(len(pairs), np.nan)
        rows = np.flatnonzero(count)
        texts = [[*pairs[i][0], *pairs[i][1]] for i in rows]
        progress = Progress("answer_nll", len(rows))
        for batch, hidden in self._read(texts):
            for state, r in zip(hidden, batch, strict=True):
                total[rows[r]] = self._nll(state[: len(texts[r])], scored[rows[r]])
            progress.advance(len(batch))
        return total, count

    @torch.inference_mode()
    def digit_logits(self, prompts: Sequence[Ids], digits: Ids) -> np.ndarray:
        """As `LanguageModel.digit_logits`."""
        found = np.empty((len(prompts), len(digits)))
        progress = Progress("digit_logits", len(prompts))
        for batch, hidden in self._read(prompts):
            last = torch.stack(
                [hidden[row, len(prompts[i]) - 1] for row, i in enumerate(batch)]
            )
            log_p = torch.log_softmax(self.head.logits(last), dim=-1)
            found[batch] = log_p[:, list(digits)].double().cpu().numpy()
            progress.advance(len(batch))
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

    def _read(self, texts: Sequence[Ids]) -> Iterator[tuple[list[int], torch.Tensor]]:
        """(indices, hidden states padded on the right) by batches of similar length."""
        self.check_fits((text,) for text in texts)
        budget = TOKEN_BUDGET.get(self.device.type, 1024)
        for batch in budget_batches([len(text) for text in texts], budget):
            width = len(texts[batch[0]])
            pads = [width - len(texts[i]) for i in batch]
            rows = [[*texts[i], *[0] * n] for i, n in zip(batch, pads, strict=True)]
            seen = [[1] * (width - n) + [0] * n for n in pads]
            states = self.model.base_model(
                input_ids=torch.tensor(rows, device=self.device),
                attention_mask=torch.tensor(seen, device=self.device),
                use_cache=False,
            ).last_hidden_state
            yield batch, states


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

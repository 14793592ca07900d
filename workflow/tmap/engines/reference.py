"""A slow and simple engine, the reference for the others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tmap.engines.base import Ids
from tmap.engines.local import Local


class Reference(Local):
    """One row at a time, through `model.generate` and full logits."""

    def __init__(self, model: Any, tokenizer: Any, **options: Any) -> None:
        from transformers import GenerationConfig

        super().__init__(model, tokenizer, **options)
        # A model's own settings may ask for sampling or repetition penalties, and
        # `generate` would mix them into ours.
        ends = sorted(self.eos)
        self.model.generation_config = GenerationConfig(
            do_sample=False, eos_token_id=ends or None, pad_token_id=(ends or [0])[0]
        )

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
        start = time.monotonic()
        found = [
            [
                self._answer(p, q, self.room(p, q, max_new_tokens), stop)
                for q in questions
            ]
            for p in prefixes
        ]
        self.spent.whole(time.monotonic() - start, prefixes, questions, found)
        return found

    @torch.inference_mode()
    def option_nll(
        self,
        prefixes: Sequence[Ids],
        questions: Sequence[Ids],
        options: Sequence[Sequence[Ids]],
    ) -> list[list[list[float]]]:
        """As `LanguageModel.option_nll`."""
        start = time.monotonic()
        found = [
            [
                [self._nll([*p, *q], option)[0] for option in its_options]
                for q, its_options in zip(questions, options, strict=True)
            ]
            for p in prefixes
        ]
        self.spent.prefill_seconds += time.monotonic() - start
        self.spent.prompt_tokens += sum(
            len(p) + len(q) + len(option)
            for p in prefixes
            for q, its_options in zip(questions, options, strict=True)
            for option in its_options
        )
        self.spent.floor_seconds = float("nan")
        return found

    @torch.inference_mode()
    def answer_nll(
        self, prompts: Sequence[Ids], answers: Sequence[Ids]
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `LanguageModel.answer_nll`."""
        pairs = zip(prompts, answers, strict=True)
        found = [self._nll(prompt, answer) for prompt, answer in pairs]
        sums = [nll if count else np.nan for nll, count in found]
        counts = [count for _, count in found]
        return np.array(sums, np.float64), np.array(counts, np.int64)

    @torch.inference_mode()
    def digit_logits(self, prompts: Sequence[Ids], digits: Ids) -> np.ndarray:
        """As `LanguageModel.digit_logits`."""
        rows = [self._log_probabilities(prompt)[-1, list(digits)] for prompt in prompts]
        return torch.stack(rows).double().cpu().numpy()

    def _answer(self, p: Ids, q: Ids, room: int, stop: Sequence[str]) -> list[int]:
        from transformers import StoppingCriteriaList

        ids = torch.tensor([[*p, *q]], device=self.device)
        ends = _StopText(self.tokenizer, ids.shape[1], stop)
        whole = self.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=room,
            stopping_criteria=StoppingCriteriaList([ends]),
        )
        answer: list[int] = whole[0, ids.shape[1] :].tolist()
        return answer[:-1] if answer[-1] in self.eos else answer

    def _nll(self, prompt: Ids, answer: Ids) -> tuple[float, int]:
        """Summed nats over the tokens of `answer` that have a token before them."""
        scored = list(answer if prompt else answer[1:])
        if not scored:
            return 0.0, 0
        self.check_fits([(prompt, answer)])
        log_p = self._log_probabilities([*prompt, *answer])[-len(scored) - 1 : -1]
        picked = log_p.gather(1, torch.tensor(scored, device=log_p.device)[:, None])
        return -float(picked.double().sum()), len(scored)

    def _log_probabilities(self, ids: Ids) -> torch.Tensor:
        """(len(ids), vocabulary), for the token that follows each position."""
        rows = torch.tensor([list(ids)], device=self.device)
        return torch.log_softmax(self.model(input_ids=rows).logits[0].float(), dim=-1)


class _StopText:
    """Stopping criterion: the whole answer so far is decoded and searched."""

    def __init__(self, tokenizer: Any, prompt_length: int, stop: Sequence[str]) -> None:
        self._tokenizer, self._start, self._stop = tokenizer, prompt_length, stop

    def __call__(self, ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        text = self._tokenizer.decode(
            ids[0, self._start :].tolist(), clean_up_tokenization_spaces=False
        )
        found = any(mark and mark in text for mark in self._stop)
        return torch.tensor([found], device=ids.device)

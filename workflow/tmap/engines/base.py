"""The interface of every engine: write answers, and measure given ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any, Protocol

import numpy as np

from tmap.errors import TmapError

Ids = Sequence[int]

#: Raised with every change that can alter an engine's tokens; part of every ledger key.
ENGINE_VERSION = 3


@dataclass
class Spent:
    """Time and tokens spent on answers since an engine was loaded; they only grow.

    Attributes
    ----------
    prefill_seconds, decode_seconds : reading prompts and options; writing answers
    prompt_tokens, new_tokens : read (a shared prefix once); written
    floor_seconds : the least time that the device needs for it; NaN if unknown
    """

    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0
    prompt_tokens: int = 0
    new_tokens: int = 0
    floor_seconds: float = 0.0

    def whole(
        self,
        seconds: float,
        prefixes: Sequence[Ids],
        questions: Sequence[Ids],
        found: Sequence[Sequence[Ids]],
    ) -> None:
        """Count answers of an engine that cannot separate reading from writing."""
        self.decode_seconds += seconds
        self.prompt_tokens += sum(len(p) + len(q) for p in prefixes for q in questions)
        self.new_tokens += sum(len(ids) for group in found for ids in group)
        self.floor_seconds = float("nan")

    def parts(self, n: int) -> list[Spent]:
        """n equal parts; tokens stay whole numbers with the same sums."""

        def part(tokens: int, i: int) -> int:
            return tokens * (i + 1) // n - tokens * i // n

        return [
            Spent(
                self.prefill_seconds / n,
                self.decode_seconds / n,
                part(self.prompt_tokens, i),
                part(self.new_tokens, i),
                self.floor_seconds / n,
            )
            for i in range(n)
        ]

    def __add__(self, other: Spent) -> Spent:
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Spent(*(a + b for a, b in pairs))

    def since(self, before: Spent) -> Spent:
        """The difference from an earlier state, `before`."""
        return Spent(
            *(a - b for a, b in zip(astuple(self), astuple(before), strict=True))
        )


class LanguageModel(Protocol):
    """A causal language model over token ids. Greedy everywhere; never samples.

    Attributes
    ----------
    key : str
        Identifies everything that can change a token: engine, ENGINE_VERSION, model
        commit, adapter, dtype, device kind, batch size.
    tokenizer : transformers tokenizer
    context : tokens that prompt and answer may have together; None if unknown
    n_layers : of the model
    batch_size : rows that are computed together; halved if memory runs out and the
        card leaves it to the engine
    spent : by `generate` and `option_nll` so far
    """

    key: str
    batch_size: int
    spent: Spent
    tokenizer: Any
    context: int | None
    n_layers: int

    def generate(
        self,
        prefixes: Sequence[Ids],
        questions: Sequence[Ids],
        *,
        max_new_tokens: int,
        stop: Sequence[str] = (),
    ) -> list[list[list[int]]]:
        """Greedy answers to every question after every prefix.

        Parameters
        ----------
        prefixes : m id lists, shared beginnings (may be empty lists)
        questions : S id lists, appended to each prefix; not empty
        max_new_tokens : most tokens per answer
        stop : texts that end an answer, in addition to the end-of-sequence tokens

        Returns
        -------
        [m][S] id lists. An end-of-sequence token is left out. If a stop text ended the
        answer, the tokens up to and including the one that completed it are kept: cut
        the decoded text with `cut`.
        """

    def option_nll(
        self,
        prefixes: Sequence[Ids],
        questions: Sequence[Ids],
        options: Sequence[Sequence[Ids]],
    ) -> list[list[list[float]]]:
        """Summed negative log-likelihood of each option after prefix + question.

        Returns
        -------
        [m][S][n_options_s] in nats
        """

    def answer_nll(
        self, prompts: Sequence[Ids], answers: Sequence[Ids]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Summed negative log-likelihood of each answer given its prompt.

        The first answer token is scored only if the prompt is not empty. Both together
        must fit into the context: the caller truncates.

        Returns
        -------
        sum : (n,) float64, nats; NaN for an answer without a scored token
        count : (n,) int64, number of scored tokens
        """

    def digit_logits(self, prompts: Sequence[Ids], digits: Ids) -> np.ndarray:
        """Log-probabilities of the token ids `digits` as first token after each prompt.

        Returns
        -------
        (n_prompts, n_digits) float64, over the whole vocabulary
        """

    def attention(
        self, prefixes: Sequence[Ids], questions: Sequence[Ids], layer: int
    ) -> list[np.ndarray]:
        """The attention of each question's tokens to its own prefix, at one layer.

        Parameters
        ----------
        prefixes, questions : n id lists each; a prompt is one of each, joined
        layer : from 0

        Returns
        -------
        n float64 arrays, (len(prefix),): the weights, summed over heads and averaged
        over the question's tokens
        """


def cut(text: str, stop: Sequence[str]) -> str:
    """`text` up to the first of the stop texts."""
    ends = [text.find(mark) for mark in stop if mark and mark in text]
    return text[: min(ends)] if ends else text


def room(context: int | None, used: int, max_new_tokens: int) -> int:
    """Number of new tokens that fit into the context, at most `max_new_tokens`.

    Raises
    ------
    TmapError
        If the prompt alone fills the context.
    """
    if context is None:
        return max_new_tokens
    if used >= context:
        raise TmapError(
            f"A prompt of {used} tokens leaves no room in the model's context of "
            f"{context}; it must be shorter. Use fewer or shorter demonstrations, or a "
            "model with a longer context."
        )
    return min(max_new_tokens, context - used)

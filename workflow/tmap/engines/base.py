"""What every engine can do: write answers, and measure given ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

Ids = Sequence[int]

#: Counts changes that can alter an engine's tokens; part of every ledger key.
ENGINE_VERSION = 1


class LanguageModel(Protocol):
    """A causal language model over token ids. Greedy everywhere; never samples.

    Attributes
    ----------
    key : str
        Names what can change a token: engine, ENGINE_VERSION, model commit, adapter,
        dtype, device kind, batch size.
    tokenizer : transformers tokenizer
    context : tokens that prompt and answer may have together; None if unknown
    n_layers : of the model
    batch_size : questions that are answered at once
    """

    key: str
    tokenizer: Any
    context: int | None
    n_layers: int
    batch_size: int

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
        max_new_tokens : tokens per answer at most
        stop : texts that end an answer, besides the end-of-sequence tokens

        Returns
        -------
        [m][S] id lists. An end-of-sequence token is left out; where a stop text ended
        the answer, the tokens up to and with the one that completed it are kept: cut
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
        must fit the context: the caller truncates.

        Returns
        -------
        sum : (n,) float64, nats; NaN for an answer without a scored token
        count : (n,) int64, how many tokens were scored
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
        """What the tokens of each question attend to in its own prefix, at one layer.

        Parameters
        ----------
        prefixes, questions : n id lists each; a prompt is one of both
        layer : from 0

        Returns
        -------
        n float64 arrays, (len(prefix),): the weights summed over heads, and their mean
        over the question's tokens
        """


def cut(text: str, stop: Sequence[str]) -> str:
    """`text` up to the first of the stop texts."""
    ends = [text.find(mark) for mark in stop if mark and mark in text]
    return text[: min(ends)] if ends else text

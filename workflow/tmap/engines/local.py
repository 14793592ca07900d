"""The common part of engines that have the model in this process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
import torch

from tmap.engines import attention_weights
from tmap.engines.base import Ids, Spent, room
from tmap.engines.roofline import Roofline
from tmap.errors import TmapError

LOGGER = logging.getLogger(__name__)
#: Batch size on a CPU; largest batch size; question length that a GPU reserves memory for.
CPU_ROWS, MAX_ROWS, QUESTION = 128, 1024, 256


class Local:
    """A loaded model, its tokenizer, and which tokens end an answer.

    Parameters
    ----------
    model : transformers causal language model, in evaluation mode
    tokenizer : transformers tokenizer
    key : identifies everything that can change a token
    batch_size : rows computed together; "auto": as many as memory allows
    max_new_tokens : of the longest answers, if `batch_size` is "auto"

    Attributes
    ----------
    context : tokens that prompt and answer may have together; None if the model's
        configuration does not say
    n_layers : of the model
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        key: str = "",
        batch_size: int | Literal["auto"] = "auto",
        max_new_tokens: int = 512,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.key = key
        self.spent = Spent()
        self.roofline = Roofline(model)
        self.fixed_batch = batch_size != "auto"
        self.batch_size = (
            self._fitting(max_new_tokens) if batch_size == "auto" else batch_size
        )
        self.config = model.config.get_text_config(decoder=True)
        self.context: int | None = getattr(self.config, "max_position_embeddings", None)
        self.n_layers: int = self.config.num_hidden_layers
        self.eos = _ends(model, tokenizer)

    @property
    def device(self) -> torch.device:
        return torch.device(self.model.device)

    @torch.inference_mode()
    def attention(
        self, prefixes: Sequence[Ids], questions: Sequence[Ids], layer: int
    ) -> list[np.ndarray]:
        """As `LanguageModel.attention`."""
        self.check_fits(zip(prefixes, questions, strict=True))
        return attention_weights.paid(self.model, prefixes, questions, layer)

    def _fitting(self, max_new_tokens: int) -> int:
        """Rows whose keys and values take at most 60 % of a GPU's free memory."""
        if self.device.type != "cuda":
            return CPU_ROWS
        free, _ = torch.cuda.mem_get_info(self.device)
        per_row = self.roofline.kv * (QUESTION + max_new_tokens)
        return int(max(1, min(MAX_ROWS, 0.6 * free // per_row)))

    def within_memory(self, work: Callable[[], None]) -> None:
        """Do `work`; repeat it with half as many rows each time memory runs out.

        Raises
        ------
        TmapError
            If the model card fixes the batch size, or one row is too much.
        """
        while True:
            try:
                work()
                return
            except torch.OutOfMemoryError as fault:
                words = str(fault)
            # The exception is gone here, and so are the tensors that its traceback held.
            self._halve_batch(words)

    def _halve_batch(self, words: str) -> None:
        if self.fixed_batch or self.batch_size == 1:
            raise TmapError(
                f"Memory ran out with {self.batch_size} rows at once: "
                f"{words.splitlines()[0][:160]} Set `engine: {{batch_size: auto}}` "
                "in the model card, or use a GPU with more memory. Finished work is on "
                "disk."
            )
        self.batch_size //= 2
        LOGGER.warning("memory ran out: from here on, %d rows at once", self.batch_size)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def room(self, prefix: Ids, question: Ids, max_new_tokens: int) -> int:
        """Number of new tokens that fit after this prompt, see `base.room`."""
        return room(self.context, len(prefix) + len(question), max_new_tokens)

    def check_fits(self, rows: Iterable[Sequence[Ids]]) -> None:
        """Refuse rows (each a list of stretches of ids) longer than the context."""
        longest = max((sum(map(len, row)) for row in rows), default=0)
        if self.context is not None and longest > self.context:
            raise TmapError(
                f"A row of {longest} tokens is longer than the model's context of "
                f"{self.context}; it must fit. Shorten the row, or use a model with a "
                "longer context."
            )


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """End-of-sequence tokens of tokenizer, model and generation settings combined."""
    found: set[int] = set()
    settings = getattr(model, "generation_config", None)
    for source in (tokenizer, model.config, settings):
        value = getattr(source, "eos_token_id", None)
        if isinstance(value, int):
            found.add(value)
        elif value is not None:
            found |= set(value)
    return frozenset(found)


def last_place(model: Any) -> int:
    """The last position that the model knows."""
    config = model.config.get_text_config(decoder=True)
    known: int = getattr(config, "max_position_embeddings", None) or 2**31
    return known - 1

"""Embed texts with any transformers model: encoders, or causal models without a head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tmap.engines.likelihood import in_batches
from tmap.engines.weights import load_tokenizer, load_weights

if TYPE_CHECKING:
    from tmap.cards.model import PlaceSection
    from tmap.embeddings.embed import Pooling

#: Tokens per forward pass with padding.
TOKEN_BUDGET = {"cpu": 1024, "cuda": 32_768}


def load(record: dict[str, Any], place: PlaceSection) -> HiddenStateEncoder:
    """The encoder of a fetched model."""
    model = load_weights(record, place, kind="AutoModel").model
    return HiddenStateEncoder(
        model, load_tokenizer(record), record.get("max_positions")
    )


class HiddenStateEncoder:
    """A model's last hidden states, pooled to one vector per text.

    Parameters
    ----------
    model : transformers model without an output layer
    tokenizer : its tokenizer; adds special tokens by its own defaults
    max_positions : tokens of a text that are read; None: all
    """

    def __init__(self, model: Any, tokenizer: Any, max_positions: int | None) -> None:
        self.model, self.tokenizer = model.eval(), tokenizer
        self.max_positions = max_positions

    @torch.inference_mode()
    def encode(
        self, texts: Sequence[str], pooling: Pooling
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vectors of texts.

        Parameters
        ----------
        texts : n texts
        pooling : first | last | mean, over the tokens of the last layer

        Returns
        -------
        vectors : (n, d) float32, not normalised; 0 for a text without tokens
        n_tokens : (n,) int64, of the whole text
        status : (n,) ok | truncated (longer than `max_positions`: its beginning) | empty
        """
        whole = [self._ids(text) for text in texts]
        n_tokens = np.array([len(ids) for ids in whole], dtype=np.int64)
        status = np.full(len(texts), "ok", dtype=object)
        limit = self.max_positions or int(n_tokens.max(initial=0))
        status[n_tokens > limit] = "truncated"
        blank = np.array([not text for text in texts], dtype=bool)
        status[blank | (n_tokens == 0)] = "empty"
        config = self.model.config.get_text_config()
        vectors = np.zeros((len(texts), config.hidden_size), dtype=np.float32)
        todo = np.flatnonzero(status != "empty")
        rows = [whole[i][:limit] for i in todo]

        def add(batch: list[int]) -> None:
            vectors[todo[batch]] = self._pool([rows[i] for i in batch], pooling)

        in_batches(
            [len(ids) for ids in rows],
            TOKEN_BUDGET.get(self.model.device.type, 1024),
            add,
        )
        return vectors, n_tokens, status

    def _ids(self, text: str) -> list[int]:
        clean = text.encode("utf-8", "replace").decode("utf-8")
        # Text that looks like a control token is encoded as plain text.
        ids: list[int] = self.tokenizer.encode(
            clean, split_special_tokens=True, verbose=False
        )
        return ids

    def _pool(self, rows: list[list[int]], pooling: Pooling) -> np.ndarray:
        """(rows, d) float32; rows are padded on the right, and padding is masked."""
        width = max(map(len, rows))
        ids = [row + [0] * (width - len(row)) for row in rows]
        seen = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
        device = self.model.device
        mask = torch.tensor(seen, device=device)
        states = self.model(
            input_ids=torch.tensor(ids, device=device), attention_mask=mask
        ).last_hidden_state.float()
        if pooling == "mean":
            weight = mask[:, :, None].float()
            found = (states * weight).sum(dim=1) / weight.sum(dim=1)
        elif pooling == "first":
            found = states[:, 0]
        else:
            found = states[torch.arange(len(rows), device=device), mask.sum(dim=1) - 1]
        result: np.ndarray = found.cpu().numpy()
        return result

"""Embed texts with any transformers model: encoders, or causal models without a head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tmap.embeddings import sentence
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
    limit = record.get("max_positions")
    return HiddenStateEncoder(model, load_tokenizer(record), limit, record)


class HiddenStateEncoder:
    """A model's last hidden states, pooled to one vector per text.

    Parameters
    ----------
    model : transformers model without an output layer
    tokenizer : its tokenizer; adds special tokens by its own defaults
    max_positions : tokens of a text that are read; None: all
    record : of the model, whose folder says how it pools itself (`own`)
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        max_positions: int | None,
        record: dict[str, Any],
    ) -> None:
        self.model, self.tokenizer = model.eval(), tokenizer
        self.max_positions, self.record = max_positions, record

    @torch.inference_mode()
    def encode(
        self, texts: Sequence[str], pooling: Pooling
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vectors of texts.

        Parameters
        ----------
        texts : n texts
        pooling : first | last | mean, over the tokens of the last layer; own: as the
            folder of a sentence-transformers model says

        Returns
        -------
        vectors : (n, d) float32, not normalised; 0 for a text without tokens
        n_tokens : (n,) int64, of the whole text
        status : (n,) ok | truncated (longer than `max_positions`: its beginning) | empty

        Raises
        ------
        TmapError
            `own`, and the model's folder does not say how, or says what tmap cannot do.
        """
        blank = np.array([not text for text in texts], dtype=bool)
        limit, end = self.max_positions, 0
        if pooling == "own":
            place = self.record.get("source", self.record["path"])
            own = sentence.read(self.record["path"], place)
            pooling, end = own.pooling, self._n_special_at_end()
            limit = min(filter(None, (limit, own.max_tokens)), default=None)
            texts = [
                own.prompt + (text.lower() if own.lower else text) for text in texts
            ]
        whole = [self._ids(text) for text in texts]
        n_tokens = np.array([len(ids) for ids in whole], dtype=np.int64)
        status = np.full(len(texts), "ok", dtype=object)
        limit = limit or int(n_tokens.max(initial=0))
        status[n_tokens > limit] = "truncated"
        status[blank | (n_tokens == 0)] = "empty"
        config = self.model.config.get_text_config()
        vectors = np.zeros((len(texts), config.hidden_size), dtype=np.float32)
        todo = np.flatnonzero(status != "empty")
        rows = [_cut(whole[i], limit, end) for i in todo]

        def add(batch: list[int]) -> None:
            vectors[todo[batch]] = self._pool([rows[i] for i in batch], pooling)

        in_batches(
            [len(ids) for ids in rows],
            TOKEN_BUDGET.get(self.model.device.type, 1024),
            add,
        )
        return vectors, n_tokens, status

    def _n_special_at_end(self) -> int:
        """Special tokens that the tokenizer puts after a text, such as [SEP]."""
        marks = self.tokenizer("a", return_special_tokens_mask=True)
        mask = marks["special_tokens_mask"]
        return len(mask) - len(np.trim_zeros(np.array(mask) == 0, "b"))

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


def _cut(ids: list[int], limit: int, end: int) -> list[int]:
    """At most `limit` ids; the last `end` of them stay the last of a text that is cut."""
    if len(ids) <= limit:
        return ids
    return ids[: limit - end] + ids[len(ids) - end :]

"""Prefixes that are copied for every row: right for every architecture.

For models with sliding windows, recurrent or other layers whose cache is not simply all
keys and values. Rows of one batch have equal length, so that there is no padding, which
such layers would take for text.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from tmap.engines.base import Ids
from tmap.engines.local import last_place


@dataclass(frozen=True)
class ReadPrefix:
    """The cache after a prefix, batch size one."""

    cache: DynamicCache
    length: int


class ExpandedRows:
    """Rows of equal length that continue copies of one prefix."""

    def __init__(self, model: Any, prefix: ReadPrefix, n: int) -> None:
        self.model, self.length = model, prefix.length
        self.last_place = last_place(model)
        self.cache = copy.deepcopy(prefix.cache)
        if prefix.length:
            self.cache.batch_repeat_interleave(n)

    def run(self, module: Any, ids: torch.Tensor, **options: Any) -> Any:
        """Append `ids`, (rows, T), and return the output of `module` over them."""
        end = self.length + ids.shape[1]
        places = torch.arange(self.length, end, device=ids.device)
        places = places.clamp(max=self.last_place).expand(len(ids), -1)
        self.length = end
        return module(
            input_ids=ids,
            position_ids=places,
            past_key_values=self.cache,
            use_cache=True,
            **options,
        )

    def step(self, ids: torch.Tensor) -> torch.Tensor:
        """Append `ids`, (rows, T); logits of the token after the last, (rows, V)."""
        logits: torch.Tensor = self.run(self.model, ids, logits_to_keep=1).logits[:, -1]
        return logits

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows (indices) only."""
        self.cache.batch_select_indices(rows)


class ExpandedPrefixes:
    """Reads each prefix once and copies its cache for the rows of a batch."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def batches(self, lengths: Sequence[int], size: int) -> list[list[int]]:
        """Indices in batches of at most `size`, all of one length, longest first."""
        of_length: dict[int, list[int]] = defaultdict(list)
        for index, length in enumerate(lengths):
            of_length[length].append(index)
        return [
            of_length[length][i : i + size]
            for length in sorted(of_length, reverse=True)
            for i in range(0, len(of_length[length]), size)
        ]

    def prefill(self, ids: Ids) -> ReadPrefix:
        """Read a prefix once."""
        cache = DynamicCache(config=self.model.config)
        if ids:
            rows = torch.tensor([list(ids)], device=self.model.device)
            self.model.base_model(input_ids=rows, past_key_values=cache, use_cache=True)
        return ReadPrefix(cache, len(ids))

    def start(
        self, prefix: Any, stretches: Sequence[Ids], room: int
    ) -> tuple[ExpandedRows, torch.Tensor]:
        """Read the rows' own parts; (rows, logits of the first new tokens)."""
        rows = ExpandedRows(self.model, prefix, len(stretches))
        return rows, rows.step(self._tensor(stretches))

    def hidden(self, prefix: Any, stretches: Sequence[Ids]) -> torch.Tensor:
        """Last hidden states, (rows, T, d)."""
        rows = ExpandedRows(self.model, prefix, len(stretches))
        found: torch.Tensor = rows.run(
            self.model.base_model, self._tensor(stretches)
        ).last_hidden_state
        return found

    def _tensor(self, stretches: Sequence[Ids]) -> torch.Tensor:
        return torch.tensor([list(s) for s in stretches], device=self.model.device)

"""Prefixes that are copied for every row: correct for every architecture.

For models with sliding windows, recurrent layers, or other layers whose cache is not simply
all keys and values. Rows of one batch have equal length, so there is no padding, which
such layers would treat as text.
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

    def run(self, ids: torch.Tensor) -> torch.Tensor:
        """Append `ids`, (rows, T); return their hidden states, (rows, T, d)."""
        end = self.length + ids.shape[1]
        places = torch.arange(self.length, end, device=ids.device)
        places = places.clamp(max=self.last_place).expand(len(ids), -1)
        self.length = end
        states: torch.Tensor = self.model.base_model(
            input_ids=ids,
            position_ids=places,
            past_key_values=self.cache,
            use_cache=True,
        ).last_hidden_state
        return states

    def step(self, ids: torch.Tensor) -> torch.Tensor:
        """Append `ids`, (rows, T); return the hidden states of the last, (rows, d)."""
        return self.run(ids)[:, -1]

    def keep(self, rows: Sequence[int]) -> None:
        """Continue with these rows only, in this order."""
        # On the CPU: layers may be on several GPUs.
        self.cache.batch_select_indices(torch.tensor(rows))


class ExpandedPrefixes:
    """Reads each prefix once and copies its cache for the rows of a batch."""

    def __init__(self, model: Any) -> None:
        self.model = model

    @staticmethod
    def at_once(n_questions: int, size: int) -> int:
        """Number of prefixes kept in memory together."""
        return 1

    @staticmethod
    def batches(
        groups: Sequence[int], lengths: Sequence[int], size: int
    ) -> list[list[tuple[int, int]]]:
        """(prefix, question) in batches of at most `size`, longest questions first.

        A batch contains questions of one length after one prefix.
        """
        of_length: dict[int, list[int]] = defaultdict(list)
        for index, length in enumerate(lengths):
            of_length[length].append(index)
        return [
            [(prefix, s) for s in of_length[length][i : i + size]]
            for prefix in groups
            for length in sorted(of_length, reverse=True)
            for i in range(0, len(of_length[length]), size)
        ]

    def prefill(self, prefixes: Sequence[Ids]) -> list[ReadPrefix]:
        """Read every prefix once."""
        return [self._read(ids) for ids in prefixes]

    def start(
        self, prefixes: Any, rows: Sequence[tuple[int, Ids]], room: int
    ) -> tuple[ExpandedRows, torch.Tensor]:
        """Read the rows' own parts; return rows and hidden states of the last tokens."""
        started = ExpandedRows(self.model, prefixes[rows[0][0]], len(rows))
        return started, started.step(self._tensor(rows))

    def hidden(
        self, prefixes: Any, rows: Sequence[tuple[int, Ids]]
    ) -> list[torch.Tensor]:
        """Last hidden states of each row's own part, (T, d)."""
        started = ExpandedRows(self.model, prefixes[rows[0][0]], len(rows))
        return list(started.run(self._tensor(rows)))

    def _read(self, ids: Ids) -> ReadPrefix:
        cache = DynamicCache(config=self.model.config)
        if ids:
            rows = torch.tensor([list(ids)], device=self.model.device)
            self.model.base_model(input_ids=rows, past_key_values=cache, use_cache=True)
        return ReadPrefix(cache, len(ids))

    def _tensor(self, rows: Sequence[tuple[int, Ids]]) -> torch.Tensor:
        return torch.tensor([list(ids) for _, ids in rows], device=self.model.device)

"""Attention over prefixes that rows share without copying them.

The keys and values of a prefix are computed once and keep batch size one. All rows of its
group attend to them through one matrix product per key-value head, then each row attends
to its own part (question and answer so far). Prefixes are passed to the layers as a keyword
of `model(...)`; no state is kept here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import pad
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

NAME = "tmap_shared_prefix"


@dataclass(frozen=True)
class Prefixes:
    """Keys and values of m prefixes; shorter ones are padded on the right.

    Attributes
    ----------
    keys, values : by layer, (m * key-value heads, length, head size)
    lengths : (m,)
    length : of the longest
    bias : (m * key-value heads, 1, length), added to scores: 0, or so low that padding
        gets no weight
    """

    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    lengths: torch.Tensor
    length: int
    bias: torch.Tensor

    @classmethod
    def stack(cls, caches: Sequence[Any], lengths: Sequence[int]) -> Prefixes:
        """Combine m caches of batch size one."""
        longest = max(lengths)
        keys: list[torch.Tensor] = []
        values: list[torch.Tensor] = []
        for layers in zip(*(cache.layers for cache in caches), strict=True):
            for found, name in ((keys, "keys"), (values, "values")):
                parts = [getattr(layer, name)[0] for layer in layers]
                wide = [pad(part, (0, 0, 0, longest - part.shape[1])) for part in parts]
                found.append(torch.cat(wide))
        of = torch.tensor(lengths, device=keys[0].device)
        columns = torch.arange(longest, device=of.device)
        bias = torch.zeros(len(lengths), 1, longest, device=of.device)
        bias.masked_fill_((columns >= of[:, None])[:, None], LOW)
        heads = keys[0].shape[0] // len(lengths)
        bias = bias.to(keys[0].dtype).repeat_interleave(heads, dim=0)
        return cls(keys, values, of, longest, bias)

    def between(self, first: int, last: int) -> Prefixes:
        """Prefixes number `first` to `last - 1`: views, no copies."""
        if (first, last) == (0, len(self.lengths)):
            return self
        heads = self.keys[0].shape[0] // len(self.lengths)
        some = slice(first * heads, last * heads)
        return Prefixes(
            [keys[some] for keys in self.keys],
            [values[some] for values in self.values],
            self.lengths[first:last],
            self.length,
            self.bias[some],
        )


#: Score of masked positions; finite in every dtype.
LOW = -30_000.0


@dataclass(frozen=True)
class Shared:
    """The prefix that each row continues, as a table with lines of equal length.

    Attributes
    ----------
    prefixes : the shared prefixes, from the first to the last that a row continues
    table : (m, R) rows that continue each of them; a line with fewer rows repeats one
    places : (rows,) position of each row in the flattened table
    """

    prefixes: Prefixes
    table: torch.Tensor
    places: torch.Tensor

    @classmethod
    def of(cls, prefixes: Prefixes, groups: Sequence[int]) -> Shared:
        """For rows that continue the prefixes with numbers `groups`."""
        first, last = min(groups), max(groups) + 1
        lines: list[list[int]] = [[] for _ in range(first, last)]
        seats = []
        for row, group in enumerate(groups):
            seats.append((group - first, len(lines[group - first])))
            lines[group - first].append(row)
        width = max(map(len, lines))
        table = [line + [0] * (width - len(line)) for line in lines]
        device = prefixes.lengths.device
        flat = [line * width + seat for line, seat in seats]
        return cls(
            prefixes.between(first, last),
            torch.tensor(table, device=device),
            torch.tensor(flat, device=device),
        )

    def lay(self, rows: torch.Tensor) -> torch.Tensor:
        """(rows, heads, T, n) -> (m, heads, R, T, n)."""
        laid = rows.index_select(0, self.table.flatten().to(rows.device))
        return laid.unflatten(0, self.table.shape).transpose(1, 2)

    def take(self, laid: torch.Tensor) -> torch.Tensor:
        """(m, heads, R, T, n) -> (rows, heads, T, n)."""
        rows = laid.transpose(1, 2).flatten(0, 1)
        return rows.index_select(0, self.places.to(rows.device))


def attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    shared_prefix: Shared | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend to the shared prefix and the row's suffix; without a prefix, plain SDPA.

    Parameters
    ----------
    query : (rows, heads, T, size)
    key, value : (rows, key-value heads, S, size), the suffix so far
    attention_mask : (rows or 1, 1, T, S) bool, True where a suffix key is visible
    shared_prefix : seen in full by every query of its rows

    Returns
    -------
    (rows, T, heads, size), None

    Raises
    ------
    NotImplementedError
        For other terms that change the scores (soft caps, sinks, biases).
    """
    if shared_prefix is None:
        return sdpa_attention_forward(
            module,
            query,
            key,
            value,
            attention_mask,
            scaling=scaling,
            dropout=dropout,
            **options,
        )
    terms = ("softcap", "s_aux", "position_bias")
    refused = [name for name in terms if options.get(name) is not None]
    if refused or attention_mask is None:
        raise NotImplementedError(f"attention with {refused or 'no mask'}")
    rows, heads, width, size = query.shape
    kv_heads, length = key.shape[1:3]
    query = query * (size**-0.5 if scaling is None else scaling)
    query = query.reshape(rows, kv_heads, heads // kv_heads * width, size)
    own = torch.bmm(
        query.flatten(0, 1), key.reshape(rows * kv_heads, length, size).transpose(1, 2)
    )
    by_token = own.view(rows, kv_heads, heads // kv_heads, width, length)
    by_token.masked_fill_(~attention_mask[:, :, None], LOW)
    own = own.view(rows, kv_heads, -1, length)
    if shared_prefix.prefixes.length:
        out = _both(query, own, value, shared_prefix, module.layer_idx)
    else:
        weights = torch.softmax(own, dim=-1, dtype=torch.float32).to(value.dtype)
        out = _weighted(weights, value)
    return out.reshape(rows, heads, width, size).transpose(1, 2).contiguous(), None


def _both(
    query: torch.Tensor,
    own: torch.Tensor,
    value: torch.Tensor,
    shared: Shared,
    layer: int,
) -> torch.Tensor:
    """Values of prefix and suffix, weighted together: (rows, kv heads, T, size).

    Scores of the prefix, the largest tensor, keep the layout of the matrix product.
    """
    prefixes = shared.prefixes
    laid = shared.lay(query)
    m, kv_heads, seats, width, size = laid.shape
    scores = torch.baddbmm(
        prefixes.bias.to(laid.device),  # layers may be on several GPUs
        laid.reshape(m * kv_heads, seats * width, size),
        prefixes.keys[layer].transpose(1, 2),
    ).view(m, kv_heads, seats, width, prefixes.length)
    together = torch.cat([scores, shared.lay(own)], dim=-1)
    weights = torch.softmax(together, dim=-1, dtype=torch.float32).to(value.dtype)
    of_prefix = torch.bmm(
        weights[..., : prefixes.length].reshape(m * kv_heads, -1, prefixes.length),
        prefixes.values[layer],
    ).view(laid.shape)
    of_suffix = _weighted(shared.take(weights[..., prefixes.length :]), value)
    return shared.take(of_prefix) + of_suffix


def _weighted(weights: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """(rows, kv heads, T, S) of (rows, kv heads, S, size)."""
    rows, kv_heads, width, length = weights.shape
    out = torch.bmm(
        weights.reshape(rows * kv_heads, width, length),
        value.reshape(rows * kv_heads, length, -1),
    )
    return out.view(rows, kv_heads, width, -1)


AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, sdpa_mask)

"""Attention over a prefix that all rows share and none copies.

The keys and values of the prefix are computed once and stay of batch size one: every
row attends to them through one matrix product per key-value head, then to its own part
(question and answer so far). The prefix travels to the layers as a keyword of
`model(...)`; no state is kept here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

NAME = "tmap_shared_prefix"


@dataclass(frozen=True)
class Prefix:
    """Keys and values of a prefix by layer, (key-value heads, length, head size)."""

    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    length: int


def attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    shared_prefix: Prefix | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend to the shared prefix and the own suffix; without a prefix, plain SDPA.

    Parameters
    ----------
    query : (rows, heads, T, size)
    key, value : (rows, key-value heads, S, size), the suffix so far
    attention_mask : (rows, 1, T, S) bool, True where a suffix key is visible
    shared_prefix : seen in full by every query

    Returns
    -------
    (rows, T, heads, size), None

    Raises
    ------
    NotImplementedError
        For terms that change the scores otherwise (soft caps, sinks, biases).
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
    groups = heads // kv_heads
    query = query * (size**-0.5 if scaling is None else scaling)
    query = query.view(rows, kv_heads, groups, width, size)
    own = torch.bmm(
        query.reshape(rows * kv_heads, groups * width, size),
        key.reshape(rows * kv_heads, length, size).transpose(1, 2),
    ).view(rows, kv_heads, groups, width, length)
    own = own.masked_fill(~attention_mask[:, :, None], torch.finfo(own.dtype).min)
    together = query.transpose(0, 1).reshape(kv_heads, rows * groups * width, size)
    scores = own.transpose(0, 1)
    if shared_prefix.length:
        prefix_keys = shared_prefix.keys[module.layer_idx].transpose(1, 2)
        shared = torch.bmm(together, prefix_keys)
        shared = shared.view(kv_heads, rows, groups, width, shared_prefix.length)
        scores = torch.cat([shared, scores], dim=-1)
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    out = _weighted(weights, value, shared_prefix, module.layer_idx)
    return out.reshape(rows, heads, width, size).transpose(1, 2).contiguous(), None


def _weighted(
    weights: torch.Tensor, value: torch.Tensor, prefix: Prefix, layer: int
) -> torch.Tensor:
    """(rows, kv heads, groups, T, size): values of prefix and suffix, weighted."""
    kv_heads, rows, groups, width, _ = weights.shape
    length, size = value.shape[2:]
    own = torch.bmm(
        weights[..., prefix.length :]
        .transpose(0, 1)
        .reshape(rows * kv_heads, groups * width, length),
        value.reshape(rows * kv_heads, length, size),
    ).view(rows, kv_heads, groups, width, size)
    if not prefix.length:
        return own
    shared = torch.bmm(
        weights[..., : prefix.length].reshape(kv_heads, -1, prefix.length),
        prefix.values[layer],
    ).view(kv_heads, rows, groups, width, size)
    return own + shared.transpose(0, 1)


AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, sdpa_mask)

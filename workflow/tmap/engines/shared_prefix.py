"""Prefixes that are read once and never copied; rows that continue them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from tmap.engines.attention import NAME, Prefix
from tmap.engines.base import Ids
from tmap.engines.local import last_place

#: Attention scores held at once while questions are read, in elements.
MAX_SCORES = {"cpu": 2**23, "cuda": 2**28}


class SuffixLayer(DynamicLayer):
    """Keys and values of one layer in a buffer of fixed length: it never grows."""

    keys: Any
    values: Any

    def __init__(self, capacity: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.capacity, self.length = capacity, 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append; return what there is, (rows, key-value heads, S, size)."""
        if not self.is_initialized:
            rows, heads, _width, size = key_states.shape
            shape = (rows, heads, self.capacity, size)
            self.keys = key_states.new_empty(shape)
            self.values = value_states.new_empty(shape)
            self.is_initialized = True
        end = self.length + key_states.shape[2]
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_seq_length(self) -> int:
        return self.length


class SharedRows:
    """Rows that continue one prefix, padded on the left of their own part.

    Parameters
    ----------
    model : causal language model whose attention is `NAME`
    prefix : what all rows continue
    pads : (rows,) how many of a row's first tokens are padding
    capacity : tokens that a row may have after the prefix, padding included
    """

    def __init__(
        self, model: Any, prefix: Prefix, pads: torch.Tensor, capacity: int
    ) -> None:
        self.model, self.prefix, self.pads = model, prefix, pads
        self.cache: Any = DynamicCache(config=model.config)
        self.cache.layers = [SuffixLayer(capacity) for _ in self.cache.layers]
        self.last_place = last_place(model)
        columns = torch.arange(capacity, device=pads.device)
        self.visible = (columns >= pads[:, None])[:, None, None]

    def run(self, module: Any, ids: torch.Tensor, **options: Any) -> Any:
        """Append `ids`, (rows, T), and return the output of `module` over them."""
        start = self.cache.get_seq_length()
        end = start + ids.shape[1]
        columns = torch.arange(start, end, device=ids.device)
        past = torch.arange(end, device=ids.device) <= columns[:, None]
        places = (columns - self.pads[:, None]).clamp(min=0) + self.prefix.length
        places = places.clamp(max=self.last_place)  # ended rows may run on meanwhile
        return module(
            input_ids=ids,
            attention_mask=self.visible[..., :end] & past,
            position_ids=places,
            past_key_values=self.cache,
            use_cache=True,
            shared_prefix=self.prefix,
            **options,
        )

    def step(self, ids: torch.Tensor) -> torch.Tensor:
        """Append `ids`, (rows, T); logits of the token after the last, (rows, V)."""
        logits: torch.Tensor = self.run(self.model, ids, logits_to_keep=1).logits[:, -1]
        return logits

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows (indices) only."""
        self.cache.batch_select_indices(rows)
        self.pads, self.visible = self.pads[rows], self.visible[rows]

    def join(self, other: SharedRows) -> None:
        """Take in the rows of another, which has read as many tokens."""
        for mine, theirs in zip(self.cache.layers, other.cache.layers, strict=True):
            mine.keys = torch.cat([mine.keys, theirs.keys])
            mine.values = torch.cat([mine.values, theirs.values])
        self.pads = torch.cat([self.pads, other.pads])
        self.visible = torch.cat([self.visible, other.visible])


class SharedPrefixes:
    """Prefixes that are never copied: for models whose layers all attend to all.

    Parameters
    ----------
    model : causal language model; its attention implementation is set to `NAME`
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.usual = model.config._attn_implementation
        model.set_attn_implementation(NAME)

    def release(self) -> None:
        """Give the model its own attention back."""
        self.model.set_attn_implementation(self.usual)

    @staticmethod
    def refusal(model: Any) -> str | None:
        """Why this model needs another way; None if it does not."""
        layers = DynamicCache(config=model.config).layers
        if any(type(layer) is not DynamicLayer for layer in layers):
            return "its layers do not all attend to the whole text"
        if not model._can_set_attn_implementation():
            return "its attention cannot be replaced"
        config = model.config.get_text_config(decoder=True)
        if getattr(config, "attn_logit_softcapping", None):
            return "it caps attention scores"
        return None

    def agrees(self) -> bool:
        """Whether a short text read in two parts gives what the model gives in one."""
        config = self.model.config.get_text_config(decoder=True)
        ids = [i % config.vocab_size for i in range(12)]
        rows = torch.tensor([ids], device=self.model.device)
        self.release()
        whole = self.model.base_model(input_ids=rows).last_hidden_state[0].float()
        self.model.set_attn_implementation(NAME)
        try:
            parts = self.hidden(self.prefill(ids[:8]), [ids[8:], ids[8:10]]).float()
        except (NotImplementedError, TypeError, ValueError):
            return False
        ours = torch.cat([parts[0], parts[1, -2:]])
        theirs = torch.cat([whole[8:], whole[8:10]])
        tolerance = 1e-3 if self.model.dtype == torch.float32 else 0.1
        return bool((ours - theirs).norm() < tolerance * theirs.norm())

    def batches(self, lengths: Sequence[int], size: int) -> list[list[int]]:
        """Indices in batches of `size`, neighbours of similar length, longest first."""
        order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
        return [order[i : i + size] for i in range(0, len(order), size)]

    def prefill(self, ids: Ids) -> Prefix:
        """Read a prefix once."""
        if not ids:
            return Prefix([], [], 0)
        cache: Any = DynamicCache(config=self.model.config)
        rows = torch.tensor([list(ids)], device=self.model.device)
        self.model.base_model(input_ids=rows, past_key_values=cache, use_cache=True)
        keys = [layer.keys[0].contiguous() for layer in cache.layers]
        values = [layer.values[0].contiguous() for layer in cache.layers]
        return Prefix(keys, values, len(ids))

    def start(
        self, prefix: Any, stretches: Sequence[Ids], room: int
    ) -> tuple[SharedRows, torch.Tensor]:
        """Read the rows' own parts; (rows, logits of the first new tokens)."""
        ids, pads = self._pad(stretches)
        capacity = ids.shape[1] + room
        started = []
        for part in self._parts(prefix, ids):
            rows = SharedRows(self.model, prefix, pads[part], capacity)
            started.append((rows, rows.step(ids[part])))
        whole = started[0][0]
        for rows, _ in started[1:]:
            whole.join(rows)
        return whole, torch.cat([logits for _, logits in started])

    def hidden(self, prefix: Any, stretches: Sequence[Ids]) -> torch.Tensor:
        """Last hidden states, (rows, T, d), each row's at the right end."""
        ids, pads = self._pad(stretches)
        found = []
        for part in self._parts(prefix, ids):
            rows = SharedRows(self.model, prefix, pads[part], ids.shape[1])
            found.append(rows.run(self.model.base_model, ids[part]).last_hidden_state)
        return torch.cat(found)

    def _pad(self, stretches: Sequence[Ids]) -> tuple[torch.Tensor, torch.Tensor]:
        width = max(map(len, stretches))
        pads = [width - len(stretch) for stretch in stretches]
        ids = [[0] * n + list(s) for n, s in zip(pads, stretches, strict=True)]
        device = self.model.device
        return torch.tensor(ids, device=device), torch.tensor(pads, device=device)

    def _parts(self, prefix: Prefix, ids: torch.Tensor) -> list[slice]:
        """Rows that are read together, so that their scores fit in memory."""
        config = self.model.config.get_text_config(decoder=True)
        n, width = ids.shape
        per_row = config.num_attention_heads * width * (prefix.length + width)
        most = max(1, MAX_SCORES.get(ids.device.type, 2**23) // per_row)
        return [slice(i, min(i + most, n)) for i in range(0, n, most)]

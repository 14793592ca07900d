"""Prefixes that are read once and never copied, and rows that continue them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from tmap.engines.attention import NAME, Prefixes, Shared
from tmap.engines.base import Ids
from tmap.engines.local import last_place

#: Most attention scores in memory while questions are read, in elements.
MAX_SCORES = {"cpu": 2**21, "cuda": 2**28}
#: A row of a batch: number of its prefix, and the ids that continue it.
Row = tuple[int, Ids]


@dataclass
class Seats:
    """Positions of a batch's rows in their buffers: one object for all layers.

    Layers refer to this object, not to the rows, which refer to the layers: a reference
    cycle would keep the buffers until the garbage collector runs.

    Attributes
    ----------
    n : rows still in the batch
    capacity : columns of the buffers
    width : columns in use
    ends : (n,) column in which a row's next token is stored
    part : rows that are reading their questions
    """

    n: int
    capacity: int
    width: int
    ends: torch.Tensor
    part: slice | None = None


class SuffixLayer(DynamicLayer):
    """Keys and values of one layer: each row fills a fixed buffer from the left."""

    keys: Any
    values: Any

    def __init__(self, seats: Seats) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seats = seats

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store; return the states that rows now attend to, (rows, kv heads, S, size)."""
        seats = self.seats
        if not self.is_initialized:
            heads, size = key_states.shape[1], key_states.shape[3]
            shape = (seats.n, heads, seats.capacity, size)
            self.keys = key_states.new_zeros(shape)
            self.values = value_states.new_zeros(shape)
            self.is_initialized = True
        if seats.part is not None:  # these read their questions
            width = key_states.shape[2]
            self.keys[seats.part, :, :width] = key_states
            self.values[seats.part, :, :width] = value_states
            return key_states, value_states
        ends = seats.ends.to(key_states.device)  # layers may be on several GPUs
        index = torch.arange(seats.n, device=ends.device)
        self.keys[index, :, ends] = key_states[:, :, 0]
        self.values[index, :, ends] = value_states[:, :, 0]
        n, width = seats.n, seats.width
        return self.keys[:n, :, :width], self.values[:n, :, :width]

    def get_seq_length(self) -> int:
        return 0  # places and masks are given


class SharedRows:
    """Rows that continue prefixes, each with a question and a growing answer.

    Parameters
    ----------
    model : causal language model whose attention is `NAME`
    prefixes : the prefixes that rows continue
    rows : (number of the prefix, question), longest questions first
    room : most tokens of an answer
    """

    def __init__(
        self, model: Any, prefixes: Prefixes, rows: Sequence[Row], room: int
    ) -> None:
        self.model, self.prefixes, self.rows = model, prefixes, rows
        self.groups = [group for group, _ in rows]
        lengths = [len(ids) for _, ids in rows]
        width = max(lengths)
        ends = torch.tensor(lengths, device=model.device)
        self.seats = Seats(len(rows), width + room, width, ends)
        self.cache: Any = DynamicCache(config=model.config)
        self.cache.layers = [SuffixLayer(self.seats) for _ in self.cache.layers]
        self.last_place = last_place(model)

    def read(self) -> torch.Tensor:
        """Read the questions; return hidden states of their last tokens, (rows, d)."""
        found = []
        for part in parts(self.model, self.prefixes, self.rows):
            self.seats.part = part
            states = read(self.model, self.prefixes, self.rows[part], self.cache)
            last = self.seats.ends[part].to(states.device) - 1
            found.append(states[torch.arange(len(states), device=last.device), last])
        self.seats.part = None
        self._settle()
        return torch.cat(found)

    def step(self, ids: torch.Tensor) -> torch.Tensor:
        """Append `ids`, (rows, 1); return their hidden states, (rows, d)."""
        seats = self.seats
        seats.width = min(seats.width + 1, seats.capacity)
        columns = torch.arange(seats.width, device=ids.device)
        places = self.starts + seats.ends
        states: torch.Tensor = self.model.base_model(
            input_ids=ids,
            attention_mask=(columns <= seats.ends[:, None])[:, None, None],
            position_ids=places.clamp(max=self.last_place)[:, None],
            past_key_values=self.cache,
            use_cache=True,
            shared_prefix=self.shared,
        ).last_hidden_state[:, -1]
        # Ended rows may continue for a while: they stay within the buffer.
        seats.ends = (seats.ends + 1).clamp(max=seats.capacity - 1)
        return states

    def keep(self, rows: Sequence[int]) -> None:
        """Continue with these rows only, in this order; few of them should move."""
        seats = self.seats
        seats.n = len(rows)
        moves = [(old, new) for new, old in enumerate(rows) if old != new]
        if moves:
            old, new = (torch.tensor(x) for x in zip(*moves, strict=True))
            for layer in self.cache.layers:
                layer.keys[new, :, : seats.width] = layer.keys[old, :, : seats.width]
                layer.values[new, :, : seats.width] = layer.values[
                    old, :, : seats.width
                ]
        seats.ends = seats.ends[torch.tensor(rows, device=seats.ends.device)]
        self.groups = [self.groups[row] for row in rows]
        self._settle()

    def _settle(self) -> None:
        """Update everything that depends on the rows in the batch."""
        self.shared = Shared.of(self.prefixes, self.groups)
        device = self.seats.ends.device
        self.starts = self.prefixes.lengths[torch.tensor(self.groups, device=device)]


class SharedPrefixes:
    """Prefixes that are never copied, for models whose layers all have full attention.

    Parameters
    ----------
    model : causal language model; its attention implementation is set to `NAME`
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.usual = model.config._attn_implementation
        model.set_attn_implementation(NAME)

    def release(self) -> None:
        """Restore the model's own attention."""
        self.model.set_attn_implementation(self.usual)

    @staticmethod
    def refusal(model: Any) -> str | None:
        """The reason why this model cannot share prefixes; None if it can."""
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
        """Whether short texts read in two parts give the same result as in one."""
        size = self.model.config.get_text_config(decoder=True).vocab_size
        ids = [i % size for i in range(12)]
        rows = torch.tensor([ids], device=self.model.device)
        self.release()
        whole = self.model.base_model(input_ids=rows).last_hidden_state[0].float()
        self.model.set_attn_implementation(NAME)
        try:
            read = self.prefill([ids[:8], ids[:3]])
            found = self.hidden(read, [(0, ids[8:]), (1, ids[3:]), (0, ids[8:10])])
        except (NotImplementedError, TypeError, ValueError):
            return False
        ours = torch.cat(found).float()
        theirs = torch.cat([whole[8:], whole[3:], whole[8:10]])
        tolerance = 1e-3 if self.model.dtype == torch.float32 else 0.1
        return bool((ours - theirs).norm() < tolerance * theirs.norm())

    @staticmethod
    def at_once(n_questions: int, size: int) -> int:
        """Number of prefixes kept in memory together: whole groups if `size` allows."""
        return max(1, size // max(1, n_questions))

    @staticmethod
    def batches(
        groups: Sequence[int], lengths: Sequence[int], size: int
    ) -> list[list[tuple[int, int]]]:
        """(prefix, question) in batches of at most `size`, longest questions first."""
        order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
        pairs = [(group, i) for i in order for group in groups]
        return [pairs[i : i + size] for i in range(0, len(pairs), size)]

    def prefill(self, prefixes: Sequence[Ids]) -> Prefixes:
        """Read every prefix once."""
        caches = []
        for ids in prefixes:
            cache: Any = DynamicCache(config=self.model.config)
            rows = torch.tensor([list(ids) or [0]], device=self.model.device)
            self.model.base_model(input_ids=rows, past_key_values=cache, use_cache=True)
            if not ids:
                cache.crop(-1)
            caches.append(cache)
        return Prefixes.stack(caches, [len(ids) for ids in prefixes])

    def start(
        self, prefixes: Any, rows: Sequence[Row], room: int
    ) -> tuple[SharedRows, torch.Tensor]:
        """Read the rows' own parts; return rows and hidden states of the last tokens."""
        started = SharedRows(self.model, prefixes, rows, room)
        return started, started.read()

    def hidden(self, prefixes: Any, rows: Sequence[Row]) -> list[torch.Tensor]:
        """Last hidden states of each row's own part, (T, d)."""
        found: list[torch.Tensor] = []
        for part in parts(self.model, prefixes, rows):
            states = read(self.model, prefixes, rows[part])
            its = zip(states, rows[part], strict=True)
            found += [state[: len(ids)] for state, (_, ids) in its]
        return found


def read(
    model: Any, prefixes: Prefixes, rows: Sequence[Row], cache: Any = None
) -> torch.Tensor:
    """Last hidden states of the rows' own parts, (rows, T, d), padded on the right."""
    width = max(len(ids) for _, ids in rows)
    device = model.device
    ids = [[*ids, *[0] * (width - len(ids))] for _, ids in rows]
    groups = [group for group, _ in rows]
    columns = torch.arange(width, device=device)
    starts = prefixes.lengths[torch.tensor(groups, device=device)]
    places = (starts[:, None] + columns).clamp(max=last_place(model))
    found: torch.Tensor = model.base_model(
        input_ids=torch.tensor(ids, device=device),
        attention_mask=(columns <= columns[:, None])[None, None],
        position_ids=places,
        past_key_values=cache,
        use_cache=cache is not None,
        shared_prefix=Shared.of(prefixes, groups),
    ).last_hidden_state
    return found


def parts(model: Any, prefixes: Prefixes, rows: Sequence[Row]) -> Iterator[slice]:
    """Rows that are read together, so that their scores fit in memory.

    Scores are a table (see `Shared`) with a line for each prefix from the first to the
    last that the rows continue; all lines are as long as the longest.
    """
    heads = model.config.get_text_config(decoder=True).num_attention_heads
    most = MAX_SCORES.get(model.device.type, 2**21)
    start = 0
    while start < len(rows):
        width, seats = 0, Counter[int]()
        end = start
        while end < len(rows):
            group, ids = rows[end]
            width = max(width, len(ids))
            seats[group] += 1
            table = (max(seats) - min(seats) + 1) * max(seats.values())
            scores = heads * width * (prefixes.length + width) * table
            if end > start and scores > most:
                break
            end += 1
        yield slice(start, end)
        start = end

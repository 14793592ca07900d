"""Rows of a batch as tensors: padded, or packed behind the beginning that they share.

Rows of a chat begin alike, with the template's system message, and have different lengths.
Packed, the common beginning is computed once and no padding is::

    padded    S S S a a a . . .        packed    S S S a a a b b b b b b c
              S S S b b b b b b
              S S S c . . . . .

A row's token sees the beginning and its own row, and has the place that it has in its row.
So each token is computed from what it was computed from, and only rounding differs.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from tmap.training.rows import IGNORED, MOST_PACKED, Row

logger = logging.getLogger(__name__)
#: Settings of models with layers that see so many tokens back only.
WINDOWS = ("sliding_window", "attention_chunk_size")
#: Kinds of layers that obey a mask of pairs. Convolutions leak a little into the next row.
ATTENTION = {"full_attention", "sliding_attention", "chunked_attention"}
#: Micro-batches among which one is looked for that shows whether a model takes packed rows.
TRIED = 16
#: How models say that they do not take a keyword, a mask of pairs or a list of places.
REFUSALS = (
    TypeError,
    ValueError,
    RuntimeError,
    LookupError,
    AttributeError,
    AssertionError,
)
#: Largest mean difference of a token's loss from that of a row read alone, nats.
ROUNDING = {torch.float32: 1e-3, torch.bfloat16: 0.05, torch.float16: 0.05}


def padded(
    rows: Sequence[Row], device: Any
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, mask and labels, (n_rows, longest), padded on the right."""
    width = max(len(row.input_ids) for row in rows)
    shape = (len(rows), width)
    ids = torch.zeros(shape, dtype=torch.long)
    mask = torch.zeros(shape, dtype=torch.long)
    labels = torch.full(shape, IGNORED, dtype=torch.long)
    for at, row in enumerate(rows):
        n = len(row.input_ids)
        ids[at, :n] = torch.tensor(row.input_ids)
        labels[at, :n] = torch.tensor(row.labels)
        mask[at, :n] = 1
    return ids.to(device), mask.to(device), labels.to(device)


class Packed(NamedTuple):
    """Rows in one sequence of T tokens, of which n are learned.

    Attributes
    ----------
    ids, places : (1, T) token ids, and their places in their own rows
    sees : (1, 1, T, T) bool, whether token i attends to token j
    sources, golds : (n,) positions before each learned token, and its id
    """

    ids: torch.Tensor
    places: torch.Tensor
    sees: torch.Tensor
    sources: torch.Tensor
    golds: torch.Tensor

    def asked(self) -> dict[str, torch.Tensor]:
        """As keywords of a model."""
        asked = {"input_ids": self.ids, "position_ids": self.places}
        return {**asked, "attention_mask": self.sees}


def packed(rows: Sequence[Row], device: Any) -> Packed:
    """Rows one after another behind their common beginning."""
    n = common(rows)
    ids, places, owner = list(rows[0].input_ids[:n]), list(range(n)), [-1] * n
    sources, golds = [], []
    for number, row in enumerate(rows):
        offset = len(ids) - n
        for at in range(n + 1, len(row.input_ids)):
            if row.labels[at] != IGNORED:
                sources.append(offset + at - 1)
                golds.append(row.labels[at])
        ids += row.input_ids[n:]
        places += range(n, len(row.input_ids))
        owner += [number] * (len(row.input_ids) - n)
    of = torch.tensor(owner)
    alike = (of[:, None] == of[None]) | (of[None] == -1)
    sees = (alike & torch.ones_like(alike).tril())[None, None]
    parts = (torch.tensor([ids]), torch.tensor([places]), sees)
    learned = (torch.tensor(sources), torch.tensor(golds))
    return Packed(*(part.to(device) for part in (*parts, *learned)))


def common(rows: Sequence[Row]) -> int:
    """Tokens that all rows begin with.

    None of them is learned, nor is the next: each learned token follows one of its row.
    """
    ends = []
    for row in rows:
        learned = (at for at, label in enumerate(row.labels[1:]) if label != IGNORED)
        ends.append(min(next(learned, len(row.labels)), len(row.labels) - 1))
    n = min(ends)
    for at in range(n):
        if len({row.input_ids[at] for row in rows}) > 1:
            return at
    return n


def is_cheaper_packed(rows: Sequence[Row], hidden: int) -> bool:
    """Whether a model computes less for packed rows.

    A layer multiplies about 12 h^2 numbers for a token and 2 h for a pair of tokens, so one
    token costs as much as 6 h pairs. Packed, every token is compared with all others.

    Parameters
    ----------
    hidden : h, the model's width
    """
    lengths = [len(row.input_ids) for row in rows]
    total, wide = packed_size(rows), len(rows) * max(lengths)
    pairs = wide * max(lengths) - total * total
    return total <= MOST_PACKED and wide - total + pairs / (6 * hidden) > 0


def packed_size(rows: Sequence[Row]) -> int:
    """T of packed rows."""
    n = common(rows)
    return n + sum(len(row.input_ids) - n for row in rows)


class Batches:
    """Micro-batches as a model takes them: packed where that is cheaper, else padded.

    Packed only if the model computes the same from packed rows, which `check` finds out.
    Layers that are not attention, or count places in a way of their own, fail it.
    It is also the collator of transformers' trainer.

    Parameters
    ----------
    config : the model's

    Attributes
    ----------
    takes : whether the model takes packed rows; None before `check`
    """

    def __init__(self, config: Any) -> None:
        text = config.get_text_config(decoder=True)
        self.hidden = getattr(text, "hidden_size", 0)
        limits = (getattr(text, name, None) for name in WINDOWS)
        self.longest = min((limit for limit in limits if limit), default=MOST_PACKED)
        if set(getattr(text, "layer_types", None) or ()) - ATTENTION:
            self.longest = 0
        self.takes: bool | None = None

    @classmethod
    def of(cls, model: Any, rows: Sequence[Row], size: int) -> Batches:
        """For a training on `rows`, `size` at a time.

        Of a few micro-batches of them, the largest that would be packed is the check.
        """
        found = cls(model.config)
        parts = [
            rows[i : i + size] for i in range(0, min(len(rows), TRIED * size), size)
        ]
        fit = [part for part in parts if found.would_pack(part)]
        if fit:
            found.check(model, max(fit, key=packed_size))
        return found

    def would_pack(self, rows: Sequence[Row]) -> bool:
        """Whether these rows are cheaper packed, and not too long for it."""
        longest = max(len(row.input_ids) for row in rows)
        return bool(
            self.hidden
            and longest <= self.longest
            and is_cheaper_packed(rows, self.hidden)
        )

    def packs(self, rows: Sequence[Row]) -> bool:
        """Whether these rows are packed."""
        return self.takes is True and self.would_pack(rows)

    def check(self, model: Any, rows: Sequence[Row]) -> None:
        """Compare the losses of packed rows with those of each row alone."""
        was_training = model.training
        model.eval()
        try:
            with torch.no_grad():
                apart = _apart(model, rows)
        except REFUSALS as fault:
            logger.info("this model does not take packed rows: %s", fault)
            apart = math.inf
        finally:
            model.train(was_training)
        self.takes = apart <= ROUNDING.get(model.dtype, 0.0)
        logger.debug("packed rows: losses differ by %.1e nats", apart)

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """What the trainer calls the model with, from rows as features."""
        parts = [Row(row["input_ids"], row["labels"]) for row in rows]
        if not self.packs(parts):
            ids, mask, labels = padded(parts, "cpu")
            return {"input_ids": ids, "attention_mask": mask, "labels": labels}
        found = packed(parts, "cpu")
        labels = torch.full_like(found.ids, IGNORED)
        labels[0, found.sources + 1] = found.golds
        return {**found.asked(), "labels": labels}


def _apart(model: Any, rows: Sequence[Row]) -> float:
    """Mean difference of a token's loss between packed rows and single ones, nats."""
    part = packed(rows, model.device)
    # The first and last token of each row are enough, and a vocabulary is wide.
    few = torch.tensor(_ends(rows), device=model.device)
    asked = {**part.asked(), "logits_to_keep": part.sources[few]}
    together = _nll(model(**asked, use_cache=False).logits[0], part.golds[few])
    alone = torch.cat([_alone(model, row) for row in rows])
    return float((together - alone).abs().mean())


def _ends(rows: Sequence[Row]) -> list[int]:
    """Of all learned tokens, the places of the first and last of each row."""
    found, start = [], 0
    for row in rows:
        found += [start, start + row.n_loss_tokens - 1]
        start += row.n_loss_tokens
    return found


def _alone(model: Any, row: Row) -> torch.Tensor:
    """(2,) loss of a row's first and last learned token, nats."""
    ids = torch.tensor([row.input_ids], device=model.device)
    logits = model(input_ids=ids, use_cache=False).logits[0, :-1]
    labels = torch.tensor(row.labels[1:], device=model.device)
    learned = (labels != IGNORED).nonzero()[:, 0][[0, -1]]
    return _nll(logits[learned], labels[learned])


def _nll(logits: torch.Tensor, golds: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(logits.float(), golds, reduction="none")

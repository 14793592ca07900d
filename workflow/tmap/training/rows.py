"""Conversations as token ids and labels: exactly what the trainer sees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tmap.errors import TmapError
from tmap.prompts.conversation import Spoken
from tmap.prompts.renderer import Renderer

IGNORED = -100  # torch's label for a token that the loss ignores
WARN_ABOVE = 0.05
#: Most tokens of rows that are packed: memory for pairs of tokens grows with their square.
MOST_PACKED = 4096


class Row(NamedTuple):
    """Token ids of a conversation; labels are the same ids, or -100 if ignored."""

    input_ids: list[int]
    labels: list[int]

    @property
    def n_loss_tokens(self) -> int:
        """Tokens that the loss counts; never the first, which nothing precedes."""
        return sum(label != IGNORED for label in self.labels[1:])


@dataclass(frozen=True)
class TrainingRows:
    """Rows ready for the trainer, and counts of those cut or dropped.

    Attributes
    ----------
    rows : in the order given, without the dropped ones
    truncated : rows that were cut and still contain something to learn
    dropped : rows with nothing to learn within `max_length` tokens
    """

    rows: list[Row]
    truncated: int = 0
    dropped: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def n_tokens(self) -> int:
        return sum(len(row.input_ids) for row in self.rows)

    @property
    def n_loss_tokens(self) -> int:
        return sum(row.n_loss_tokens for row in self.rows)


def encode(
    renderer: Renderer, chats: Iterable[Sequence[Spoken]], max_length: int, key: str
) -> TrainingRows:
    """Render conversations with the loss on every assistant turn, and cut the long ones.

    Parameters
    ----------
    chats : conversations as `samples.turns_of` gives them
    max_length : largest number of tokens of a row; the end is cut off
    key : the setting that determines `max_length`, named in the warning

    Raises
    ------
    TmapError
        If no row is left.
    """
    rows, truncated, dropped = [], 0, 0
    for turns in chats:
        ids, counts = renderer.training(turns)
        labels = [i if n else IGNORED for i, n in zip(ids, counts, strict=True)]
        row = Row(ids[:max_length], labels[:max_length])
        if row.n_loss_tokens == 0:
            dropped += 1
            continue
        truncated += len(ids) > max_length
        rows.append(row)
    total = len(rows) + dropped
    if not rows:
        raise TmapError(
            f"None of the {total} training rows has an answer within {max_length} "
            f"tokens ({key}). At least one must. Raise {key}, or choose other samples."
        )
    warnings = _warnings(total, truncated, dropped, max_length, key)
    return TrainingRows(rows, truncated, dropped, warnings)


def _warnings(
    total: int, truncated: int, dropped: int, max_length: int, key: str
) -> list[str]:
    share = (truncated + dropped) / total
    if share <= WARN_ABOVE:
        return []
    return [
        f"{truncated + dropped} of {total} training rows ({share:.1%}) do not fit into "
        f"{max_length} tokens ({key}): {truncated} lost their end, {dropped} were "
        f"dropped because no answer was left."
    ]

"""Divide the measurements among several jobs.

All jobs put the requests in the same order and cut it into the same pieces; job k of n
measures the pieces k, k + n, k + 2n, ... A piece is measured as a whole, so its batches,
and therefore the bits, are those of a single job.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from tmap.errors import TmapError

T = TypeVar("T")


class Share(NamedTuple):
    """Job `shard`, from 0, of `of`."""

    shard: int = 0
    of: int = 1

    def take(self, pieces: Sequence[T]) -> list[T]:
        """The pieces of this job."""
        return list(pieces[self.shard :: self.of])


WHOLE = Share()


def parse(text: str) -> Share:
    """`2/8` is the third of eight."""
    shard, _, of = text.partition("/")
    if not (shard.isdigit() and of.isdigit() and int(shard) < int(of)):
        raise TmapError(
            f"'{text}' is not a share; write K/N with K from 0 to N - 1, such as 0/4."
        )
    return Share(int(shard), int(of))

"""Numbers and texts as short strings: compressed, then base64, as the page's script reads.

Numbers are written by bytes: first all first bytes, then all second ones, so that equal
exponents are next to each other and compress.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

#: Bits of a float's mantissa that are kept: about four significant digits.
MANTISSA = 13


def pack(data: bytes) -> str:
    """Deflated by zlib, in base64."""
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")


def unpack(text: str) -> bytes:
    """What `pack` was given."""
    return zlib.decompress(base64.b64decode(text))


def floats(values: np.ndarray) -> str:
    """(n,) floats, NaN included, rounded to `MANTISSA` bits; three bytes each."""
    with np.errstate(over="ignore"):
        bits = np.asarray(values, dtype=np.float32).view(np.uint32)
    known = np.isfinite(np.asarray(values, dtype=np.float32))
    half = np.uint32(1 << (22 - MANTISSA))
    rounded = (bits + half) & ~np.uint32((1 << (23 - MANTISSA)) - 1)
    rounded = np.where(known, rounded, np.uint32(0x7FC00000))
    planes = rounded.astype(">u4").view(np.uint8).reshape(-1, 4)[:, :3]
    return pack(planes.T.tobytes())


def integers(values: np.ndarray) -> str:
    """(n,) integers from 0 to 2**32 - 1; four bytes each."""
    planes = np.asarray(values).astype(">u4").view(np.uint8).reshape(-1, 4)
    return pack(planes.T.tobytes())


def bits(values: np.ndarray) -> str:
    """(n,) bool, eight to a byte, the first one lowest."""
    return pack(
        np.packbits(np.asarray(values, dtype=bool), bitorder="little").tobytes()
    )


def texts(values: Any) -> str:
    """Any JSON value."""
    return pack(json.dumps(values, separators=(",", ":")).encode("ascii"))


def cut(text: Any, most: int) -> str:
    """At most that many characters; says how many were cut."""
    text = str(text)
    if len(text) <= most:
        return text
    return f"{text[:most]} … ({len(text) - most:,} more characters)"


def until_full(values: Iterable[Any], room: int, chunk: int = 128) -> list[str]:
    """As many values, in their order, as fit `room` characters, in chunks of `chunk`.

    Each chunk is a list, as `texts` packs it. The first chunk that does not fit ends it.
    """
    found: list[str] = []
    part: list[Any] = []

    def fits(part: Sequence[Any]) -> bool:
        nonlocal room
        packed = texts(part)
        room -= len(packed)
        if room >= 0:
            found.append(packed)
        return room >= 0

    for value in values:
        part.append(value)
        if len(part) == chunk:
            if not fits(part):
                return found
            part = []
    if part:
        fits(part)
    return found

"""Bounds on what files of other people may grow to when they are read.

A few bytes can stand for gigabytes: in a compressed file, in a dictionary of Parquet, in
one line without an end.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

from tmap.errors import TmapError

#: Bytes of one line, one cell or one row; bytes of one JSON document.
LINE, DOCUMENT = 2**26, 2**31
#: A file may grow to so many times its size, and always to `FREE` bytes.
GROWTH, FREE = 200, 2**30
#: Bytes that a row counts for, however short it is.
ROW = 64
TOO_LONG = f"longer than {LINE // 2**20} MiB"
Text = TypeVar("Text", str, bytes)


def most(path: Path) -> int:
    """Bytes to which a file may grow."""
    return max(FREE, GROWTH * path.stat().st_size)


def grown(path: Path) -> TmapError:
    """The error for a file that grows beyond `most`."""
    return TmapError(
        f"'{path}' grows to more than {most(path):,} bytes when it is unpacked, which is "
        f"over {GROWTH} times its size. No real data do; check where it comes from, or "
        "unpack it and name the result."
    )


class Unpacked(io.RawIOBase):
    """The content of a compressed file, up to `most` bytes."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self._path = file, path
        self._left = most(path)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(min(len(buffer), 2**20))
        self._left -= len(data)
        if self._left < 0:
            raise grown(self._path)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def lines(file: Any, empty: Text) -> Iterator[tuple[Text, bool]]:
    """The lines of an open file, and whether each is too long; of such, only the start."""
    while (line := file.readline(LINE + 1)) != empty:
        is_long = len(line) > LINE
        rest = line
        while is_long and len(rest) > LINE and (rest := file.readline(LINE + 1)):
            pass
        yield line, is_long


def table_lines(text: io.TextIOWrapper, place: str) -> Iterator[str]:
    """The lines of a table of text; one that is too long is an error."""
    for line, is_long in lines(text, ""):
        if is_long:
            raise TmapError(
                f"'{place}' has a line {TOO_LONG}; a row must be shorter. Check "
                "how the file was written."
            )
        yield line


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is one of text."""
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def slices(batch: Any, most: int) -> Iterator[Any]:
    """Parts of a record batch of at most `most` rows, which take little memory."""
    import pyarrow as pa
    import pyarrow.compute as pc

    longest = 1
    for column in batch.columns:
        if pa.types.is_dictionary(column.type) and len(column.dictionary):
            lengths = pc.binary_length(column.dictionary)
            longest = max(longest, pc.max(lengths).as_py() or 1)
    step = max(1, min(most, LINE // longest))
    for start in range(0, len(batch), step):
        yield batch.slice(start, step)


def size(value: Any) -> int:
    """About the bytes of a row's texts, at least `ROW`."""
    return max(ROW, _size(value))


def _size(value: Any) -> int:
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_size(part) for part in value.values()) + ROW // 8 * len(value)
    if isinstance(value, (list, tuple)):
        return sum(map(_size, value)) + ROW // 8 * len(value)
    return ROW // 8

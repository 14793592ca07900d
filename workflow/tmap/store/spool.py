"""A list kept on disk, for data that grows with the pool and is read by index.

The file has no name, is in `TMPDIR`, and disappears with the process. Its pages are read,
not mapped, so they do not count as this process's memory.
"""

from __future__ import annotations

import errno
import os
import tempfile
import weakref
from array import array
from typing import IO

from tmap.errors import TmapError


class Spool:
    """Byte strings by number, in the order of arrival; 8 bytes of memory each."""

    def __init__(self) -> None:
        self._ends = array("q", [0])
        self._file: IO[bytes] | None = None
        self._written = True

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, data: bytes) -> int:
        """Append a byte string and return its number.

        Raises
        ------
        TmapError : the disk is full
        """
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="tmap-")
            weakref.finalize(self, self._file.close)
        try:
            self._file.write(data)
        except OSError as fault:
            raise _full(fault) from fault
        self._ends.append(self._ends[-1] + len(data))
        self._written = False
        return len(self) - 1

    def __getitem__(self, number: int) -> bytes:
        if not 0 <= number < len(self):
            raise IndexError(number)
        assert self._file is not None
        if not self._written:
            try:
                self._file.flush()
            except OSError as fault:
                raise _full(fault) from fault
            self._written = True
        start, end = self._ends[number], self._ends[number + 1]
        return os.pread(self._file.fileno(), end - start, start)


def _full(fault: OSError) -> Exception:
    if fault.errno not in (errno.ENOSPC, errno.EDQUOT):
        return fault
    return TmapError(
        f"'{tempfile.gettempdir()}' is full; jobs keep temporary data there, about as "
        "much as the pool has text. Set TMPDIR to a disk with enough space."
    )

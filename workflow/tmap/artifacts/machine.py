"""What the machine refuses, in words: a full disk, no permission, too many open files."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

#: Bytes that `refused` tries to write.
TRIAL = 2**20
_KEPT = "then run the same command again: finished work is kept"
#: What is wrong and what to do; {} is the file, or what stands for it.
WORDS = {
    errno.ENOSPC: f"No space is left on the disk of {{}}. Free some, {_KEPT}.",
    errno.EDQUOT: "The disk quota of {} is used up. Free some space or ask for more, "
    f"{_KEPT}.",
    errno.EROFS: "The file system of {} is read-only, so nothing can be written there. "
    "Mount it for writing, or work in another folder.",
    errno.EACCES: "There is no permission to use {}. Change its owner or mode (`ls -l` "
    "shows them), or work in another folder.",
    errno.EMFILE: "Too many files are open at once, so {} cannot be opened. Raise the "
    f"limit (`ulimit -n 65536`), {_KEPT}.",
    errno.EFBIG: "{} would be larger than a file may be here. Raise the limit (`ulimit "
    f"-f unlimited`) or use another file system, {_KEPT}.",
    errno.EIO: "The disk of {} reports an input/output error: its hardware or its "
    f"network connection fails. Have it repaired, {_KEPT}.",
    errno.ESTALE: "The network file system of {} lost the file. Wait until it is mounted "
    f"again, {_KEPT}.",
    errno.ENAMETOOLONG: "{} is too long for a path; one name has at most 255 bytes. Give "
    "a shorter one.",
    errno.ENOTDIR: "{} cannot exist, because a part of its path is a file and no folder. "
    "Give another path, or move that file.",
    errno.EISDIR: "{} is a folder, and a file is needed. Give the path of a file.",
    errno.ELOOP: "{} is a link that leads to itself. Remove it, or give another path.",
}
WORDS |= {
    errno.EPERM: WORDS[errno.EACCES],
    errno.ENFILE: WORDS[errno.EMFILE],
}
#: How other libraries write the number of an error.
_NUMBER = re.compile(r"(?:\(os error |\[Errno |errno: )(\d+)")
#: What they write in place of a number, where it can only mean the machine.
_NAMES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE)
#: torch's own writer reports no reason.
_TORCH = ("inline_container", "PytorchStreamWriter", "iostream error")


def sentence(fault: BaseException) -> str | None:
    """What the machine refused, if that is the reason for an error; else None.

    Parameters
    ----------
    fault : of any library; its causes are looked at, too
    """
    chain = list(_chain(fault))
    for one in chain:
        number = _number(one)
        if number in WORDS:
            name = getattr(one, "filename", None)
            return WORDS[number].format(_shown(name) if name else "this job's files")
    if any(word in str(one) for one in chain for word in _TORCH):
        return refused(Path("results") if Path("results").is_dir() else Path())
    return None


def refused(folder: Path) -> str | None:
    """Why no file can be written into a folder, after trying; None if one can."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=".tmp") as file:
            file.write(bytes(TRIAL))
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:
        words = WORDS.get(fault.errno or 0)
        return words.format(_shown(folder)) if words else None
    return None


def _shown(name: object) -> str:
    text = os.fsdecode(name) if isinstance(name, (str, bytes, Path)) else str(name)
    text = text if len(text) <= 200 else f"{text[:100]}...{text[-90:]}"
    return repr(text)


def _number(fault: BaseException) -> int | None:
    if isinstance(fault, OSError) and fault.errno is not None:
        return fault.errno
    text = str(fault)
    if found := _NUMBER.search(text):
        return int(found[1])
    return next((n for n in _NAMES if os.strerror(n) in text), None)


def _chain(fault: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    queue = [fault]
    while queue:
        one = queue.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        queue += [x for x in (one.__cause__, one.__context__) if x is not None]

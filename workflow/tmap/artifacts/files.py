"""Write a file completely or not at all, and read it as what it should be.

It is written next to its place, synced, and renamed; then the folder is synced, too, as a
rename is on disk only then. Readers turn any damage into one sentence.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tmap.artifacts.documents import DOCUMENTS
from tmap.artifacts.secrets import published
from tmap.errors import TmapError

#: The key of a document that has the digest of all others.
CHECKSUM = "checksum"


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block ends without error.

    The file behind a link is replaced, not the link.

    Raises
    ------
    TmapError
        `path` is a folder, a device, or something else that is not a file.
    """
    path = Path(path)
    if path.is_symlink():
        path = path.resolve()
    _check_place(path)
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Of what can be made again: `$XDG_CACHE_HOME/tmap`, else `~/.cache/tmap`."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "tmap"


def _check_place(path: Path) -> None:
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        what = "a folder" if path.is_dir() else "a device, a pipe or a socket"
        raise TmapError(
            f"'{path}' is {what}, which nothing may replace; an output must be a file. "
            "Give another path."
        )


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, on disk when this returns."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError:
        raise TmapError(
            f"'{folder}' is a file, and a folder is needed. Give another path, or move "
            "that file."
        ) from None
    except FileNotFoundError:  # as below /proc
        raise TmapError(
            f"The folder '{folder}' cannot be made: its file system takes none. Give "
            "another path."
        ) from None
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as fault:  # some network file systems sync no folders
        if fault.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` (UTF-8) atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically and without secrets; NaN is refused.

    A document that records what made it also gets the checksum of its content.
    """
    value = published(value)
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    about = origin_in(value)
    if about is not None:
        about[CHECKSUM] = checksum(json.loads(text))
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def origin_in(value: Any) -> dict[str, Any] | None:
    """The part of a document that records what made it; None if none does."""
    about = value.get("provenance", value) if isinstance(value, dict) else None
    return about if isinstance(about, dict) and "made" in about else None


def checksum(value: dict[str, Any]) -> str:
    """SHA-256 of a document without its checksum and `path`, 16 hex digits.

    The place where a machine keeps a model may be edited.
    """
    about = value.get("provenance")
    if isinstance(about, dict):
        about = {k: part for k, part in about.items() if k != CHECKSUM}
        value = {**value, "provenance": about}
    rest = {k: part for k, part in value.items() if k not in (CHECKSUM, "path")}
    text = json.dumps(rest, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_edited(value: dict[str, Any]) -> bool:
    """Whether a document has a checksum, and another content."""
    said = (origin_in(value) or {}).get(CHECKSUM)
    return said is not None and said != checksum(value)


def broken(path: str | Path, what: str, again: str | Path = "") -> TmapError:
    """The error for an artifact that cannot be used.

    Parameters
    ----------
    what : why, as the end of "FILE cannot be used: ..."
    again : the file to make again, if it is another one
    """
    what = " ".join(what.split())
    return TmapError(
        f"{path} cannot be used: {what if len(what) < 200 else what[:197] + '...'}. It "
        f"is damaged or another file. Delete it and make it again: snakemake "
        f"{again or path}."
    )


def missing(path: str | Path) -> TmapError:
    """The error for an artifact that is not there."""
    return TmapError(f"{path} does not exist. Build it: snakemake {path}")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    TmapError : it does not exist, or is no JSON
    """
    path = Path(path)
    if path.is_dir():
        raise broken(path, "it is a folder")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise missing(path) from None
    except RecursionError:
        raise broken(path, "it is nested too deeply") from None
    except ValueError as fault:
        raise broken(path, f"it is no JSON ({fault})") from None
    return value


def read_document(kind: str, path: str | Path) -> dict[str, Any]:
    """Read a JSON artifact; `kind` is one of `DOCUMENTS`.

    Raises
    ------
    TmapError
        It does not exist, is no JSON, has not the keys of its kind, or is not as tmap
        wrote it.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise broken(path, f"it is a JSON {type(value).__name__}, not an object")
    for key, (types, _) in DOCUMENTS[kind].items():
        if key not in value or not isinstance(value[key], types):
            state = "has another type" if key in value else "is missing"
            raise broken(path, f"its key `{key}` {state}, so it is no {kind} document")
    if is_edited(value):
        raise broken(path, "it was edited or damaged after tmap wrote it (checksum)")
    return value


def forget(folder: Path) -> None:
    """Remove what a job kept for its next attempt, and the folder above if it is empty."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()

"""What a file is by its first bytes, if its name says something else."""

from __future__ import annotations

from pathlib import Path

from tmap.errors import TmapError

POINTER = b"version https://git-lfs.github.com/spec/"
#: First bytes -> what such a file is, and the endings that it has.
PACKED = {
    b"\x1f\x8b": ("gzip", ".gz"),
    b"\x28\xb5\x2f\xfd": ("Zstandard", ".zst"),
    b"BZh": ("bzip2", ".bz2"),
    b"\xfd7zXZ\x00": ("xz", ".xz"),
}
TABLES = {
    b"PAR1": ("a Parquet file", ".parquet"),
    b"ARROW1": ("an Arrow file", ".arrow"),
}
ARCHIVE = b"PK\x03\x04"
PAGES = (b"<!doctype html", b"<html")
LINES = (".jsonl", ".ndjson")
HEAD = 1024


def is_pointer(path: Path) -> bool:
    """Whether a file only names what Git LFS keeps elsewhere."""
    return _head(path).startswith(POINTER)


def not_pulled(place: str) -> TmapError:
    """The error for such a file."""
    return TmapError(
        f"'{place}' is a pointer of Git LFS, without the file's content, which is needed. "
        "Run `git lfs pull` where it was cloned, or download the file itself."
    )


def check(path: Path, place: str, kind: str, packing: str) -> None:
    """Refuse a file whose first bytes and name disagree.

    Parameters
    ----------
    place : the file's name in messages
    kind, packing : what its name says: '.jsonl', '.gz'

    Raises
    ------
    TmapError
        It is a pointer, a page, an archive, a table or compressed data by another name, or
        one JSON document over several lines where each line must be an object.
    """
    head = _head(path)
    if head.startswith(POINTER):
        raise not_pulled(place)
    what = _other(head, kind, packing)
    if what is not None:
        raise TmapError(
            f"'{place}' is {what}, but its name ends in '{kind}{packing}', by which it is "
            "read. Give it the ending of what it is, or download it again."
        )
    first = head.partition(b"\n")[0].strip()
    if kind in LINES and not packing and first in (b"[", b"{"):
        raise TmapError(
            f"'{place}' has JSON over several lines, but a {kind} file has one object per "
            "line. Rename it to .json if it is one document; else write it again."
        )


def _other(head: bytes, kind: str, packing: str) -> str | None:
    """What the bytes say, if the name says something else."""
    for start, (name, ending) in PACKED.items():
        if head.startswith(start) and packing != ending:
            return f"compressed by {name}"
    if packing:
        return None
    for start, (what, ending) in TABLES.items():
        if head.startswith(start) and kind != ending:
            return what
    if head.startswith(ARCHIVE):
        return "an archive"
    return "a page of HTML" if head.lstrip().lower().startswith(PAGES) else None


def _head(path: Path) -> bytes:
    """The first bytes; none if it cannot be read, which its reader reports."""
    try:
        with open(path, "rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""

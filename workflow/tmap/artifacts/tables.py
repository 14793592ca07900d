"""Read and write every parquet artifact.

A wrong or missing column is an error here, not a KeyError three modules later. A file's
metadata records what made it: schema, code fingerprint, seed, package versions, and counts
of rows by status if rows have one. Every page has a checksum, which each reader compares,
and the file has one of all its pages, which `tmap status --verify` compares.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tmap.artifacts import machine
from tmap.artifacts.files import CHECKSUM, atomic, broken, missing
from tmap.artifacts.provenance import versions
from tmap.artifacts.schemas import SCHEMAS, Schema
from tmap.artifacts.secrets import published
from tmap.errors import TmapError, nearest, several

#: Rows of a row group, and of a batch, which is what a table read in parts has in memory.
ROW_GROUP, BATCH = 65_536, 8_192

#: Metadata keys of every table; the others are its own notes.
STANDARD = (
    *("schema", "schema_version", "code", "seed", "rows", "versions", "made"),
    CHECKSUM,
)
#: Bytes after the pages, besides the footer itself: its length, and "PAR1".
TAIL = 8
#: The footer's key of the checksum, next to "tmap", which has all other metadata.
SEAL = "tmap_checksum"


def _schema(kind: str) -> Schema:
    if kind not in SCHEMAS:
        raise KeyError(f"no table kind {kind!r}.{nearest(kind, SCHEMAS)}")
    return SCHEMAS[kind]


def write(
    kind: str,
    frame: pd.DataFrame,
    path: str | Path,
    *,
    code: str,
    seed: int | None = None,
    **notes: Any,
) -> None:
    """Write `frame` as table `kind`; `notes` go into the metadata, without secrets."""
    schema = _schema(kind)
    _check(kind, list(frame.columns), path)
    rows = {"total": len(frame)}
    if "status" in frame:
        rows |= {str(k): int(n) for k, n in frame["status"].value_counts().items()}
    about = {"schema": kind, "schema_version": schema.version, "code": code}
    about |= {"seed": seed, "rows": rows, "versions": versions(), **notes}
    table = pa.Table.from_pandas(
        frame[list(schema.columns)], schema=schema.arrow(), preserve_index=False
    )
    text = json.dumps(
        published(about), ensure_ascii=False, sort_keys=True, allow_nan=False
    )
    table = table.replace_schema_metadata({"tmap": text})
    with atomic(path) as temporary, open(temporary, "wb") as file:
        sink = _Hashing(file.write)
        with pq.ParquetWriter(
            pa.PythonFile(sink, mode="w"), table.schema, write_page_checksum=True
        ) as writer:
            writer.write_table(table, row_group_size=ROW_GROUP)
            digest = _digest(sink.digest, text.encode())
            writer.add_key_value_metadata({SEAL: digest})


class _Hashing:
    """A file that remembers the SHA-256 of what was written to it."""

    closed = False

    def __init__(self, write: Callable[[bytes], int]) -> None:
        self._write, self.digest = write, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self._write(data)
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def checksum(path: str | Path) -> str:
    """SHA-256 of a table's pages and metadata, 16 hex digits.

    `metadata(path)["checksum"]` is what it was when the file was written.
    """
    digest = hashlib.sha256()
    with _readable(path), open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - TAIL, 0))
        left = size - TAIL - int.from_bytes(file.read(4), "little")
        file.seek(0)
        while left > 0 and (data := file.read(min(left, 2**20))):
            digest.update(data)
            left -= len(data)
        about = (pq.read_metadata(path).metadata or {}).get(b"tmap", b"")
    return _digest(digest, about)


def _digest(pages: Any, about: bytes) -> str:
    """Of the digest of all pages and of the metadata; `pages` is not changed."""
    whole = pages.copy()
    whole.update(about)
    text: str = whole.hexdigest()[:16]
    return text


def read(kind: str, path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read table `kind`.

    Raises
    ------
    TmapError
        The file does not exist or is damaged, is another kind or version of table, or
        has other columns or types.
    """
    with _readable(path):
        return _arrow(kind, path, columns).to_pandas()


def column(kind: str, path: str | Path, name: str) -> pa.ChunkedArray:
    """One column of table `kind`, as Arrow has it; else as `read`."""
    with _readable(path):
        return _arrow(kind, path, [name])[name]


def _arrow(kind: str, path: str | Path, columns: list[str] | None) -> pa.Table:
    _check_kind(kind, path)
    table = pq.read_table(
        path, columns=columns, partitioning=None, page_checksum_verification=True
    )
    _check(kind, table.schema, path, columns)
    return table


def batches(kind: str, path: str | Path) -> Iterator[pd.DataFrame]:
    """Read table `kind`, `BATCH` rows at a time."""
    _check_kind(kind, path)
    # The buffer also keeps only a part of a row group's compressed texts in memory.
    with (
        _readable(path),
        pq.ParquetFile(
            path, buffer_size=2**20, page_checksum_verification=True
        ) as file,
    ):
        _check(kind, file.schema_arrow, path)
        for batch in file.iter_batches(BATCH):
            yield batch.to_pandas()


def rows(kind: str, path: str | Path, sample_ids: Collection[str]) -> pd.DataFrame:
    """The rows of table `kind` that have one of these ids, in the table's order."""
    wanted = set(sample_ids)
    found = [part[part["sample_id"].isin(wanted)] for part in batches(kind, path)]
    whole = pd.DataFrame(columns=list(_schema(kind).columns))
    return pd.concat(found, ignore_index=True) if found else whole


def _check_kind(kind: str, path: str | Path) -> None:
    schema = _schema(kind)
    about = metadata(path)
    if (about["schema"], about["schema_version"]) != (kind, schema.version):
        raise TmapError(
            f"{path} is table '{about['schema']}' version {about['schema_version']}, "
            f"but '{kind}' version {schema.version} is expected. "
            "Delete the file and build it again."
        )


def metadata(path: str | Path) -> dict[str, Any]:
    """The file's own metadata: schema, code, seed, rows, versions, notes."""
    with _readable(path):
        raw = pq.read_metadata(path).metadata or {}
    if b"tmap" not in raw:
        raise TmapError(
            f"{path} was not written by tmap: it has no 'tmap' metadata. "
            "Name the file that the workflow made, or build it again."
        )
    try:
        about: dict[str, Any] = json.loads(raw[b"tmap"])
        about["schema"], about["schema_version"]
    except (ValueError, RecursionError, LookupError, TypeError):
        raise broken(path, "its metadata cannot be read") from None
    if seal := raw.get(SEAL.encode()):
        about[CHECKSUM] = seal.decode("ascii", "replace")
    return about


@contextmanager
def _readable(path: str | Path) -> Iterator[None]:
    """Turn what pyarrow says of a missing or damaged file into one sentence."""
    if Path(path).is_dir():
        raise broken(path, "it is a folder")
    try:
        yield
    except FileNotFoundError:
        raise missing(path) from None
    except pa.ArrowMemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError) as fault:
        if words := machine.sentence(fault):
            raise TmapError(words) from None
        raise broken(path, f"it is no readable parquet file ({fault})") from None


def notes(path: str | Path) -> dict[str, Any]:
    """A table's own notes: its metadata without the keys that every table has."""
    return {k: value for k, value in metadata(path).items() if k not in STANDARD}


def _check(
    kind: str,
    got: pa.Schema | list[str],
    path: str | Path,
    asked: list[str] | None = None,
) -> None:
    """Compare columns, and their types if `got` has them."""
    want = asked if asked is not None else list(_schema(kind).columns)
    names = got.names if isinstance(got, pa.Schema) else got
    if set(want) != set(names):
        raise TmapError(
            f"Table '{kind}' for {path} must have columns {', '.join(want)}; "
            f"it has {several(names)}. Pass exactly these columns."
        )
    if not isinstance(got, pa.Schema):
        return
    for name in names:
        should = _schema(kind).columns[name][0]
        if got.field(name).type != should:
            raise broken(
                path, f"its column '{name}' is {got.field(name).type}, not {should}"
            )

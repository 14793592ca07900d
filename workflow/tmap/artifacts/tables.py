"""Read and write every parquet artifact.

A wrong or missing column is an error here, not a KeyError three modules later. A file's
metadata records what made it: schema, code fingerprint, seed, package versions, and counts
of rows by status if rows have one.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tmap.artifacts.files import atomic
from tmap.artifacts.provenance import versions
from tmap.artifacts.schemas import SCHEMAS, Schema
from tmap.artifacts.secrets import published
from tmap.errors import TmapError, nearest

#: Rows of a row group, and of a batch, which is what a table read in parts has in memory.
ROW_GROUP, BATCH = 65_536, 8_192

#: Metadata keys of every table; the others are its own notes.
STANDARD = ("schema", "schema_version", "code", "seed", "rows", "versions", "made")


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
    about = published(about)
    text = json.dumps(about, ensure_ascii=False, sort_keys=True, allow_nan=False)
    with atomic(path) as temporary:
        table = table.replace_schema_metadata({"tmap": text})
        pq.write_table(table, temporary, row_group_size=ROW_GROUP)


def read(kind: str, path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read table `kind`; refuse another kind, another version, missing columns."""
    _check_kind(kind, path)
    table = pq.read_table(path, columns=columns)
    _check(kind, table.column_names, path, columns)
    return table.to_pandas()


def batches(kind: str, path: str | Path) -> Iterator[pd.DataFrame]:
    """Read table `kind`, `BATCH` rows at a time."""
    _check_kind(kind, path)
    # The buffer also keeps only a part of a row group's compressed texts in memory.
    with pq.ParquetFile(path, buffer_size=2**20) as file:
        _check(kind, file.schema_arrow.names, path)
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
    try:
        raw = pq.read_schema(path).metadata or {}
    except FileNotFoundError:
        raise TmapError(f"{path} does not exist. Build it: snakemake {path}") from None
    except pa.ArrowInvalid as fault:
        raise TmapError(
            f"{path} is not a readable parquet file ({fault}). "
            "Delete it and build it again."
        ) from None
    if b"tmap" not in raw:
        raise TmapError(
            f"{path} was not written by tmap: it has no 'tmap' metadata. "
            "Name the file that the workflow made, or build it again."
        )
    about: dict[str, Any] = json.loads(raw[b"tmap"])
    return about


def notes(path: str | Path) -> dict[str, Any]:
    """A table's own notes: its metadata without the keys that every table has."""
    return {k: value for k, value in metadata(path).items() if k not in STANDARD}


def _check(
    kind: str, got: list[str], path: str | Path, asked: list[str] | None = None
) -> None:
    want = asked if asked is not None else list(_schema(kind).columns)
    if set(want) != set(got):
        raise TmapError(
            f"Table '{kind}' for {path} must have columns {', '.join(want)}; "
            f"it has {', '.join(got)}. Pass exactly these columns."
        )

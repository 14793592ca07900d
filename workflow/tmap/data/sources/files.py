"""Rows of one file: JSON Lines, JSON, Parquet, Arrow, CSV or TSV, perhaps compressed."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from tmap.data.sources import bounds, signatures
from tmap.errors import TmapError

BATCH = 1024
TOO_DEEP = "invalid JSON: nested too deeply"
PACKED = (".gz", ".zst", ".bz2", ".xz")
#: What else people name, for the message.
OTHER = {
    ".xlsx": "a spreadsheet",
    ".xls": "a spreadsheet",
    ".ods": "a spreadsheet",
    ".zip": "an archive",
    ".tar": "an archive",
    ".tgz": "an archive",
    ".7z": "an archive",
    ".pkl": "a Python pickle",
    ".pickle": "a Python pickle",
    ".npy": "a NumPy array",
    ".pt": "a file of torch",
    ".db": "a database",
    ".sqlite": "a database",
    ".yaml": "a YAML file",
    ".yml": "a YAML file",
    ".xml": "an XML file",
    ".txt": "plain text without columns",
    ".md": "plain text without columns",
}

#: Those of them that are often about the data, and hold none.
TEXTS = {".txt", ".md", ".xml", ".yaml", ".yml"}


class Row(NamedTuple):
    """One row: its position in the source from 0, and its value or why it has none."""

    number: int
    value: Any
    fault: str | None = None


def ending(name: str) -> tuple[str, str]:
    """What a file's name says of it: ('.jsonl', '.gz') for 'a.jsonl.gz'."""
    path = Path(name.lower())
    packing = path.suffix if path.suffix in PACKED else ""
    return Path(path.stem if packing else path.name).suffix, packing


def known(name: str) -> bool:
    """Whether a file of this name can be read."""
    kind, packing = ending(name)
    return kind in READERS and not (packing and kind in WHOLE)


def holds(name: str) -> bool:
    """Whether a file of this name holds rows in a form that is not read."""
    kind, packing = ending(name)
    return kind in OTHER.keys() - TEXTS or bool(packing and kind in WHOLE)


def reader(path: Path, place: str) -> Callable[[Path, str], Iterator[Row]]:
    """The function that reads the file `path`; messages call it `place`.

    Raises
    ------
    TmapError
        Its ending is not one of those that can be read, or it is something else.
    """
    kind, packing = ending(path.name)
    if known(path.name):
        signatures.check(path, place, kind, packing)
        return READERS[kind]
    if packing and kind in WHOLE:
        raise TmapError(
            f"'{place}' is a compressed '{kind}' file, which cannot be read: that format "
            "compresses its own columns. Decompress the file and name the result."
        )
    what = f"is {OTHER[kind]}" if kind in OTHER else f"ends in '{kind or packing}'"
    what = what if kind or packing else "has a name without an ending"
    raise TmapError(
        f"'{place}' {what}, which cannot be read. Known: {KNOWN}; convert the file."
    )


def checked(number: int, value: Any) -> Row:
    """Wrap a value as a row; half a surrogate pair is a fault (it is not UTF-8)."""
    try:
        _encode_all(value)
    except UnicodeEncodeError:
        return Row(number, None, "invalid text: half of a surrogate pair")
    except RecursionError:
        return Row(number, None, TOO_DEEP)
    return Row(number, value)


def _encode_all(value: Any) -> None:
    if isinstance(value, str):
        if not value.isascii():
            value.encode("utf-8")
    elif isinstance(value, dict):
        for pair in value.items():
            _encode_all(pair)
    elif isinstance(value, (list, tuple)):
        for part in value:
            _encode_all(part)


def _open(path: Path) -> IO[bytes]:
    packing = ending(path.name)[1]
    if packing == ".zst":
        import pyarrow as pa

        packed: Any = pa.input_stream(str(path), compression="zstd")
    elif packing == ".gz":
        packed = gzip.open(path, "rb")
    elif packing == ".bz2":
        packed = bz2.open(path, "rb")
    elif packing == ".xz":
        packed = lzma.open(path, "rb")
    else:
        return open(path, "rb")
    return io.BufferedReader(bounds.Unpacked(packed, path), 2**16)


def _unreadable(path: Path, place: str, fault: Exception) -> TmapError:
    packing = ending(path.name)[1]
    if packing and getattr(fault, "errno", None) is None:
        return TmapError(
            f"'{place}' is not a whole {packing} file ({fault}). Download it or write it "
            "again."
        )
    return TmapError(
        f"'{place}' cannot be read: {getattr(fault, 'strerror', None) or fault}. Fix its "
        "permissions, or write it again."
    )


_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)


def _jsonl(path: Path, place: str) -> Iterator[Row]:
    try:
        with _open(path) as handle:
            for number, (line, is_long) in enumerate(bounds.lines(handle, b"")):
                if number == 0:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if is_long:
                    yield Row(number, None, f"a line {bounds.TOO_LONG}")
                elif line.strip():
                    yield _parse(number, line)
    except _BROKEN as fault:
        raise _unreadable(path, place, fault) from None


def _parse(number: int, line: bytes) -> Row:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as fault:
        return Row(number, None, f"invalid JSON: not UTF-8 at byte {fault.start}")
    try:
        return checked(number, json.loads(text))
    except RecursionError:
        return Row(number, None, TOO_DEEP)
    except ValueError as fault:
        return Row(number, None, f"invalid JSON: {fault}")


def _json(path: Path, place: str) -> Iterator[Row]:
    try:
        with _open(path) as handle:
            data = handle.read(bounds.DOCUMENT + 1)
            if len(data) > bounds.DOCUMENT:
                raise TmapError(
                    f"'{place}' is one JSON document of more than "
                    f"{bounds.DOCUMENT // 2**30} GiB, which must be in memory at once. "
                    "Write one object per line, as .jsonl."
                )
            values = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as fault:
        raise TmapError(
            f"'{place}' is not one JSON document ({fault}). Fix it, or if it has one "
            "object per line, rename it to .jsonl."
        ) from None
    except _BROKEN as fault:
        raise _unreadable(path, place, fault) from None
    if isinstance(values, dict) and isinstance(values.get("data"), list):
        values = _under_data(values, place)
    if not isinstance(values, list):
        raise TmapError(
            f"'{place}' contains a JSON {type(values).__name__}, not a list of rows. "
            'Write a list of objects, or {"data": [...]}.'
        )
    for number, value in enumerate(values):
        yield checked(number, value)


def _under_data(values: dict[str, Any], place: str) -> list[Any]:
    """The rows under `data`, if they are the only ones."""
    others = [
        key
        for key, value in values.items()
        if key != "data" and isinstance(value, list) and any(map(_is_object, value))
    ]
    if others:
        raise TmapError(
            f"'{place}' has rows under 'data' and under {others[0]!r:.60}, and only those "
            "under 'data' would be read. Save the list that you mean as a file of its own."
        )
    return list(values["data"])


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _table(path: Path, place: str) -> Iterator[Row]:
    """Rows of a CSV or TSV file with a header; all values are text."""
    tabs = ending(path.name)[0] == ".tsv"
    limit = csv.field_size_limit(bounds.LINE)  # the whole process's: given back below
    try:
        with _open(path) as handle:
            text = io.TextIOWrapper(handle, encoding="utf-8-sig", newline="")
            parts = bounds.table_lines(text, place)
            lines = csv.reader(parts, delimiter="\t" if tabs else ",", strict=True)
            yield from _cells(lines, place)
    except UnicodeDecodeError as fault:
        raise TmapError(
            f"'{place}' is not UTF-8 (byte {fault.start} of a block). Save it as UTF-8."
        ) from None
    except csv.Error as fault:
        raise TmapError(
            f"'{place}' is not a readable table ({fault}). Write it again with a quote "
            "around every cell that has a quote, a comma or a line break."
        ) from None
    except _BROKEN as fault:
        raise _unreadable(path, place, fault) from None
    finally:
        csv.field_size_limit(limit)


def _cells(lines: Iterator[list[str]], place: str) -> Iterator[Row]:
    header = next(filter(None, lines), [])  # blank lines may come first
    other = [sign for sign in ";\t|" if len(header) == 1 and sign in header[0]]
    if other:
        raise TmapError(
            f"'{place}' seems to separate its columns by {other[0]!r}. A .csv file needs "
            "commas and a .tsv file tabs; save it again like that."
        )
    _refuse_twice(header, place)
    for number, cells in enumerate(lines):
        if len(cells) == len(header):
            yield checked(number, dict(zip(header, cells, strict=True)))
        elif cells:
            fault = f"{len(cells)} cells under {len(header)} columns"
            yield Row(number, None, f"broken line: {fault}")


def _parquet(path: Path, place: str) -> Iterator[Row]:
    import pyarrow.parquet as pq

    def batches() -> Iterator[Any]:
        with pq.ParquetFile(path) as file:
            names = [
                field.name for field in file.schema_arrow if bounds.is_text(field.type)
            ]
        # A text that is repeated stays in memory once.
        with pq.ParquetFile(path, read_dictionary=names) as file:
            for batch in file.iter_batches(batch_size=BATCH):
                yield from bounds.slices(batch, BATCH)

    left = bounds.most(path)
    for row in _batches(batches, place, "Parquet"):
        weight = bounds.size(row.value)
        left -= weight
        if left < 0:
            raise bounds.grown(path)
        is_long = weight > bounds.LINE
        yield Row(row.number, None, f"a row {bounds.TOO_LONG}") if is_long else row


def _arrow(path: Path, place: str) -> Iterator[Row]:
    """Rows of an Arrow file: a stream, as `datasets` writes it, or with a footer."""
    import pyarrow as pa

    def batches() -> Iterator[Any]:
        # Not mapped: a file that shrinks while it is read would kill the process.
        with pa.OSFile(str(path)) as file:
            try:
                opened = iter(pa.ipc.open_stream(file))
            except pa.ArrowInvalid:
                whole = pa.ipc.open_file(file)
                opened = map(whole.get_batch, range(whole.num_record_batches))
            for batch in opened:
                batch.validate(full=True)  # or wrong offsets lead out of the memory
                for start in range(0, len(batch), BATCH):
                    yield batch.slice(start, BATCH)

    return _batches(batches, place, "Arrow")


def _batches(
    batches: Callable[[], Iterator[Any]], place: str, kind: str
) -> Iterator[Row]:
    import pyarrow as pa

    number = 0
    try:
        for batch in batches():
            for value in _values(batch, place):
                yield checked(number, value)
                number += 1
    except (pa.ArrowException, OSError, UnicodeDecodeError) as fault:
        reason = " ".join(str(fault).split())
        raise TmapError(
            f"'{place}' is not a readable {kind} file ({reason}). Write it again."
        ) from None


def _values(batch: Any, place: str) -> Iterator[dict[str, Any]]:
    """The rows of a record batch; a map of Arrow is a mapping."""
    names = batch.schema.names
    _refuse_twice(names, place)
    cells = []
    for name, column in zip(names, batch.columns, strict=True):
        try:
            cells.append(column.to_pylist(maps_as_pydicts="strict"))
        except UnicodeDecodeError:
            raise
        except (ValueError, KeyError, OverflowError) as fault:
            reason = " ".join(str(fault).split())
            raise TmapError(
                f"'{place}' has a value under '{name}' that cannot be read ({reason}). "
                "Write it again without that column, or with text in its place."
            ) from None
    for row in range(len(batch)):
        yield {name: cell[row] for name, cell in zip(names, cells, strict=True)}


def _refuse_twice(names: list[str], place: str) -> None:
    """Refuse a table of which one column would hide another."""
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise TmapError(
            f"'{place}' has two columns '{min(twice)}'. Give each column its own name."
        )


READERS: dict[str, Callable[[Path, str], Iterator[Row]]] = {
    ".jsonl": _jsonl,
    ".json": _json,
    ".parquet": _parquet,
    ".csv": _table,
    ".tsv": _table,
    ".arrow": _arrow,
    ".ndjson": _jsonl,
}
#: Formats that are read from the middle, so not from a compressed file.
WHOLE = {".parquet", ".arrow"}
KNOWN = (
    f"{', '.join(READERS)}, all but .parquet and .arrow also with {', '.join(PACKED)}"
)

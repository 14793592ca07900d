"""Rows of a source: a file (JSON Lines, JSON, Parquet), the hub, a URL, a world."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tmap.cards.dataset import PoolSource, Source, WorldSource
from tmap.data import download, hub
from tmap.errors import TmapError

BATCH = 1024
TOO_DEEP = "invalid JSON: nested too deeply"


class Row(NamedTuple):
    """One row: its position in the source from 0, and its value or why it has none."""

    number: int
    value: Any
    fault: str | None = None


@dataclass(frozen=True)
class Table:
    """An opened source.

    Attributes
    ----------
    place : str
        Path, hub id or world as the card names it; a URL without user and query.
    revision : str or None
        Commit of a hub dataset, checksum of a download, seed of a world, None for a
        local file.
    licence : str
        As the card states it.
    """

    place: str
    revision: str | None
    licence: str
    rows: Callable[[], Iterator[Row]]

    def __iter__(self) -> Iterator[Row]:
        return self.rows()

    def about(self) -> dict[str, Any]:
        """The origin, as a table made from these rows records it."""
        return {
            "source": self.place,
            "revision": self.revision,
            "licence": self.licence,
        }


def open_source(source: Source) -> Table:
    """Open the one place that `source` names.

    Raises
    ------
    TmapError
        No such file, unknown suffix, a file that cannot be read at all, or a hub or
        network fault. A single broken JSON line is not an error: it is a Row with a
        fault.
    """
    if isinstance(source, WorldSource) and source.world:
        return _open_world(source, source.world)
    if source.hub:
        return _open_hub(source, source.hub)
    if source.url:
        path = download.fetch(source.url, source.sha256 or "")
        place, revision = source.place, source.sha256
    else:
        path, place, revision = Path(source.path or ""), str(source.path), None
        if not path.is_file():
            raise TmapError(
                f"No file '{place}'. Paths are relative to the working directory; "
                "fix `path:` in the card."
            )
    reader = _reader(path, place)
    return Table(place, revision, source.licence, lambda: reader(path, place))


def _open_world(source: WorldSource, world: str) -> Table:
    """Rows generated here; the revision is the seed, and the code has its fingerprint."""
    from tmap import worlds

    what: worlds.What = "pool" if isinstance(source, PoolSource) else "questions"

    def rows() -> Iterator[Row]:
        for number, value in enumerate(worlds.rows(world, what, source.seed)):
            yield Row(number, value)

    place = f"world {world}, {what} of seed {source.seed}"
    return Table(place, f"seed {source.seed}", "generated here", rows)


def _reader(path: Path, place: str) -> Callable[[Path, str], Iterator[Row]]:
    readers = {".jsonl": _jsonl, ".json": _json, ".parquet": _parquet}
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise TmapError(
            f"'{place}' ends in '{suffix}', which cannot be read. Known: "
            f"{', '.join(readers)}; convert the file."
        )
    return readers[suffix]


def _jsonl(path: Path, place: str) -> Iterator[Row]:
    try:
        with open(path, "rb") as handle:
            for number, line in enumerate(handle):
                if number == 0:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if line.strip():
                    yield _parse(number, line)
    except OSError as fault:
        raise TmapError(f"'{place}' cannot be read: {fault.strerror}.") from None


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


def _json(path: Path, place: str) -> Iterator[Row]:
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as fault:
        raise TmapError(
            f"'{place}' is not one JSON document ({fault}). Fix it, or if it has one "
            "object per line, rename it to .jsonl."
        ) from None
    if isinstance(values, dict) and isinstance(values.get("data"), list):
        values = values["data"]
    if not isinstance(values, list):
        raise TmapError(
            f"'{place}' contains a JSON {type(values).__name__}, not a list of rows. "
            'Write a list of objects, or {"data": [...]}.'
        )
    for number, value in enumerate(values):
        yield checked(number, value)


def _parquet(path: Path, place: str) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=BATCH):
            for value in batch.to_pylist():
                yield checked(number, value)
                number += 1
    except (pa.ArrowException, OSError, UnicodeDecodeError) as fault:
        reason = " ".join(str(fault).split())
        raise TmapError(
            f"'{place}' is not a readable Parquet file ({reason}). Write it again."
        ) from None


def _open_hub(source: Source, name: str) -> Table:
    commit = hub.dataset_commit(name, source.revision)
    loaded = load_hub(name, source.subset, source.split, commit)

    def rows() -> Iterator[Row]:
        for number, value in enumerate(loaded):
            yield checked(number, value)

    return Table(name, commit, source.licence, rows)


def load_hub(name: str, subset: str | None, split: str, commit: str) -> Any:
    """A hub dataset's rows at one commit; `split` may join several with +."""
    import datasets

    with hub.door("dataset", name, commit):
        try:
            return datasets.load_dataset(name, subset, split=split, revision=commit)
        except datasets.exceptions.DatasetNotFoundError as fault:
            # `datasets` wraps the hub's own error, which distinguishes gated from missing.
            if fault.__cause__ is not None:
                raise fault.__cause__ from None
            raise hub.Missing(
                f"The hub has no dataset '{name}' that can be read. Check `hub:` in "
                "the card; if it is gated, accept its terms and set HF_TOKEN."
            ) from None
        except (ValueError, datasets.exceptions.DatasetsError) as fault:
            reason = " ".join(str(fault).split())[:300]
            raise hub.Missing(
                f"The hub dataset '{name}' has no subset '{subset}' with split "
                f"'{split}' that can be read ({reason}). Fix `subset:` and `split:` "
                "in the card."
            ) from None

"""Rows of a source: files (one or several), the hub, a URL, a world."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tmap.cards.dataset import PoolSource, Source, WorldSource
from tmap.data.sources import download, files, folders, hub
from tmap.data.sources.files import Row, checked


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
        No such file, unknown ending, a file that cannot be read at all, or a hub or
        network fault. A single broken JSON line is not an error: it is a Row with a
        fault.
    """
    table = _open(source)
    if not isinstance(source, PoolSource) or not source.ignore:
        return table
    return replace(
        table, rows=lambda: map(partial(_wanted, source.ignore), table.rows())
    )


def _wanted(ignored: list[str], row: Row) -> Row:
    """The row without the columns that the card does not want."""
    if not isinstance(row.value, Mapping):
        return row
    kept = {name: cell for name, cell in row.value.items() if name not in ignored}
    return row._replace(value=kept)


def _open(source: Source) -> Table:
    if isinstance(source, WorldSource) and source.world:
        return _open_world(source, source.world)
    if source.hub:
        return _open_hub(source, source.hub)
    if source.url:
        path = download.fetch(source.url, source.sha256 or "")
        place = source.place
        read = files.reader(path, place)
        return Table(place, source.sha256, source.licence, lambda: read(path, place))
    return _open_path(source, source.path or "")


def _open_path(source: Source, place: str) -> Table:
    """Rows of one file, or of several in the order of their names."""
    paths = folders.listing(place, source.split)
    readers = [(path, files.reader(path, str(path))) for path in paths]

    def rows() -> Iterator[Row]:
        start = 0
        for path, read in readers:
            row = None
            for row in read(path, str(path)):
                yield row._replace(number=start + row.number)
            start += row.number + 1 if row else 0

    return Table(place, None, source.licence, rows)


def _open_world(source: WorldSource, world: str) -> Table:
    """Rows generated here; the revision is the seed, and the code has its fingerprint."""
    from tmap import worlds

    what: worlds.What = "pool" if isinstance(source, PoolSource) else "questions"

    def rows() -> Iterator[Row]:
        for number, value in enumerate(worlds.rows(world, what, source.seed)):
            yield Row(number, value)

    place = f"world {world}, {what} of seed {source.seed}"
    return Table(place, f"seed {source.seed}", "generated here", rows)


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

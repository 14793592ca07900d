"""A user's first cards, with what can be known from the files that they name."""

from __future__ import annotations

from pathlib import Path

from tmap import cards
from tmap.cards import starter
from tmap.data.sources import folders
from tmap.errors import TmapError
from tmap.operations.preflight import columns, data
from tmap.operations.preflight.show import visible


def write(folder: str, start: starter.Start) -> tuple[list[Path], list[str]]:
    """Write the cards, and measure the columns of a pool that is named.

    Columns are scaled by rank where one row would flatten one of them.

    Returns
    -------
    The files in the order in which to read them, and sentences about what was found.

    Raises
    ------
    TmapError : as in `starter.write`, or a named file does not exist
    """
    for option, path in (("--pool", start.pool), ("--questions", start.questions)):
        _check(option, path)
    written = starter.write(folder, start)
    if not start.pool:
        return written, []
    cards.use_folders([folder])
    try:
        marks = _marks(start.dataset)
    except (
        TmapError
    ) as fault:  # the cards are written, and the sentence says what to fix
        return written, [visible(str(fault))]
    if marks:
        starter.scale_by_rank(Path(folder), marks)
        marks.append("my_method.yaml therefore says `normalise: rank`.")
    return written, marks


def _check(option: str, path: str) -> None:
    try:
        if path:
            folders.listing(path)
    except TmapError as fault:
        raise TmapError(f"{option}: {fault}") from None


def _marks(dataset: str) -> list[str]:
    """Why columns that my_method weighs are flattened."""
    card = cards.load("datasets", dataset)
    pool = data.look_at_pool(dataset, card, None).kept
    weighed = cards.load("methods", "my_method").indicators
    found = [c for c in columns.look(dataset, pool) if c.name in weighed]
    return [visible(column.flattened) for column in found if column.flattened]

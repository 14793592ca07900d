"""The files that a `path:` names: one file, a pattern of shards, or a folder of them."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tmap.data.sources import files
from tmap.errors import TmapError, several

#: Files that `datasets.save_to_disk` and the hub write next to the data.
NOT_DATA = {
    "dataset_dict.json",
    "dataset_info.json",
    "dataset_infos.json",
    "metadata.json",
    "state.json",
}
#: A name as the hub has them.
HUB = re.compile(r"[A-Za-z0-9][\w-]*/[A-Za-z0-9][\w-]*")
_SPLIT = re.compile(r"(?<![a-z])(train|test|validation|valid|val|dev|eval)(?![a-z])")


def listing(path: str, split: str = "train") -> list[Path]:
    """The files of a source in the order of their names.

    Parameters
    ----------
    path : a file, a pattern such as `data/*.parquet`, a folder of shards, or a folder that
        `datasets.save_to_disk` wrote
    split : of a saved dataset with several; `a+b` joins them

    Raises
    ------
    TmapError
        There is nothing, or it is not clear which files are meant.
    """
    whole = Path(path)
    if whole.is_file():
        return [whole]
    if whole.is_dir():
        return _in_folder(whole, path, split)
    if whole.exists():
        raise TmapError(
            f"'{path}' is neither a file nor a folder. A pool is read several times, so a "
            "pipe or device cannot be one: write its rows to a file and name that."
        )
    if glob.has_magic(path):
        return _matching(path)
    scheme = path.partition("://")[0]
    if scheme != path:
        raise TmapError(
            f"A `path:` that begins with '{scheme}://' is an address, but it must name a "
            "local file. Write `url:` and `sha256:` for a file on the web, `hub:` for a "
            "dataset of the hub."
        )
    asked = (
        f" For a dataset of the hub write `hub: {path}`." if HUB.fullmatch(path) else ""
    )
    raise TmapError(
        f"No file '{path}'. Paths are relative to the working directory; "
        f"fix `path:` in the card.{asked}"
    )


def _matching(path: str) -> list[Path]:
    matches = sorted(map(Path, glob.glob(path, recursive=True)))
    _refuse_broken_links(matches, path)
    found = [match for match in matches if match.is_file()]
    if not found:
        what = "only folders match" if matches else "No file matches"
        raise TmapError(
            f"{what} '{path}'. A pattern names files, relative to the working directory; "
            "fix `path:` in the card, as in data/*.parquet."
        )
    return _of_one_kind(found, path)


def _in_folder(folder: Path, path: str, split: str) -> list[Path]:
    if (folder / "dataset_dict.json").is_file():
        return _splits(folder, path, split)
    if (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file():
        return _saved(folder, path)
    inside = [inner for inner in sorted(folder.iterdir()) if _may_be_data(inner)]
    found = [inner for inner in inside if inner.is_file() and files.known(inner.name)]
    _refuse_broken_links(inside, path)
    if found:
        _refuse_partly_read(inside, path)
    else:
        rooms = sorted(
            f"'{path}/{room.name}'" for room in folder.iterdir() if room.is_dir()
        )
        below = f" It has the folders {several(rooms, 5)}." if rooms else ""
        raise TmapError(
            f"'{path}' is a folder without data files ({files.KNOWN}).{below} Name a "
            "file, a folder of shards, or a pattern such as data/*.parquet."
        )
    parts = {name for inner in found for name in _SPLIT.findall(inner.name.lower())}
    if len(parts) > 1:
        raise TmapError(
            f"'{path}' is a folder with files of several splits "
            f"({', '.join(sorted(parts))}). One is needed: name its files with a "
            f"pattern, such as '{path}/{min(parts, key=_training)}*'."
        )
    return _of_one_kind(found, path)


def _may_be_data(inner: Path) -> bool:
    return inner.name not in NOT_DATA and inner.name[0] not in "._"


def _refuse_broken_links(found: list[Path], path: str) -> None:
    """Refuse links to files that are not there, as a copy of the hub's cache has them."""
    broken = [inner for inner in found if inner.is_symlink() and not inner.exists()]
    if broken:
        raise TmapError(
            f"'{path}' has '{broken[0].name}', a link to a file that is not there. Each "
            "file must be there, or rows would be missing: copy what the links lead to, or "
            "remove them."
        )


def _refuse_partly_read(inside: list[Path], path: str) -> None:
    """Refuse a folder with data that would be left out: in inner folders, in archives."""
    rooms = [inner for inner in inside if inner.is_dir() and _has_data(inner)]
    if rooms:
        raise TmapError(
            f"'{path}' has data files, and so has its folder '{rooms[0].name}', which "
            f"would be left out. Name what you mean with a pattern: '{path}/*.jsonl', or "
            f"'{path}/**/*.jsonl' with all folders."
        )
    packed = [inner for inner in inside if inner.is_file() and files.holds(inner.name)]
    if packed:
        raise TmapError(
            f"'{path}' has data files next to '{packed[0].name}', which cannot be read and "
            "would be left out. Convert or unpack it, or name the others with a pattern, "
            f"such as '{path}/*.jsonl'."
        )


def _has_data(folder: Path) -> bool:
    return any(_may_be_data(p) and files.known(p.name) for p in folder.iterdir())


def _training(name: str) -> tuple[bool, str]:
    return name != "train", name


def _of_one_kind(found: list[Path], path: str) -> list[Path]:
    kinds = sorted({files.ending(inner.name)[0] for inner in found})
    if len(kinds) > 1:
        raise TmapError(
            f"'{path}' has files of several kinds ({', '.join(kinds)}). One is needed: "
            "name those of one kind with a pattern, such as data/*.parquet."
        )
    return found


def _splits(folder: Path, path: str, split: str) -> list[Path]:
    known = _json(folder / "dataset_dict.json", path).get("splits", [])
    wanted = [part.strip() for part in split.split("+")]
    missing = [part for part in wanted if part not in known]
    if missing:
        raise TmapError(
            f"'{path}' is a saved dataset without the split '{missing[0]}'; it has "
            f"{several(known)}. Fix `split:` in the card."
        )
    return [
        inner for part in wanted for inner in _saved(folder / part, f"{path}/{part}")
    ]


def _saved(folder: Path, path: str) -> list[Path]:
    listed: Iterable[Any] = _json(folder / "state.json", path).get("_data_files", [])
    found = [folder / str(entry.get("filename")) for entry in listed]
    missing = [inner.name for inner in found if not inner.is_file()]
    if missing:
        raise TmapError(
            f"'{path}' is a saved dataset that lacks its file '{missing[0]}'. Copy the "
            "whole folder again, or save it again with `save_to_disk`."
        )
    return found


def _json(file: Path, path: str) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as fault:
        raise TmapError(
            f"'{path}' looks like a saved dataset, but its {file.name} cannot be read "
            f"({fault}). Save it again with `save_to_disk`."
        ) from None
    return found if isinstance(found, dict) else {}

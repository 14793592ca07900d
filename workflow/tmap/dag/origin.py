"""The origin of a file, recorded in it: rule, cards, code and inputs.

It is stored under `made`: in a table's metadata, at the top of a JSON file (in metrics.json
under `provenance`), or in a comment at the end of Markdown or HTML. `tmap status` compares
it with today's cards and code, so results keep their origin wherever they are copied.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tmap import cards
from tmap.artifacts import tables
from tmap.artifacts.files import CHECKSUM, broken, is_edited, read_document, read_json
from tmap.artifacts.provenance import codes
from tmap.dag import params

#: Files that do not record their origin -> the file next to them that does.
WITNESSES = {
    "subset.jsonl": "README.md",
    "subset.messages.jsonl": "README.md",
    "dataset_info.json": "README.md",
    "adapter_model.safetensors": "../train.json",
    "adapter_config.json": "../train.json",
    "accuracy.png": "metrics.json",
    "search.png": "metrics.json",
    "warmup.safetensors": "warmup.json",
    "candidates.npy": "candidates.parquet",
    "questions.npy": "questions.parquet",
}
#: The start of a Markdown or HTML file's last line; JSON and ` -->` follow.
COMMENT = "<!-- tmap: "


def made(
    rule: str, inputs: Iterable[str | Path | None] = (), **names: str
) -> dict[str, Any]:
    """The origin that a rule's outputs record.

    Parameters
    ----------
    rule : its name, which is also that of its command and of its function in `params`
    inputs : the files it reads; None and "" are skipped
    names : the cards, as `params.of` takes them
    """
    return {
        "rule": rule,
        "names": names,
        "card": card(rule, names),
        "modules": codes(*roots(rule, names)),
        "inputs": {str(path): file_digest(path) for path in inputs if path},
    }


def card(rule: str, names: dict[str, str]) -> dict[str, Any]:
    """The card values that a rule reads today, as plain JSON."""
    values: dict[str, Any] = json.loads(params.of(rule, **names))
    return values


def roots(rule: str, names: dict[str, str]) -> list[str]:
    """The modules where a rule's code begins: its command, its indicator or table kind."""
    own = [f"tmap.indicators.{names['indicator']}"] if "indicator" in names else []
    if "experiment" in names:
        kind = cards.load("experiments", names["experiment"]).kind
        own.append(f"tmap.experiments.{kind}")
    return [rule, *own]


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file, 16 hex digits; for a model's record without its `path`.

    The place where a machine keeps a model must not affect what is made from it.
    """
    path = Path(path)
    if path.suffix == ".json" and path.parent.name == "models":
        apart = ("path", CHECKSUM)
        found = read_document("model", path)
        record = {key: value for key, value in found.items() if key not in apart}
        text = json.dumps(record, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def beside(witness: Path, *paths: Path) -> dict[str, str]:
    """The digests of files that `witness`, next to or above them, speaks for."""
    room = witness.parent
    return {os.path.relpath(path, room): file_digest(path) for path in paths}


def witness(path: str | Path) -> Path:
    """The file that records the origin of `path`: itself, or one next to it."""
    path = Path(path)
    if path.parent.name == "tables":
        return path.with_suffix(".parquet")
    other = WITNESSES.get(path.name)
    if other is None:
        return path
    return path.parent.parent / other[3:] if other[:3] == "../" else path.parent / other


def read(path: str | Path) -> dict[str, Any]:
    """What a file records about itself; without `made` if it records no origin.

    Raises
    ------
    TmapError : it cannot be read, or its record has another form
    """
    path = Path(path)
    if path.suffix == ".parquet":
        about = tables.metadata(path)
    elif path.suffix in (".md", ".html"):
        about = _of_comment(path)
    else:
        found = read_json(path)
        about = found.get("provenance", found) if isinstance(found, dict) else found
        if not isinstance(about, dict):
            raise broken(path, "it is no JSON object")
    if about.get("made") is not None:
        _check(path, about)
    return about


#: Keys of an origin, and the types of their values.
_PARTS = {"rule": str, "names": dict, "card": dict, "modules": dict, "inputs": dict}


def _check(path: Path, about: dict[str, Any]) -> None:
    """Refuse a record of another form."""
    made = about["made"]
    is_whole = isinstance(made, dict) and all(
        isinstance(made.get(key), kind) for key, kind in _PARTS.items()
    )
    if not is_whole or not isinstance(about.get("versions"), dict):
        raise broken(path, "its record of what made it has another form")


def was_edited(path: str | Path) -> bool | None:
    """Whether a file's content has changed since it was written; None: no checksum.

    Raises
    ------
    TmapError : it cannot be read
    """
    path = Path(path)
    said = read(path).get(CHECKSUM)
    if said is None:
        return None
    if path.suffix == ".parquet":
        return bool(tables.checksum(path) != said)
    return is_edited(read_json(path))


def comment(about: dict[str, Any]) -> str:
    """The record of a Markdown or HTML file about itself, as a comment."""
    text = json.dumps(about, sort_keys=True)
    text = text.replace("<", "\\u003c").replace(">", "\\u003e")
    return f"{COMMENT}{text} -->\n"


def _of_comment(path: Path) -> dict[str, Any]:
    page = path.read_text(encoding="utf-8", errors="replace")
    _, found, text = page.rpartition(COMMENT)
    if not found:
        return {}
    try:
        about: dict[str, Any] = json.loads(text.removesuffix(" -->\n"))
    except (ValueError, RecursionError):
        about = {}
    if not isinstance(about, dict) or "made" not in about:
        raise broken(path, "its last line, which records what made it, is damaged")
    return about

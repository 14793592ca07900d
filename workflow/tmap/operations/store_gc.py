"""Find and remove stored measurements that no card refers to any more.

Every part records who was asked (`tmap.store.measurements.Who`). A local model's
measurements are in use while its card exists with the same revision and the same wording:
that of its prompt, or of a judge card's form. A proxy's gradients are in use while its card
and revision exist, and a server's replies while a judge card would send the same request
for some row. Pools do not matter: measurements of a removed pool are kept as long as their
model and wording.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console

from tmap import cards, dag
from tmap.artifacts.files import read_document
from tmap.artifacts.secrets import published
from tmap.judges.base import Want
from tmap.store import measurements, parts

#: Seconds after which an unfinished file counts as abandoned.
ABANDONED = 86_400
#: Forms of judge cards that are answered by a digit.
RATED_BY_DIGIT = ("quality", "complexity")


@dataclass
class Kind:
    """One kind of measurement: all rows, rows to remove, and the files that change.

    Attributes
    ----------
    size : bytes on disk
    gone : rows to remove, by who was asked (in readable form)
    """

    name: str
    size: int = 0
    rows: int = 0
    gone: dict[str, int] = field(default_factory=dict)
    torn: list[Path] = field(default_factory=list)
    changed: list[Path] = field(default_factory=list)


def survey() -> list[Kind]:
    """The contents of the store, by kind; nothing is changed."""
    found = []
    folders = measurements.root().glob("*") if measurements.root().is_dir() else []
    for folder in sorted(path for path in folders if path.is_dir()):
        kind = Kind(folder.name)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                _look(path, kind)
        found.append(kind)
    return found


def _look(path: Path, kind: Kind) -> None:
    try:
        about = path.stat()
        kind.size += about.st_size
        if path.suffix == ".tmp":
            if time.time() - about.st_mtime > ABANDONED:
                kind.torn.append(path)
            return
        part = parts.read(path, ["key"])
    except (parts.Vanished, FileNotFoundError):
        return  # a running job has merged it
    if part is None:
        kind.torn.append(path)
        return
    kind.rows += len(part.rows)
    dead = _dead(part)
    if dead:
        kind.changed.append(path)
    owner = part.rows["key"].str[: measurements.WHO]
    for prefix, n in owner[owner.isin(dead)].value_counts().items():
        name = named(part.asked.get(prefix))
        kind.gone[name] = kind.gone.get(name, 0) + int(n)


def remove(kinds: list[Kind]) -> None:
    """Rewrite the parts without the rows that `survey` found; remove broken files."""
    for kind in kinds:
        for path in kind.torn:
            path.unlink(missing_ok=True)
        for path in kind.changed:
            try:
                part = parts.read(path, ["key"])
                if part and set(part.rows["key"].str[: measurements.WHO]) <= _dead(
                    part
                ):
                    path.unlink(missing_ok=True)  # a file of vectors has one model
                    continue
                part = parts.read(path)
            except parts.Vanished:
                continue
            if part is not None:
                _rewrite(path, part)


def _rewrite(path: Path, part: parts.Part) -> None:
    dead = _dead(part)
    rows = part.rows[~part.rows["key"].str[: measurements.WHO].isin(dead)]
    asked = {prefix: who for prefix, who in part.asked.items() if prefix not in dead}
    if len(rows):
        parts.write(path.parent, parts.Part(rows, asked), instead_of=path)
    path.unlink(missing_ok=True)


def _dead(part: parts.Part) -> set[str]:
    """Prefixes of keys that no card refers to, or that the part does not explain."""
    owners = set(part.rows["key"].str[: measurements.WHO])
    return {p for p in owners if p not in part.asked or not referred(part.asked[p])}


def referred(who: dict[str, Any]) -> bool:
    """Whether an existing card asks this model in this wording."""
    who = published(who)  # as it is recorded
    if "gradients" in who:
        return _is_there(who)
    if "server" in who:
        return any(who == asked for asked in _servers())
    if not _is_there(who):
        return False
    return any(who["words"] == words for words in _words(who["card"]))


def _is_there(who: dict[str, Any]) -> bool:
    """Whether the model has a card and, if it is fetched, the same revision."""
    name = who["card"]
    record = Path(dag.data.model_file(name))
    if (
        record.is_file()
        and read_document("model", record)["revision"] != who["revision"]
    ):
        return False
    return name in cards.names("models")


def named(who: dict[str, Any] | None) -> str:
    """Who was asked, in readable form."""
    if who is None:
        return "an earlier version of tmap"
    if "server" in who:
        return f"{who['fields'].get('model')} at {who['server']}"
    return f"{who['card']} ({who['revision'][:12]})"


def _judges() -> Iterator[Any]:
    return (cards.load("judges", name) for name in cards.names("judges"))


@cache
def _servers() -> list[dict[str, Any]]:
    """Every `Server.who` of the judge cards."""
    from tmap.judges.server import Server

    found = []
    for card in _judges():
        for name, form in card.forms.items() if card.server else ():
            want: Want = "digits" if name in RATED_BY_DIGIT else "text"
            asker = Server(card.server, card.limits, card.style, form)
            found.append(published(asker.who(want)))
    return found


@cache
def _words(model: str) -> list[dict[str, Any]]:
    """The prompt wordings of a model card, and of the judge cards that use the model."""
    own = dag.params.prompt_words(model).model_dump(mode="json")
    forms = [
        form.words(card.style)
        for card in _judges()
        if card.model == model
        for form in card.forms.values()
    ]
    found: list[dict[str, Any]] = published([own, *forms])
    return found


def show(kinds: list[Kind], console: Console) -> bool:
    """Print sizes and what would be removed; return whether there is anything."""
    console.print(f"{measurements.root()}: {_bytes(sum(kind.size for kind in kinds))}")
    for kind in kinds:
        n = sum(kind.gone.values())
        line = f"  {_bytes(kind.size):>8}  {kind.name}: {kind.rows} rows, {n} to remove"
        console.print(line, markup=False, highlight=False)
        for name, rows in sorted(kind.gone.items()):
            console.print(f"            {rows} of {name}", markup=False)
        if kind.torn:
            line = f"            {len(kind.torn)} broken files to remove"
            console.print(line, markup=False)
    return any(kind.gone or kind.torn for kind in kinds)


def _bytes(size: float) -> str:
    for unit in ("B", "K", "M", "G"):
        if size < 1024 or unit == "G":
            break
        size /= 1024
    return f"{size:.0f}{unit}"

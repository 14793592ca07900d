"""Raw measurements, each paid for only once, keyed by the exact request.

    results/store/digits/4f/part-01763...-9c1e.parquet      key, request, reply

The store holds raw replies of models (losses, log-probabilities, texts), never scores, so
another formula or parse rule costs no GPU second and no API call. A key begins with who
was asked, so the replies of one model are on one shelf, `{xx}`, the first two digits of
its keys. The store is not an `output:` of a rule: Snakemake would delete it with a failed
job. It is safe to share between jobs, also over NFS (`tmap.store.parts`).

A kill loses only the measurements in progress. Small parts are written as measurements
come in, merged every `ROWS` rows or `SECONDS` seconds, and again when the job ends.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tmap.artifacts.files import make_folder
from tmap.errors import TmapError
from tmap.jobs import attempts
from tmap.store import parts
from tmap.store.parts import Part
from tmap.store.spool import Spool

logger = logging.getLogger(__name__)
#: Environment variable that names another root; the location changes no number.
ROOT = "TMAP_STORE"
WHO, WHAT = 8, 32
KEY = WHO + WHAT
#: When the small parts of a running job are merged.
ROWS, SECONDS = 1000, 60.0
#: Bytes below which parts are merged when a job ends.
SMALL = 2**25
#: How often a shelf is listed again if parts vanish, and the pause between, in seconds.
LOOKS, PAUSE = 20, 0.2
Who = Mapping[str, Any]


class Entry(NamedTuple):
    """One measurement; request and reply are JSON values."""

    key: str
    request: Any
    reply: Any


def root() -> Path:
    """`$TMAP_STORE`, or else results/store in the working directory."""
    return Path(os.environ.get(ROOT) or "results/store")


def digest(value: Any) -> str:
    """SHA-256 over canonical JSON, 64 hex digits."""
    return hashlib.sha256(_json(value).encode()).hexdigest()


class Store:
    """Measurements of one kind, from one model with one prompt template.

    Parameters
    ----------
    kind : folder under the root, such as "digits"
    who : everything that can change a reply and that many requests share: model revision,
        dtype, engine and its version, the words of the prompt. "card" is for people.
    place : default: `root()`
    """

    def __init__(self, kind: str, who: Who, place: str | Path | None = None) -> None:
        self.kind, self.who = kind, dict(who)
        self._identity = {k: value for k, value in self.who.items() if k != "card"}
        self._prefix = digest(self._identity)[:WHO]
        self.folder = Path(place or root()) / kind / self._prefix[:2]
        self._read: set[Path] = set()
        self._replies = _Replies()
        self._small: list[Path] = []
        self._rows, self._since = 0, 0.0

    def key(self, request: Any) -> str:
        """40 hex digits: 8 for who is asked, 32 for who and what (8 might collide)."""
        return self._prefix + digest([self._identity, request])[:WHAT]

    def get(self, keys: Iterable[str]) -> dict[str, Any]:
        """Replies to the keys that are stored; the earlier part wins if two have one."""
        self._look()
        found = self._replies.get(dict.fromkeys(keys))
        for key, reply in found.items():
            if not _fits(self.kind, reply):
                raise TmapError(
                    f"The reply with key {key} in {self.folder} is no reply of kind "
                    f"'{self.kind}': its file was edited or damaged. Delete that folder, "
                    "and the same command measures its replies again."
                )
        return found

    def prepare(self) -> None:
        """Make the folder, before anything is paid that could not be kept in it."""
        try:
            make_folder(self.folder)
        except OSError as fault:
            raise TmapError(
                f"Replies cannot be kept in '{self.folder}' ({fault.strerror}), so none "
                f"is asked for. Name another folder in {ROOT}, or make this one writable."
            ) from None

    def put(self, entries: Sequence[Entry]) -> None:
        """Write entries; they are on disk when this returns."""
        if not entries:
            return
        rows = [(e.key, _json(e.request), _json(e.reply)) for e in entries]
        frame = pd.DataFrame(rows, columns=parts.COLUMNS)
        if not self._small:
            self._since = time.monotonic()
        part = Part(frame, {self._prefix: self.who})
        self._small.append(parts.write(self.folder, part))
        self._rows += len(rows)
        attempts.kept()
        if self._rows >= ROWS or time.monotonic() - self._since >= SECONDS:
            parts.merge(self._small)
            self._small, self._rows = [], 0

    def compact(self) -> None:
        """Merge small parts into few large ones, including those that jobs left behind."""
        some, size = [], 0
        for path in parts.listed(self.folder):
            if (n := _size(path)) < SMALL:
                some.append(path)
                size += n
            if size >= SMALL:  # no more at a time: a merge has its parts in memory
                parts.merge(some)
                some, size = [], 0
        parts.merge(some)
        self._small, self._rows = [], 0

    def _look(self) -> None:
        """Read the parts that have not been read before."""
        for _ in range(LOOKS):
            try:
                for path in parts.listed(self.folder):
                    if path not in self._read:
                        self._take(parts.read(path, ("key", "reply")))
                        self._read.add(path)
                return
            except parts.Vanished:  # merged meanwhile: look for its replacement
                time.sleep(PAUSE)

    def _take(self, part: Part | None) -> None:
        if part is None:
            return
        mine = part.rows[part.rows["key"].str.startswith(self._prefix)]
        self._replies.add(mine["key"], mine["reply"])


class _Replies:
    """Replies on disk; their keys are in memory, 56 bytes each."""

    def __init__(self) -> None:
        self._spool = Spool()
        self._keys, self._at = np.empty(0, f"S{KEY}"), np.empty(0, np.int64)
        self._new: list[np.ndarray] = []

    def add(self, keys: pd.Series, replies: pd.Series) -> None:
        """Add replies; earlier ones win if a key is repeated."""
        names = keys.to_numpy(dtype=object).astype(f"S{KEY}")
        is_new = ~self._find(names)[1]
        self._new.append(names[is_new])
        for reply in replies[is_new]:
            self._spool.append(reply.encode())

    def get(self, keys: Collection[str]) -> dict[str, Any]:
        """Parsed replies to the keys that exist."""
        self._sort()
        names = np.array(list(keys), f"S{KEY}")
        places, found = self._find(names)
        pairs = zip(names[found], self._at[places[found]], strict=True)
        replies = {name.decode(): _parsed(self._spool[at]) for name, at in pairs}
        return {name: reply for name, reply in replies.items() if reply is not _BROKEN}

    def _find(self, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The position of each among the sorted keys, and whether it is there."""
        places = np.searchsorted(self._keys, names)
        found = places < len(self._keys)
        found[found] = self._keys[places[found]] == names[found]
        return places, found

    def _sort(self) -> None:
        if not self._new:
            return
        every = np.concatenate([self._keys, *self._new])
        n = len(self._spool)
        at = np.append(self._at, np.arange(n - sum(map(len, self._new)), n))
        self._keys, first = np.unique(every, return_index=True)
        self._at, self._new = at[first], []


_BROKEN = object()


def _parsed(text: bytes) -> Any:
    """A reply; one that is no JSON is measured again, as if it were not there."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        logger.warning("a stored reply is no JSON, so it is asked for again")
        return _BROKEN


def _fits(kind: str, reply: Any) -> bool:
    """Whether a reply has the form of its kind: an object of a judge, or numbers."""
    if kind in _OBJECTS:
        return isinstance(reply, dict) and isinstance(
            reply.get(_OBJECTS[kind][0]), _OBJECTS[kind][1]
        )
    if kind in _FORMS:
        return isinstance(reply, list) and _FORMS[kind](reply)
    return True


def _numbers(values: Any) -> bool:
    return isinstance(values, list) and all(
        _numbers(v)
        if isinstance(v, list)
        else isinstance(v, (int, float)) and not isinstance(v, bool)
        for v in values
    )


#: Kinds whose replies are objects: a key and its type.
_OBJECTS: dict[str, tuple[str, type]] = {
    "replies": ("text", str),
    "tokens": ("tokens", list),
}
#: Kinds whose replies are lists.
_FORMS: dict[str, Callable[[list[Any]], bool]] = {
    "nll": lambda r: len(r) == 2 and _numbers(r),
    "texts": lambda r: all(type(token) is int for token in r),
    **{kind: _numbers for kind in ("options", "choices", "attention")},
}

OpenStore = Callable[[str, Who], Store]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _json(value: Any) -> str:
    # ASCII: lone surrogates and control characters are written as escapes.
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))

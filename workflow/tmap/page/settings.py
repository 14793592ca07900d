"""Which settings differ between two finished runs, by what their files record."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from tmap import dag
from tmap.errors import TmapError
from tmap.operations.status import flat
from tmap.page import packing

#: Characters of a value that are kept.
LONGEST = 300
#: What a setting belongs to: a rule, and the method or indicator that it ran for.
Owner = tuple[str, str]


class Recorded(Protocol):
    """A run of which metrics.json is known, and other files that may be there."""

    @property
    def metrics(self) -> dict[str, Any]: ...

    def recorded(self) -> list[Path]: ...


def look(a: Recorded, b: Recorded) -> dict[str, Any]:
    """The settings, versions and modules that differ.

    Returns
    -------
    rows : setting, its method or indicator, value in A, value in B, rules that read it
    only : per run, what the other has no file of
    modules : of our code, that differ
    n_files : per run, that recorded their settings
    """
    found = [_cards(side.recorded()) for side in (a, b)]
    (cards_a, modules_a, n_a), (cards_b, modules_b, n_b) = found
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    shared = [owner for owner in cards_a if owner in cards_b]
    told = [(owner, cards_a[owner], cards_b[owner]) for owner in shared]
    told += [(owner, *both) for owner, both in _others(a, b).items()]
    for (rule, of), then, now in told:
        for key in dict.fromkeys([*then, *now]):
            values = then.get(key, "absent"), now.get(key, "absent")
            if values[0] != values[1]:
                rows.setdefault((key, of, *values), []).append(rule)
    differ = [
        name
        for name in sorted({*modules_a, *modules_b})
        if modules_a.get(name) != modules_b.get(name)
    ]
    return {
        "rows": [
            [key, of, *(packing.cut(value, LONGEST) for value in values), rules]
            for (key, of, *values), rules in sorted(rows.items())
        ],
        "only": [_only(cards_a, cards_b), _only(cards_b, cards_a)],
        "modules": differ,
        "n_files": [n_a, n_b],
    }


def _cards(
    paths: Iterable[Path],
) -> tuple[dict[Owner, dict[str, str]], dict[str, str], int]:
    """What files record: settings by owner, modules of the code, and how many do."""
    cards: dict[Owner, dict[str, str]] = {}
    modules: dict[str, str] = {}
    n = 0
    for path in dict.fromkeys(paths):
        try:
            made = dag.origin.read(path).get("made")
        except (TmapError, OSError):
            continue  # counted: the page says how many files told
        if not made:
            continue
        n += 1
        names = made.get("names", {})
        of = names.get("method") or names.get("indicator") or ""
        cards.setdefault((made["rule"], of), {}).update(flat(made["card"]))
        modules.update(made.get("modules", {}))
    return cards, modules, n


def _others(
    a: Recorded, b: Recorded
) -> dict[Owner, tuple[dict[str, str], dict[str, str]]]:
    """Settings that metrics.json itself tells: the plan, the model, the versions."""
    about = [side.metrics["provenance"] for side in (a, b)]
    plans = [side.metrics["statistics"].get("plan") for side in (a, b)]

    def both(first: Any, second: Any) -> tuple[dict[str, str], dict[str, str]]:
        return flat(first) if first else {}, flat(second) if second else {}

    return {
        ("config", ""): both(*plans),
        ("fetch_model", ""): both(*(found["model"] for found in about)),
        ("version", ""): both(*(found["versions"] for found in about)),
    }


def _only(own: dict[Owner, Any], other: dict[Owner, Any]) -> list[str]:
    return [
        f"{rule} of {of}" if of else rule for rule, of in own if (rule, of) not in other
    ]

"""The verdict in one sentence, what it was corrected for, and the warnings."""

from __future__ import annotations

import re
from typing import Any

from tmap.comparison import report
from tmap.comparison.claims import UNTOUCHED, YARDSTICK

#: Warnings that put a result in doubt -> the section of the page that shows why.
GRAVE = (
    (r"do not fit into|were dropped because no answer", "samples"),
    (r"reader \(", "questions"),
    (r"abstains?\b|all rewards are equal|no better than random ones", "search"),
    (r"all scored rows are equal|flattened|constant", "indicators"),
    (r"contaminated|benchmark question", "rejected"),
    (r"fewer rows alone|versions of the code|outside the history", "methods"),
)
#: Colour of an answer in the table, by heading.
TONES = {report.GOOD: "good", report.BAD: "bad", report.OPEN: "open"}


def main_method(metrics: dict[str, Any]) -> str:
    """The method that the page is about: the primary claim's, else the first search's."""
    methods = metrics["methods"]
    primary = metrics.get("primary")
    name = primary.get("method") if isinstance(primary, dict) else primary
    if name in methods:
        return str(name)
    searched = [name for name, found in methods.items() if found["weights"]]
    others = [name for name in methods if name not in (UNTOUCHED, YARDSTICK)]
    return str([*searched, *others, *methods][0])


def look(metrics: dict[str, Any]) -> dict[str, Any]:
    """What the top of the page says."""
    method = main_method(metrics)
    said = dict(line.split(": ", 1) for line in report.verdicts(metrics))
    cells = dict(zip(report.HEADINGS, rows(metrics)[method], strict=True))
    head, numbers, rest = split(said[method])
    return {
        "method": method,
        "head": head,
        "numbers": numbers,
        "rest": rest,
        "verdicts": said,
        "tone": _tone("better?", cells["better?"]),
        "corrected": _corrected(metrics),
        "effect": report.effect(metrics),
        "warnings": [warning(text) for text in metrics["warnings"]],
    }


def split(sentence: str) -> tuple[str, str, str]:
    """A verdict as its first words, the numbers in brackets after them, and the rest."""
    found = re.match(r"([^(;]*?) \(([^()]*)\)[;.]?\s*(.*)", sentence, re.DOTALL)
    if not found:
        return sentence, "", ""
    head, numbers, rest = found.groups()
    return head, numbers, rest[:1].upper() + rest[1:]


def rows(metrics: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Method -> its row of the results table, in the order of `report.HEADINGS`."""
    return {row[0]: row for row in report.rows(metrics)}


def table(metrics: dict[str, Any]) -> dict[str, Any]:
    """The results table with a tone per cell, the same as text, and what plots need."""
    return {
        "headings": list(report.HEADINGS),
        "rows": [
            [
                [text, _tone(heading, text)]
                for heading, text in zip(report.HEADINGS, row, strict=True)
            ]
            for row in rows(metrics).values()
        ],
        "readings": {
            "headings": list(report.READING_HEADINGS),
            "rows": [list(row) for row in report.readings(metrics)],
        },
        "markdown": report.markdown(metrics),
        "methods": [_method(name, found) for name, found in metrics["methods"].items()],
    }


def warning(text: str) -> dict[str, Any]:
    """A warning, whether it is grave, and the section that shows why."""
    for pattern, section in GRAVE:
        if re.search(pattern, text):
            return {"text": text, "grave": True, "section": section}
    return {"text": text, "grave": False, "section": None}


def _method(name: str, found: dict[str, Any]) -> dict[str, Any]:
    kept = (
        "accuracy",
        "interval",
        "n_seeds",
        "n_selections",
        "certificate",
        "training",
    )
    return {
        "name": name,
        **{key: found[key] for key in kept},
        "runs": [[run["s"], run["t"], run["accuracy"]] for run in found["runs"]],
        "random": _difference(found["against_random"]),
        "base": _difference(found["against_base"]),
    }


def _difference(found: dict[str, Any] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {key: found[key] for key in ("difference", "interval", "p_holm")}


def _tone(heading: str, text: str) -> str:
    return TONES.get(report.STYLES.get(heading, {}).get(text, ""), "")


def _corrected(metrics: dict[str, Any]) -> str:
    families = metrics["statistics"]["families"]
    against = [
        f"{len(members)} comparison{'s' * (len(members) != 1)} with {name}"
        for name, members in families.items()
        if members
    ]
    if not against:
        return "Nothing was compared, so there is no verdict."
    return (
        f"Corrected by Holm's procedure for {' and for '.join(against)}. Intervals are "
        "95 %, each on its own: a verdict may be unclear although its interval excludes 0."
    )

"""The verdict in one sentence, what it was corrected for, and the warnings."""

from __future__ import annotations

import re
from typing import Any

from tmap.comparison import report
from tmap.comparison.looks import UNTOUCHED, YARDSTICK

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
    """The method that the page is about.

    Of several primary claims one that holds, and the largest difference; without one, the
    first searched method.
    """
    methods = metrics["methods"]
    primary = [name for name in methods if report.is_primary(methods[name])]
    if primary:
        return max(primary, key=lambda n: _rank(methods[n]["against_random"]))
    searched = [name for name, found in methods.items() if found["weights"]]
    others = [name for name in methods if name not in (UNTOUCHED, YARDSTICK)]
    return str([*searched, *others, *methods][0])


def look(metrics: dict[str, Any]) -> dict[str, Any]:
    """What the top of the page says."""
    method = main_method(metrics)
    said = {name: found["verdict"] for name, found in metrics["methods"].items()}
    cells = dict(zip(report.HEADINGS, rows(metrics)[method], strict=True))
    head, numbers, rest = split(said[method])
    return {
        "method": method,
        "head": head,
        "numbers": numbers,
        "rest": rest,
        "verdicts": said,
        "tone": _tone("better?", cells["better?"]),
        "corrected": report.about(metrics),
        "warnings": [warning(text) for text in metrics["warnings"]],
    }


def split(sentence: str) -> tuple[str, str, str]:
    """A verdict as its first words, the numbers in brackets after them, and the rest."""
    sentence = re.sub(r"^Primary claim: (.)", lambda m: m[1].upper(), sentence)
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
    kept = ("accuracy", "interval", "n_seeds", "training")
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
    level = "95 % interval"  # an earlier version had no other
    if "verdict_interval" in found:
        level = "interval of the verdict"
    ends = found.get("verdict_interval", found["interval"])
    kept = {key: found[key] for key in ("difference", "p_holm")}
    return kept | {"interval": ends, "level": level}


def _tone(heading: str, text: str) -> str:
    return TONES.get(report.STYLES.get(heading, {}).get(text, ""), "")


def _rank(found: dict[str, Any]) -> tuple[bool, float]:
    return found["better"] == "yes", found["difference"]

"""The results table of a metrics document, for a terminal, a log or a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tmap.artifacts.files import broken, read_document

HEADINGS = (
    "method",
    "accuracy",
    "seeds",
    "against random",
    "better?",
    "against base",
    "harms?",
)
GOOD, BAD, OPEN = "green", "red", "yellow"
STYLES = {
    "better?": {"yes": GOOD, "worse": BAD, "no": BAD, "unclear": OPEN},
    "harms?": {"yes": BAD, "no": GOOD, "unclear": OPEN},
}
READINGS = ("strict", "flexible", "numeric", "accuracy_outside_tiny")
READING_HEADINGS = ("method", "strict", "flexible", "numeric", "outside the tiny set")
NOT_IDENTIFIED = (
    "Weights relative to the largest, with 90 % intervals. They are not identified: "
    "correlated indicators can trade weight at equal reward, so do not read single weights."
)


def read(path: str | Path) -> dict[str, Any]:
    """Read a metrics.json.

    Raises
    ------
    TmapError
        The file is missing, damaged, edited, or of another kind.
    """
    found = read_document("metrics", path)
    try:
        markdown(found)
    except (LookupError, TypeError, AttributeError, ValueError) as fault:
        reason = f"{type(fault).__name__}: {fault}"
        raise broken(
            path, f"its methods are not as tmap writes them ({reason})"
        ) from None
    return found


def rows(metrics: dict[str, Any]) -> list[tuple[str, ...]]:
    """One row of text per method, in the order of `HEADINGS`; differences in points."""
    return [
        (
            name,
            f"{100 * found['accuracy']:.1f} {_range(found['interval'], '.1f')}",
            str(found["n_seeds"]),
            _difference(found["against_random"]),
            (found["against_random"] or {}).get("better", "-"),
            _difference(found["against_base"]),
            (found["against_base"] or {}).get("harms", "-"),
        )
        for name, found in metrics["methods"].items()
    ]


def records(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """The table's rows as numbers, for other programs: shares, None where there is none."""
    return [
        {
            "method": name,
            "accuracy": found["accuracy"],
            **_ends("accuracy", found["interval"]),
            "seeds": found["n_seeds"],
            **_numbers("random", found["against_random"], "better"),
            **_numbers("base", found["against_base"], "harms"),
        }
        for name, found in metrics["methods"].items()
    ]


def _numbers(against: str, found: dict[str, Any] | None, answer: str) -> dict[str, Any]:
    found = found or {}
    ends = found.get("verdict_interval", found.get("interval"))
    name = f"against_{against}"
    return {
        name: found.get("difference"),
        **_ends(name, ends),
        answer: found.get(answer),
    }


def _ends(name: str, bounds: list[float] | None) -> dict[str, float | None]:
    low, high = bounds or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def markdown(metrics: dict[str, Any]) -> str:
    """The table as GitHub Markdown, then notes, weights and warnings as lists."""
    lines = [_caption(metrics), ""]
    lines += [_pipe(HEADINGS), _pipe(("---",) * len(HEADINGS))]
    lines += [_pipe(row) for row in rows(metrics)]
    lines += ["", about(metrics), "", *_items(verdicts(metrics))]
    if readings(metrics):
        lines += ["", _pipe(READING_HEADINGS), _pipe(("---",) * len(READING_HEADINGS))]
        lines += map(_pipe, readings(metrics))
    if weights(metrics):
        lines += ["", NOT_IDENTIFIED, ""]
        lines += [_pipe(("search", "indicator", "weight", "interval"))]
        lines += [_pipe(("---",) * 4), *map(_pipe, weights(metrics))]
    if metrics["warnings"]:
        lines += ["", "Warnings:", "", *_items(metrics["warnings"])]
    return "\n".join(lines) + "\n"


def show_table(metrics: dict[str, Any], console: Console) -> None:
    """Print the results table, with colours only if `console` is a terminal."""
    console.print(_caption(metrics), style="bold", markup=False, highlight=False)
    table = _table(HEADINGS)
    for row in rows(metrics):
        table.add_row(*map(_cell, HEADINGS, row))
    _print(console, table)
    _say(console, about(metrics))


def show(metrics: dict[str, Any], console: Console) -> None:
    """Print the table, readings, verdicts, weights and warnings."""
    show_table(metrics, console)
    if readings(metrics):
        console.print()
        table = _table(READING_HEADINGS)
        for row in readings(metrics):
            table.add_row(*map(Text, row))
        _print(console, table)
    console.print()
    for line in verdicts(metrics):
        _say(console, line)
    if weights(metrics):
        table = _table(("search", "indicator", "weight", "interval"))
        for cells in weights(metrics):
            table.add_row(*map(Text, cells))
        console.print()
        _print(console, table)
        _say(console, NOT_IDENTIFIED)
    for line in metrics["warnings"]:
        console.print(Text(f"warning: {line}", "yellow"), highlight=False)


def verdicts(metrics: dict[str, Any]) -> list[str]:
    """`method: verdict` for each method."""
    return [f"{name}: {found['verdict']}" for name, found in metrics["methods"].items()]


def weights(metrics: dict[str, Any]) -> list[tuple[str, ...]]:
    """(search, indicator, relative weight, interval) per learned weight, as text."""
    found: list[tuple[str, ...]] = []
    for name, method in metrics["methods"].items():
        for search in method["weights"]:
            title = f"{name} s{search['s']}"
            columns = search["indicators"]
            bounds = search["interval"] or [None] * len(columns)
            cells = zip(columns, search["weights_relative"], bounds, strict=True)
            found += [
                (title, column, f"{weight:.2f}", _range(bound, ".2f", 1))
                for column, weight, bound in cells
            ]
        if method["weights_range"]:
            title = f"{name}, {len(method['weights'])} searches"
            ends = zip(
                method["weights"][0]["indicators"], method["weights_range"], strict=True
            )
            found += [
                (title, column, "range", _range(bound, ".2f", 1))
                for column, bound in ends
            ]
    return found


def readings(metrics: dict[str, Any]) -> list[tuple[str, ...]]:
    """Mean accuracy by each reading, per method; empty if all readings agree."""
    found = [
        (name, [[run[key] for key in READINGS] for run in method["runs"]])
        for name, method in metrics["methods"].items()
    ]
    differ = any(
        len({value for value in run if value is not None}) > 1
        for _, table in found
        for run in table
    )
    if not differ:
        return []
    return [(name, *map(_mean, zip(*table, strict=True))) for name, table in found]


def _mean(values: tuple[float | None, ...]) -> str:
    known = [value for value in values if value is not None]
    return f"{100 * sum(known) / len(known):.1f}" if known else "-"


def _caption(metrics: dict[str, Any]) -> str:
    return (
        f"{metrics['dataset']}, {metrics['model']}: accuracy in % "
        f"({metrics['metric']}) on {metrics['n_questions']} questions, 95 % intervals, "
        "differences in points"
    )


def about(metrics: dict[str, Any]) -> str:
    """How to read the intervals of differences."""
    if "minimum_detectable_effect" in metrics:
        return _about_first_version(metrics["minimum_detectable_effect"])
    compared = [
        found["against_random"]
        for found in metrics["methods"].values()
        if found["against_random"]
    ]
    names = [n for n, found in metrics["methods"].items() if is_primary(found)]
    order = f" The claim that comes first: {', '.join(names)}." if names else ""
    n = sum(one["p"] is not None for one in compared)
    many = f"all {n} methods that are tested" if n > 1 else "its test"
    return (
        "Intervals of differences are those of the verdicts: an error of 2.5 % each way "
        f"over {many}.{order}"
    )


def is_primary(found: dict[str, Any]) -> bool:
    """Whether the claim about a method comes first; no earlier version had one."""
    return bool((found["against_random"] or {}).get("primary"))


def _about_first_version(effect: float | None) -> str:
    """The line of a metrics.json that an earlier version wrote."""
    if effect is None:
        return "Minimum detectable effect against random: unknown."
    return (
        f"Minimum detectable effect against random: {100 * effect:.1f} points "
        "(80 % power, two-sided 5 %, the least precise method)."
    )


def _difference(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    ends = found.get("verdict_interval", found["interval"])
    return f"{100 * found['difference']:+.1f} {_range(ends, '+.1f')}"


def _range(bounds: list[float] | None, form: str, scale: float = 100) -> str:
    if bounds is None:
        return "-"
    low, high = (format(scale * bound, form) for bound in bounds)
    return f"[{low}, {high}]"


def _pipe(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _items(lines: list[str]) -> list[str]:
    return [f"- {line}" for line in lines]


def _cell(heading: str, text: str) -> Text:
    return Text(text, STYLES.get(heading, {}).get(text, ""))


def _table(headings: tuple[str, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        right = heading in ("seeds", "weight")
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    return table


def _print(console: Console, table: Table) -> None:
    """Print a table, whose cells a log or a pipe never cuts, however wide they are."""
    width = console.width
    if not console.is_terminal:
        console.width = 1000
        needed = Measurement.get(console, console.options, table).maximum
        console.width = max(width, needed)
    console.print(table)
    console.width = width


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False)

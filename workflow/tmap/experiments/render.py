"""A table of cells for people: Markdown, CSV and LaTeX in the paper's shape, a picture."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tmap.artifacts.files import atomic
from tmap.comparison.plots import SEED_COLOURS
from tmap.experiments.cells import Cells

ESCAPES = str.maketrans({c: f"\\{c}" for c in "&%$#_{}"})
MARKS = (
    "**Best** of a column; <u>best</u> among those that select; \\* better than random "
    "(Holm, whole table)."
)


def grid(cells: Cells) -> tuple[list[str], list[str], dict[tuple[str, str], pd.Series]]:
    """Rows, columns, and (row, column) -> cell for the cells that exist."""
    frame = cells.frame
    rows, columns = (list(dict.fromkeys(frame[k])) for k in ("row", "column"))
    return rows, columns, {(r["row"], r["column"]): r for _, r in frame.iterrows()}


def text(cells: Cells, cell: pd.Series | None) -> str:
    """`55.4 [51.0, 59.2]`, or `-` if nothing was measured."""
    if cell is None or math.isnan(cell["value"]):
        return "-"
    form = f".{cells.decimals}f"
    value, low, high = (
        format(cells.scale * cell[k], form) for k in ("value", "low", "high")
    )
    return value if math.isnan(cell["low"]) else f"{value} [{low}, {high}]"


def markdown(cells: Cells, title: str) -> str:
    """The table as GitHub Markdown, then its lines and a table of the readings."""
    rows, columns, at = grid(cells)
    marked = best(cells)
    lines = [title, "", _pipe(["", *columns]), _pipe(["---"] * (len(columns) + 1))]
    for row in rows:
        found = [_marked(cells, at.get((row, c)), marked, MD) for c in columns]
        lines.append(_pipe([row, *found]))
    spread = cells.frame["low"].notna().any()
    level = "; brackets: intervals (95 %, weights 90 %)" if spread else ""
    lines += ["", f"Unit: {cells.unit}{level}."]
    lines += [MARKS] if cells.best else []
    lines += ["", *(f"- {line}" for line in [*cells.lines, *_absent(cells)])]
    lines += _readings(cells)
    return "\n".join(lines) + "\n"


def latex(cells: Cells, title: str) -> str:
    """The table as LaTeX (booktabs)."""
    rows, columns, at = grid(cells)
    marked = best(cells)
    body = [
        " & ".join(
            [
                row.translate(ESCAPES),
                *(_marked(cells, at.get((row, c)), marked, TEX) for c in columns),
            ]
        )
        + r" \\"
        for row in rows
    ]
    head = " & ".join(["", *(c.translate(ESCAPES) for c in columns)]) + r" \\"
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
            r"\toprule",
            head,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{title.translate(ESCAPES)}. Unit: "
            rf"{cells.unit.translate(ESCAPES)}; brackets: intervals.}}",
            r"\end{table}",
            "",
        ]
    )


def as_csv(cells: Cells) -> str:
    """The same rows and columns; every column with its value and interval ends."""
    rows, columns, at = grid(cells)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    keys = ("value", "low", "high")
    writer.writerow(["", *(f"{c} {k}" for c in columns for k in keys)])
    for row in rows:
        line: list[str] = [row]
        for c in columns:
            cell = at.get((row, c))
            line += [_number(cells, None if cell is None else cell[k]) for k in keys]
        writer.writerow(line)
    return out.getvalue()


def picture(cells: Cells, path: str | Path, title: str) -> None:
    """A chart with intervals as whiskers: lines along the columns, or groups of bars."""
    rows, columns, _ = grid(cells)
    size = (2.5 + 0.22 * len(rows) * max(len(columns), 3), 4.2)
    size = (6.4, 4.2) if cells.along else (min(size[0], 24), size[1])
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    if cells.along:
        _lines(axes, cells)
    else:
        _bars(axes, cells)
    axes.set_ylabel(cells.unit)
    axes.set_title(title, loc="left", fontsize=9)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=8)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _lines(axes: Axes, cells: Cells) -> None:
    """One line per row; columns are numbers with a unit, as `10 %`."""
    rows, columns, at = grid(cells)
    places = [float(column.split()[0]) for column in columns]
    for i, row in enumerate(rows):
        found = np.array(
            [[at[row, c][k] for k in ("value", "low", "high")] for c in columns]
        )
        value, low, high = cells.scale * found.T
        reach = np.array([value - low, high - value])
        colour = SEED_COLOURS[i % len(SEED_COLOURS)]
        axes.errorbar(
            places, value, reach, color=colour, marker="o", capsize=3, label=row
        )
    axes.set_xticks(places, columns)
    axes.set_xlabel(cells.along)


def _bars(axes: Axes, cells: Cells) -> None:
    """One group of bars per row, one bar per column."""
    rows, columns, at = grid(cells)
    width = 0.8 / len(columns)
    for i, column in enumerate(columns):
        colour = SEED_COLOURS[i % len(SEED_COLOURS)]
        for j, row in enumerate(rows):
            cell = at.get((row, column))
            if cell is None or math.isnan(cell["value"]):
                continue
            place = j + (i + 0.5) * width - 0.4
            value, low, high = (cells.scale * cell[k] for k in ("value", "low", "high"))
            name = column if column not in axes.get_legend_handles_labels()[1] else None
            axes.bar(place, value, width, color=colour, label=name)
            axes.plot([place, place], [low, high], color="black", linewidth=1)
    axes.set_xticks(range(len(rows)), rows, rotation=40, ha="right")


def best(cells: Cells) -> dict[tuple[str, str], str]:
    """(row, column) -> `best` or `selected`, the best among rows that select."""
    if not cells.best:
        return {}
    found: dict[tuple[str, str], str] = {}
    turned = set(cells.frame["column"]) & cells.apart and not (
        set(cells.frame["row"]) & cells.apart
    )
    one, other = ("row", "column") if turned else ("column", "row")
    frame = cells.frame[cells.frame["value"].notna() & (cells.frame[other] != "delta")]
    for _, group in frame.groupby(one, sort=False):
        among = group[~group[other].isin(cells.apart)]
        for kind, part in (("selected", among), ("best", group)):
            if part["value"].nunique() > 1:
                top = part[part["value"] == part["value"].max()]
                found |= {
                    (r, c): kind for r, c in zip(top["row"], top["column"], strict=True)
                }
    return found


MD = {"best": "**{}**", "selected": "<u>{}</u>", "better": "{}\\*"}
TEX = {"best": r"\textbf{{{}}}", "selected": r"\underline{{{}}}", "better": "{}$^*$"}


def _marked(
    cells: Cells,
    cell: pd.Series | None,
    marked: dict[tuple[str, str], str],
    how: dict[str, str],
) -> str:
    found = text(cells, cell)
    if cell is None:
        return found
    kind = marked.get((cell["row"], cell["column"]))
    if kind:
        value, _, rest = found.partition(" ")
        found = " ".join(filter(None, [how[kind].format(value), rest]))
    return how["better"].format(found) if cell["better"] == "yes" else found


def _absent(cells: Cells) -> list[str]:
    """Why cells are empty: one line per reason, with the cells that have it."""
    frame = cells.frame[cells.frame["value"].isna() & (cells.frame["note"] != "")]
    return [
        f"Empty, {note}: "
        + ", ".join(f"{r} ({c})" for r, c in zip(*where, strict=True))
        for note, group in frame.groupby("note", sort=False)
        for where in [(group["row"], group["column"])]
    ]


def _readings(cells: Cells) -> list[str]:
    """Accuracy by each reader, if they differ (GSM8K: strict and lenient)."""
    frame, keys = cells.frame, ["strict", "flexible", "numeric"]
    known = frame[frame[keys].notna().all(axis=1)]
    if known.empty or (known[keys].nunique(axis=1) == 1).all():
        return []
    lines = ["", "The same answers by each reader, %:", ""]
    lines += [_pipe(["", "", *keys]), _pipe(["---"] * 5)]
    return lines + [
        _pipe([r["row"], r["column"], *(f"{100 * r[k]:.1f}" for k in keys)])
        for _, r in known.iterrows()
    ]


def _number(cells: Cells, value: float | None) -> str:
    if value is None or math.isnan(value):
        return ""
    return format(cells.scale * value, f".{cells.decimals + 1}f")


def _pipe(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

"""Everything that the page shows, as one JSON value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tmap import __version__
from tmap.artifacts import tables
from tmap.comparison.looks import UNTOUCHED, YARDSTICK
from tmap.page import (
    columns,
    questions,
    rejected,
    results,
    samples,
    searches,
    subsets,
    verdict,
)
from tmap.prompts.renderer import Renderer

#: Characters of the packed texts of questions, and of all rows: 9 MB with the rest.
QUESTIONS, ROWS = 1_500_000, 7_000_000
#: Methods that answers are compared with first.
REFERENCES = [YARDSTICK, UNTOUCHED]


@dataclass(frozen=True)
class Files:
    """What the page is made from.

    Attributes
    ----------
    named : files of runs and searches, subsets, columns and values, in any order
    """

    pool: Path
    rejected: Path
    questions: Path
    named: list[str]


def build(
    metrics: dict[str, Any], files: Files, renderer: Renderer, limit: int
) -> dict[str, Any]:
    """The content of the page: plain numbers, text, lists and None.

    Parameters
    ----------
    metrics : content of metrics.json
    renderer : of the target model, without stop texts
    limit : most tokens of a training row
    """
    asked = tables.read("questions", files.questions).set_index("question_id")
    found = results.load(metrics, files.pool, asked.index, files.named)
    top = verdict.look(metrics)
    indicators = columns.look(found)
    ran = found.finished.runs
    reader = metrics["metric"]
    taken = [run.predictions[questions.column(reader)] for run in ran]
    top["warnings"] += [
        _mark(column) for column in indicators["columns"] if column["marks"]
    ]
    top["warnings"].sort(key=lambda warning: not warning["grave"])
    named = [row for c in indicators["columns"] for row, _ in c["outliers"]["rows"]]
    return {
        "title": f"{metrics['dataset']}, {metrics['model']}",
        "dataset": metrics["dataset"],
        "model": metrics["model"],
        "metric": metrics["metric"],
        "n_questions": metrics["n_questions"],
        "verdict": top,
        "methods": verdict.table(metrics),
        "searches": searches.look(found),
        "indicators": indicators,
        "samples": samples.look(
            found, files.pool, top["method"], named, renderer, limit, ROWS
        ),
        "subsets": subsets.look(
            [(s.name, s.rows) for s in found.subsets], len(found.pool), found.foreign
        ),
        "questions": questions.look(
            ran, taken, asked, top["method"], REFERENCES, QUESTIONS
        )
        | {"reader": reader, "first": top["method"], "against": REFERENCES, "note": ""},
        "rejected": rejected.look(files.rejected),
        "provenance": _provenance(metrics),
    }


def _mark(column: dict[str, Any]) -> dict[str, Any]:
    text = f"indicator {column['name']}: {'; '.join(column['marks'])}"
    return {"text": text, "grave": True, "section": "indicators"}


def _provenance(metrics: dict[str, Any]) -> dict[str, Any]:
    about = metrics["provenance"]
    room = f"results/{metrics['dataset']}/{metrics['model']}"
    pool = {
        k: v for k, v in metrics["pool"].items() if isinstance(v, (str, int, float))
    }
    return {
        "page": __version__,
        "cost": metrics["cost"],
        "pool": pool,
        "model": about["model"],
        "versions": about["versions"],
        "commit": about["commit"],
        "statistics": metrics["statistics"],
        "repeat": f"tmap run {room}/report.html",
        "room": room,
    }

"""Tables 1 to 5: accuracy after training, by method, dataset and model.

Every cell is the mean over runs with its interval. Claims against `random` and `base`
are ordered and adjusted over all cells of the table.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from tmap import cards, dag
from tmap.artifacts import tables
from tmap.cards.experiment import ExperimentCard
from tmap.comparison import caveats, statistics, verdicts
from tmap.comparison.claims import Key
from tmap.comparison.looks import UNTOUCHED, YARDSTICK, Plan
from tmap.comparison.runs import READINGS, Runs, load_answers
from tmap.experiments.cells import Cells


def build(card: ExperimentCard) -> Cells:
    """Rows are methods, columns datasets and models (or the other way round)."""
    loaded, margins, told = {}, {}, []
    for model, dataset in product(card.models, card.datasets):
        name = column(card, dataset, model)
        loaded[name] = load_answers(
            dag.comparison.measured(dataset, model, card.methods, card.seeds)
        )
        margins[name] = cards.load("datasets", dataset).margin
        told += [f"{name}: {text}" for text in faults(card, dataset, loaded[name])]
    found = compare(card, loaded, margins)
    found.lines += [*_runs_line(found, card), *dict.fromkeys(told)]
    return found


def faults(card: ExperimentCard, dataset: str, runs: Runs) -> list[str]:
    """The caveats about these runs that metrics.json would contain, a sentence each.

    Raises
    ------
    TmapError : a search may have asked a held-out test question
    """
    about = cards.load("datasets", dataset)
    asked = dag.experiments.asked(card, dataset)
    seen = {q for f in asked for q in tables.read("tiny", f)["question_id"]}
    caveats.refuse_leaks(runs, seen, about.protocol)
    found = []
    if about.protocol == "paper":
        found.append("protocol paper: a search may have asked the test questions")
    pool, tiny = (
        tables.metadata(f) for f in (f"results/{dataset}/pool.parquet", asked[0])
    )
    found += caveats.warnings(runs, pool, tiny, about.overlap.warn_above, about.metric)
    shared = [
        method
        for method in runs.methods
        if caveats.share_one_search(runs.of(method), runs.searches_of(method))
    ]
    if shared:
        found.append(
            f"all runs of {', '.join(shared)} share one search: the interval does not "
            "include the variation between searches (vary_search_seed)"
        )
    return found


def column(card: ExperimentCard, dataset: str, model: str) -> str:
    """The column heading for a pair of cards."""
    pieces = [card.label(model)] if len(card.models) > 1 else []
    if len(card.datasets) > 1 or not pieces:
        pieces.append(card.label(dataset))
    return " ".join(pieces)


def compare(
    card: ExperimentCard, loaded: dict[str, Runs], margins: dict[str, float]
) -> Cells:
    """Cells and verdicts of all columns together."""
    plan = Plan(tuple(dag.comparison.primary(card.methods, card.primary)))
    random, base = verdicts.compare(loaded, plan, margins)
    found = Cells([], "accuracy, %", best=True, apart=_apart(card))
    primary = []
    for name, runs in loaded.items():
        for method in card.methods:
            better, harms = random.get((name, method)), base.get((name, method))
            cell = _cell(runs, method) | _tests(better, harms)
            cell["note"] = verdicts.sentence(method, better, harms)
            if better and better["primary"]:
                primary.append(f"{card.label(method)}, {name}: {cell['note']}")
            _add(found, card, card.label(method), name, cell)
        if card.delta:
            _add(found, card, "delta", name, _delta(card.delta, runs))
    found.lines = [*primary, *_verdicts(found, card)]
    found.lines += _family_line(random, card, plan)
    return found


def _add(
    found: Cells, card: ExperimentCard, row: str, name: str, cell: dict[str, Any]
) -> None:
    row, name = (name, row) if card.transpose else (row, name)
    found.rows.append({"row": row, "column": name, **cell})


def _cell(runs: Runs, method: str) -> dict[str, Any]:
    answers = runs.arm(method)
    low, high = statistics.accuracy_interval(answers)
    cell: dict[str, Any] = {
        "value": float(answers.mean()),
        "low": low,
        "high": high,
        "n_runs": len(answers),
    }
    for reading in READINGS:
        shares = [run.accuracy(f"is_{reading}") for run in runs.of(method)]
        known = [share for share in shares if share is not None]
        cell[reading] = float(np.mean(known)) if known else float("nan")
    return cell


def _tests(random: dict | None, base: dict | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if random:
        found |= {
            "against_random": random["difference"],
            "random_low": random["verdict_interval"][0],
            "random_high": random["verdict_interval"][1],
            "p_random": float("nan") if random["p_holm"] is None else random["p_holm"],
            "better": random["better"],
        }
    if base:
        found |= {"against_base": base["difference"], "harms": base["harms"]}
    return found


def _delta(pair: tuple[str, str], runs: Runs) -> dict[str, Any]:
    first, second = (statistics.Arm.of(runs.arm(name)) for name in pair)
    found = statistics.difference(first, second)
    low, high = found.interval()
    note = f"{pair[0]} minus {pair[1]}, paired by question"
    return {"value": found.value, "low": low, "high": high, "note": note}


def _apart(card: ExperimentCard) -> frozenset[str]:
    """Rows that select nothing, or use unknowable labels; these are never marked best."""
    found = {"delta"}
    for method in card.methods:
        how = cards.load("methods", method)
        if how.weights in ("none", "oracle") or how.fraction == 1:
            found.add(card.label(method))
    return frozenset(found)


def _runs_line(found: Cells, card: ExperimentCard) -> list[str]:
    """The number of runs of a cell, if that differs between cells."""
    rows: dict[int, list[str]] = {}
    for cell in found.rows:
        name = cell["column" if card.transpose else "row"]
        if cell.get("n_runs") and name not in rows.setdefault(cell["n_runs"], []):
            rows[cell["n_runs"]].append(name)
    most = max(rows, default=0)
    fewer = [
        f"{n}: {', '.join(names)}" for n, names in sorted(rows.items()) if n < most
    ]
    return [f"Runs of a cell: {most}; {'; '.join(fewer)}."] if fewer else []


def _verdicts(found: Cells, card: ExperimentCard) -> list[str]:
    """One line per method: the columns in which it is better, or in which it harms."""
    where = "column" if card.transpose else "row"
    lines = []
    for name in dict.fromkeys(cell[where] for cell in found.rows):
        cells = [c for c in found.rows if c[where] == name and name != "delta"]
        if cells and any(c.get("better") or c.get("harms") for c in cells):
            better = _count(cells, "better")
            lines.append(
                f"{name}: better than random {better or 'not compared'}; harms base "
                f"{_count(cells, 'harms') or 'not compared'}."
            )
        elif cells:
            lines.append(f"{name}: {UNTOUCHED if name == UNTOUCHED else 'no test'}.")
    return lines


def _count(cells: list[dict[str, Any]], key: str) -> str:
    said = [cell[key] for cell in cells if cell.get(key)]
    if len(said) == 1:
        return str(said[0])
    kinds = ("yes", "worse", "no", "unclear", "untested")
    return ", ".join(f"{said.count(k)} {k}" for k in kinds if k in said)


def _family_line(
    random: dict[Key, dict[str, Any]], card: ExperimentCard, plan: Plan
) -> list[str]:
    tested = [key for key, one in random.items() if one["p"] is not None]
    if not tested:
        return []
    first = [method for method in plan.primary if any(m == method for _, m in tested)]
    n_first = sum(method in first for _, method in tested)
    told = f"Tests against {YARDSTICK}: {len(tested)}, adjusted over the whole table"
    if not first or n_first == len(tested):
        return [f"{told} (Holm)."]
    names = ", ".join(map(card.label, first))
    return [
        f"{told}: first the {n_first} of {names}, then the other {len(tested) - n_first} "
        "(Holm in each group)."
    ]

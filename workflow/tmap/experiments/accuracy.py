"""Tables 1 to 5: accuracy after training, by method, dataset and model.

Every cell is the mean over runs with its interval. Claims against `random` and `base`
are adjusted over all cells of the table: one family each.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from tmap import cards, dag
from tmap.artifacts import tables
from tmap.cards.experiment import ExperimentCard
from tmap.comparison import caveats, claims, statistics
from tmap.comparison.claims import UNTOUCHED
from tmap.comparison.runs import READINGS, Run, Runs, load
from tmap.experiments.cells import Cells


def build(card: ExperimentCard) -> Cells:
    """Rows are methods, columns datasets and models (or the other way round)."""
    loaded, told = {}, []
    for model, dataset in product(card.models, card.datasets):
        name = column(card, dataset, model)
        loaded[name] = read(
            dag.comparison.measured(dataset, model, card.methods, card.seeds)
        )
        told += [f"{name}: {text}" for text in faults(card, dataset, loaded[name])]
    found = compare(card, loaded, card.methods)
    found.lines += [*_runs_line(found, card), *dict.fromkeys(told)]
    return found


def read(files: list[str]) -> Runs:
    """Finished runs; they must all answer the same questions as the first."""
    first = next(f for f in files if f.endswith("predictions.parquet"))
    asked = tables.read("predictions", first, ["question_id"])["question_id"]
    return load(files, asked)


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


def compare(card: ExperimentCard, loaded: dict[str, Runs], methods: list[str]) -> Cells:
    """Cells, verdicts and effects of all columns together."""
    arms = {c: {n: runs.of(n) for n in runs.methods} for c, runs in loaded.items()}
    drawn = statistics.n_resamples(sum(len(runs.methods) for runs in loaded.values()))
    means = {
        c: statistics.bootstrap_means({n: runs.arm(n) for n in runs.methods}, drawn)
        for c, runs in loaded.items()
    }
    families = {c: claims.random_family(means[c]) for c in loaded}
    random = claims.jointly(families, claims.random_claims)
    families = {c: claims.base_family(means[c]) for c in loaded}
    base = claims.jointly(families, claims.base_claims)
    found = Cells([], "accuracy, %", best=True, apart=_apart(card, methods))
    effects = []
    for name in loaded:
        against = claims.against_random(arms[name], means[name], random[name])
        harms = claims.against_base(arms[name], means[name], base[name])
        for method in methods:
            cell = _cell(arms[name][method], means[name][method])
            cell |= _tests(against.get(method), harms.get(method))
            cell["note"] = claims.sentence(
                method, against.get(method), harms.get(method)
            )
            _add(found, card, card.label(method), name, cell)
        if card.delta:
            _add(found, card, "delta", name, _delta(card.delta, arms, means, name))
        effects += [a["minimum_detectable_effect"] for a in against.values()]
    found.lines = [
        _effect(effects),
        *_verdicts(found, card),
        *_family_line(random, drawn),
    ]
    return found


def _add(
    found: Cells, card: ExperimentCard, row: str, name: str, cell: dict[str, Any]
) -> None:
    row, name = (name, row) if card.transpose else (row, name)
    found.rows.append({"row": row, "column": name, **cell})


def _cell(arms: list[Run], mean: statistics.Arm) -> dict[str, Any]:
    answers = np.stack([run.is_correct for run in arms])
    low, high = statistics.accuracy_interval(answers, mean)
    cell: dict[str, Any] = {
        "value": float(answers.mean()),
        "low": low,
        "high": high,
        "n_runs": len(arms),
    }
    for reading in READINGS:
        shares = [run.accuracy(f"is_{reading}") for run in arms]
        known = [share for share in shares if share is not None]
        cell[reading] = float(np.mean(known)) if known else float("nan")
    return cell


def _tests(random: dict | None, base: dict | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if random:
        found |= {
            "against_random": random["difference"],
            "random_low": random["interval"][0],
            "random_high": random["interval"][1],
            "p_random": random["p_holm"],
            "better": random["better"],
        }
    if base:
        found |= {"against_base": base["difference"], "harms": base["harms"]}
    return found


def _delta(pair: tuple[str, str], arms: Any, means: Any, name: str) -> dict[str, Any]:
    first, second = (arms[name][method] for method in pair)
    samples = statistics.difference(means[name][pair[0]], means[name][pair[1]])
    low, high = statistics.interval(samples)
    value = np.mean([r.is_correct.mean() for r in first])
    value -= np.mean([r.is_correct.mean() for r in second])
    note = f"{pair[0]} minus {pair[1]}, paired by question"
    return {"value": float(value), "low": low, "high": high, "note": note}


def _apart(card: ExperimentCard, methods: list[str]) -> frozenset[str]:
    """Rows that select nothing, or use unknowable labels; these are never marked best."""
    found = {"delta"}
    for method in methods:
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


def _effect(effects: list[float | None]) -> str:
    known = [effect for effect in effects if effect is not None]
    if not known:
        return "Minimum detectable effect against random: unknown."
    return (
        f"Minimum detectable effect against random: {100 * max(known):.1f} points (80 % "
        "power, two-sided 5 %, the least precise cell, one test)."
    )


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
    kinds = ("yes", "no", "unclear")
    return ", ".join(f"{said.count(k)} {k}" for k in kinds if k in said)


def _family_line(random: dict[str, Any], drawn: int) -> list[str]:
    n = sum(len(pair[0]) for pair in random.values())
    if not n:
        return []
    return [
        f"Tests against random: one family of {n}, Holm-adjusted over the whole table; "
        f"{drawn} resamples, questions jointly, seeds by Student's t."
    ]

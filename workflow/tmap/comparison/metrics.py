"""Everything measured for one dataset and model, as one JSON document.

Accuracies, intervals and differences are shares, not percentages. There are no times in
it: the same runs give the same document.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection
from typing import Any

import numpy as np

from tmap.artifacts import tables
from tmap.artifacts.provenance import PACKAGE, versions
from tmap.comparison import caveats, order, statistics, verdicts
from tmap.comparison.looks import MIN_SEEDS, UNTOUCHED, YARDSTICK, Plan
from tmap.comparison.runs import READINGS, Run, Runs, Search

#: 2: verdicts have an order, intervals of their own and a forecast.
VERSION = 2
#: Keys of a model's record that say nothing about the model.
ABOUT_RECORD = ("path", "made", "versions")
TRAINING = (
    "n_samples n_tokens n_trained_tokens truncated dropped steps final_loss".split()
)
CERTIFICATE = (
    "verdict reason rho p interval recommended safe threshold n_sentinels n_seeds "
    "n_questions jaccard_range"
).split()
SEARCH = (
    "indicators weights weights_relative interval reward reward_search uniform_reward "
    "estimator estimator_reason confirm n_evaluations process groups probe"
).split()


def collect(
    runs: Runs,
    *,
    dataset: str,
    model: str,
    metric: str,
    warn_overlap: float,
    margin: float,
    plan: str,
    pool: dict[str, Any],
    rejected: dict[str, Any],
    tiny: dict[str, Any],
    seen: Collection[str],
    protocol: str,
    record: dict[str, Any],
) -> dict[str, Any]:
    """Compare all methods and gather what they cost and what went wrong.

    Parameters
    ----------
    runs : from `runs.load`
    metric : the reading that defines is_correct, from the dataset card
    warn_overlap : share of the pool dropped for overlap above which to warn
    margin : share of accuracy that does not matter, from the dataset card
    plan : JSON from `dag.comparison.plan_text`: which claims come first, and the looks
    pool, rejected, tiny : metadata of these tables
    seen : ids of the questions that a search may have asked
    protocol : under which the questions were split; `paper` lets a search see them
    record : content of the fetched model's record

    Returns
    -------
    The content of metrics.json: plain numbers, text, lists and None, never NaN

    Raises
    ------
    TmapError : a search may have asked a held-out test question
    """
    caveats.refuse_leaks(runs, seen, protocol)
    methods = {name: runs.of(name) for name in runs.methods}
    planned = json.loads(plan)
    random, base = (
        {name: one for (_, name), one in found.items()}
        for found in verdicts.compare({"": runs}, Plan.of(planned), {"": margin})
    )
    return {
        "version": VERSION,
        "dataset": dataset,
        "model": model,
        "metric": metric,
        "n_questions": len(runs.runs[0].predictions),
        "methods": {
            name: {
                **_accuracy(arms, _asked(arms, runs.searches_of(name), seen)),
                "against_random": random.get(name),
                "against_base": base.get(name),
                "verdict": verdicts.sentence(name, random.get(name), base.get(name))
                + caveats.one_search(arms, runs.searches_of(name))
                + _proxy(runs.searches_of(name)),
                "certificate": _certificate(runs.searches_of(name)),
                "training": _training(arms),
                "weights": [_weights(found) for found in runs.searches_of(name)],
                "weights_range": _range(runs.searches_of(name)),
            }
            for name, arms in methods.items()
        },
        "statistics": _design(random, base, planned, margin),
        "pool": {"n": pool["rows"]["total"], "rejected": rejected["rows"]["total"]}
        | _notes(pool),
        "tiny": _notes(tiny),
        "warnings": caveats.warnings(runs, pool, tiny, warn_overlap, metric),
        "cost": _cost(runs),
        "provenance": _provenance(runs, pool, tiny, record),
    }


def _asked(
    arms: list[Run], searches: list[Search], seen: Collection[str]
) -> Collection[str]:
    """Questions that a method's search may have asked.

    All of them with `full`, and if it asked groups, which are not kept to the tiny set.
    """
    everything = any(
        found.weights.get("estimator") == "full" or found.weights.get("groups")
        for found in searches
    )
    return list(arms[0].predictions.index) if everything else seen


def _accuracy(arms: list[Run], seen: Collection[str]) -> dict[str, Any]:
    answers = np.stack([run.is_correct for run in arms])
    return {
        "runs": [_run(run, seen) for run in arms],
        "accuracy": float(answers.mean()),
        "interval": list(statistics.accuracy_interval(answers)),
        "n_seeds": len(arms),
        "n_selections": len({run.s for run in arms}),
    }


def _run(run: Run, seen: Collection[str]) -> dict[str, Any]:
    answers = run.is_correct
    outside = ~run.predictions.index.isin(seen)
    return {
        "s": run.s,
        "t": run.t,
        "accuracy": float(answers.mean()),
        "interval": list(statistics.wilson(int(answers.sum()), len(answers))),
        **{name: run.accuracy(column) for name, column in READINGS.items()},
        "accuracy_outside_tiny": None
        if outside.all() or not outside.any()
        else float(answers[outside].mean()),
    }


def _certificate(searches: list[Search]) -> dict[str, Any] | None:
    """The certificate of the first search; None if none was requested."""
    found = [search.certificate for search in searches if search.certificate]
    return {key: found[0][key] for key in CERTIFICATE} if found else None


def _proxy(searches: list[Search]) -> str:
    """The certificate in a sentence, with its recommendation."""
    found = _certificate(searches)
    if found is None:
        return ""
    why = found["reason"]
    if found["interval"]:
        low, high = found["interval"]
        why = (
            f"rank correlation of reward and training {found['rho']:+.2f}, 90 % interval "
            f"{low:+.2f} to {high:+.2f}, {found['n_sentinels']} subsets"
        )
    text = f" Proxy: {found['verdict']} ({why})"
    if found["verdict"] == "abstain":
        text += f"; recommended instead: {found['recommended']}"
    return f"{text}."


def _range(searches: list[Search]) -> list[list[float]] | None:
    """Lowest and highest relative weight of each indicator over several searches."""
    if len(searches) < 2:
        return None
    found = np.array([search.weights["weights_relative"] for search in searches])
    ends: list[list[float]] = np.stack(
        [found.min(axis=0), found.max(axis=0)], 1
    ).tolist()
    return ends


def _training(arms: list[Run]) -> dict[str, Any] | None:
    """Means over runs of the counts in train.json; None for a method without training."""
    reports = [run.training for run in arms if run.training is not None]
    if not reports:
        return None
    found: dict[str, Any] = {}
    for key in TRAINING:
        values = [report[key] for report in reports if report.get(key) is not None]
        found[key] = float(np.mean(values)) if values else None
    return found


def _weights(search: Search) -> dict[str, Any]:
    return {"s": search.s} | {key: search.weights.get(key) for key in SEARCH}


def _notes(about: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in about.items() if key not in tables.STANDARD}


def _design(
    random: dict[str, Any], base: dict[str, Any], plan: dict[str, Any], margin: float
) -> dict[str, Any]:
    """How verdicts were reached: names of the claims that were tested, and the plan."""
    return {
        "level": statistics.LEVEL,
        "one_sided_alpha": round(statistics.ALPHA, 12),
        "kept_for_others": order.KEPT,
        "min_seeds": MIN_SEEDS,
        "margin": margin,
        "plan": plan,
        "families": {
            YARDSTICK: [n for n, one in random.items() if one["p"] is not None],
            UNTOUCHED: [n for n, one in base.items() if one["p"] is not None],
        },
    }


def _cost(runs: Runs) -> dict[str, Any]:
    """Per method: sums over searches and over training runs; None if unknown."""
    return {
        method: {
            "search_evaluations": _sum(
                found.weights.get("n_evaluations") for found in runs.searches_of(method)
            ),
            "search_tokens": _sum(
                found.weights.get("new_tokens") for found in runs.searches_of(method)
            ),
            "training_tokens": _sum(
                (run.training or {}).get("n_trained_tokens") for run in runs.of(method)
            ),
        }
        for method in runs.methods
    }


def _sum(values: Any) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _provenance(
    runs: Runs, pool: dict[str, Any], tiny: dict[str, Any], record: dict[str, Any]
) -> dict[str, Any]:
    return {
        "code": {
            "pool": [pool["code"]],
            "tiny": [tiny["code"]],
            "trace": sorted({search.code for search in runs.searches}),
            "predictions": sorted({run.code for run in runs.runs}),
        },
        "seeds": {
            method: [[run.s, run.t] for run in runs.of(method)]
            for method in runs.methods
        },
        "model": {k: value for k, value in record.items() if k not in ABOUT_RECORD},
        "versions": versions(),
        "commit": _commit(),
    }


def _commit() -> str | None:
    """The git commit of the library, `-dirty` if edited; None outside a checkout."""
    command = ["git", "-C", str(PACKAGE), "describe", "--always", "--dirty"]
    command += ["--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None

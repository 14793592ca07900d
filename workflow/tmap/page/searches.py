"""What the searches did: reward by evaluation, weights, the group model, confirmation."""

from __future__ import annotations

from typing import Any

from tmap.comparison.runs import Search
from tmap.page.results import Results

#: Points of a trace that are drawn; of a longer one, an even sample and the best.
POINTS = 1000
KEPT = (
    "indicators weights_relative interval abstains reward uniform_reward confirm "
    "n_evaluations estimator estimator_reason groups value process probe"
).split()


def look(found: Results) -> list[dict[str, Any]]:
    """One entry per search, in the order of the comparison."""
    return [_search(search) for search in found.finished.searches]


def _search(search: Search) -> dict[str, Any]:
    trace = search.trace
    step = -(-len(trace) // POINTS)
    best = trace["reward"].idxmax() if len(trace) else None
    shown = trace[(trace.index % max(step, 1) == 0) | (trace.index == best)]
    points = [
        [int(i), _number(reward), _number(error), bool(raced), _numbers(weights)]
        for i, reward, error, raced, weights in zip(
            shown["iteration"],
            shown["reward"],
            shown["reward_se_groups"],
            shown["raced"],
            shown["weights"],
            strict=True,
        )
    ]
    return {
        "method": search.method,
        "s": search.s,
        "by_round": bool(search.weights.get("groups")),
        "trace": points,
        "n_trace": len(trace),
        **{key: search.weights.get(key) for key in KEPT},
    }


def _number(value: float) -> float | None:
    return None if value != value else round(float(value), 5)


def _numbers(values: Any) -> list[float | None]:
    return [_number(float(value)) for value in values]

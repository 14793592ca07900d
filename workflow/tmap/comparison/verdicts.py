"""Verdicts as metrics.json has them: plain values, and a sentence for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tmap.comparison import claims, forecast, statistics
from tmap.comparison.claims import Key, Verdict
from tmap.comparison.looks import MIN_SEEDS, UNTOUCHED, YARDSTICK, Plan
from tmap.comparison.runs import Runs
from tmap.comparison.statistics import Arm


def at_look(runs: Runs, plan: str, margin: float) -> dict[str, Any]:
    """Whether the primary claims are decided with these runs.

    Parameters
    ----------
    runs : of random and of the primary methods
    plan : JSON from `dag.comparison.plan_text`
    margin : the share of accuracy that does not matter

    Returns
    -------
    decided : no further look is needed
    answers : method -> yes | worse | no | unclear | untested
    runs : method -> how many there are
    """
    arms = runs.arms()
    found = claims.against_random({"": arms}, Plan.of(json.loads(plan)), {"": margin})
    return {
        "decided": claims.decided(found),
        "answers": {name: one.answer for (_, name), one in found.items()},
        "runs": {name: len(arm) for name, arm in arms.items()},
    }


def compare(
    columns: Mapping[str, Runs], plan: Plan, margins: Mapping[str, float]
) -> tuple[dict[Key, dict[str, Any]], dict[Key, dict[str, Any]]]:
    """Every method of every column of a table with random, and with base.

    Parameters
    ----------
    columns : column -> all its runs
    margins : column -> the share of accuracy that does not matter
    """
    cells = {name: runs.arms() for name, runs in columns.items()}
    random = claims.against_random(cells, plan, margins)
    base = claims.against_base(cells, plan, margins)
    return (
        {
            (name, method): _against_random(found, columns[name], method, margins[name])
            for (name, method), found in random.items()
        },
        {
            (name, method): _against_base(found, columns[name], method, margins[name])
            for (name, method), found in base.items()
        },
    )


def _against_random(
    found: Verdict, runs: Runs, method: str, margin: float
) -> dict[str, Any]:
    """The comparison of a method with `random`.

    Returns
    -------
    difference, interval (95 %, of this comparison alone), verdict_interval, better,
    primary, p (of "not better", alone), p_holm (among the others), margin, enough_seeds,
    n_looks, forecast, mcnemar
    """
    return {
        **_common(found, runs, method, YARDSTICK),
        "better": found.answer,
        "primary": found.primary,
        "margin": margin,
        "n_looks": len(found.evidence.looks),
        "forecast": _forecast(found, runs, method, margin),
    }


def _against_base(
    found: Verdict, runs: Runs, method: str, margin: float
) -> dict[str, Any]:
    """The comparison of a method with the untrained model; p is of harm."""
    return {
        **_common(found, runs, method, UNTOUCHED),
        "harms": found.answer,
        "margin": margin,
    }


def _common(found: Verdict, runs: Runs, method: str, reference: str) -> dict[str, Any]:
    claim = found.above if reference == YARDSTICK else found.below
    last = found.evidence.last
    return {
        "difference": last.value,
        "interval": _inside(last.interval()),
        "verdict_interval": _inside(found.interval),
        "p": claim.p if claim else None,
        "p_holm": claim.adjusted if claim else None,
        "enough_seeds": found.enough,
        "mcnemar": _mcnemar(runs, method, reference),
    }


def _inside(ends: tuple[float, float]) -> list[float]:
    """Student's t is unbounded; a difference of shares is not."""
    return [max(-1.0, ends[0]), min(1.0, ends[1])]


def _forecast(
    found: Verdict, runs: Runs, method: str, margin: float
) -> dict[str, Any] | None:
    if found.answer != "unclear":
        return None
    mine, theirs = (Arm.of(runs.arm(name)) for name in (method, YARDSTICK))
    told = forecast.forecast(found, mine, theirs, margin)
    return {
        "more_runs_of_random": told.random,
        "more_runs_of_each": told.each,
        "questions": told.questions,
        "verdict": told.answer,
        "power": forecast.POWER,
        "words": forecast.words(told),
    }


def _mcnemar(runs: Runs, method: str, reference: str) -> list[dict[str, Any]]:
    """Runs paired by training seed; every run is paired with the one of `base`."""
    others = {run.t: run for run in runs.of(reference)}
    found = []
    for run in runs.of(method):
        other = runs.of(UNTOUCHED)[0] if reference == UNTOUCHED else others.get(run.t)
        if other is None:
            continue
        mine, theirs, p = statistics.mcnemar(run.is_correct, other.is_correct)
        found.append({"t": run.t, "only_method": mine, "only_other": theirs, "p": p})
    return found


def sentence(
    method: str,
    random: dict[str, Any] | None,
    base: dict[str, Any] | None,
) -> str:
    """The verdict on a method in one sentence, differences in points."""
    if method == UNTOUCHED:
        return "The target model as it is, without training."
    parts = []
    if method == YARDSTICK:
        parts.append("a random subset, the yardstick")
    elif random is None:
        parts.append("not compared with random, which has no run here")
    else:
        first = "primary claim: " if random["primary"] else ""
        parts.append(first + _random_words(random))
    if base is None:
        parts.append("not compared with base, which has no run here")
    else:
        parts.append(_base_words(base))
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _points(found: dict[str, Any]) -> str:
    low, high = (100 * bound for bound in found["verdict_interval"])
    return f"{100 * found['difference']:+.1f} points, {low:+.1f} to {high:+.1f}"


def _random_words(found: dict[str, Any]) -> str:
    size = f"{100 * found['margin']:g} point{'' if found['margin'] == 0.01 else 's'}"
    words = {
        "yes": "better than random",
        "worse": "worse than random",
        "no": f"no better than random by more than {size}",
        "unclear": "unclear whether better than random",
        "untested": "not tested against random",
    }
    text = f"{words[found['better']]} ({_points(found)}"
    if found["forecast"]:
        text += f"; {found['forecast']['words']}"
    return f"{text}{_untested(found, found['better'])})"


def _base_words(found: dict[str, Any]) -> str:
    words = {
        "yes": "harms the base model",
        "no": "does not harm the base model",
        "unclear": "harm to the base model unclear",
        "untested": "harm to the base model not tested",
    }
    untested = _untested(found, found["harms"])
    return f"{words[found['harms']]} ({_points(found)}{untested})"


def _untested(found: dict[str, Any], answer: str) -> str:
    if answer != "untested":
        return ""
    if not found["enough_seeds"]:
        return f"; a verdict needs {MIN_SEEDS} runs"
    return "; every question was answered alike"

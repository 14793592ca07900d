"""Is a method better than random? Does it harm the base model? Yes, no or unclear.

There are two families of claims, each adjusted by Holm's procedure on its own: all methods
against `random`, and all methods (including `random`) against `base`.

better than random
    yes: the adjusted lower bound of method - random is above 0.
    no: the adjusted upper bound is below 0, that is, random is better.
harms base
    yes: the adjusted upper bound of method - base is below 0.
    no: the adjusted lower bound is above -1 point (`MARGIN`): no larger loss.

Everything else is unclear. So is every comparison with fewer than 3 runs (`MIN_SEEDS`) of
the method or of random, and one in which both answer every question alike. `base` has one
evaluation, which is greedy and so the same every time: it needs no seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tmap.comparison import statistics
from tmap.comparison.runs import Run

YARDSTICK, UNTOUCHED = "random", "base"
MIN_SEEDS = 3
#: A loss against base up to this share (1 point) counts as no harm.
MARGIN = 0.01


#: The results of a family of tests in one direction and in the other: method -> claim.
Claims = tuple[Mapping[str, statistics.Claim], Mapping[str, statistics.Claim]]


def random_claims(family: Mapping[str, np.ndarray]) -> Claims:
    """Better than random, and worse: each direction is adjusted on its own."""
    return statistics.holm(family), statistics.holm(_negative(family))


def base_claims(family: Mapping[str, np.ndarray]) -> Claims:
    """Below base, and above base minus the margin."""
    safe = {name: samples + MARGIN for name, samples in family.items()}
    return statistics.holm(_negative(family)), statistics.holm(safe)


def jointly(
    families: Mapping[str, Mapping[str, np.ndarray]],
    claims: Callable[[Mapping[str, np.ndarray]], Claims],
) -> dict[str, Claims]:
    """Claims per cell of a table; the methods of all its cells are one family.

    Parameters
    ----------
    families : cell -> method -> (B,) resampled differences
    claims : `random_claims` or `base_claims`
    """
    flat = {(c, m): s for c, found in families.items() for m, s in found.items()}
    names = {key: f"{key[0]} {key[1]}" for key in flat}
    both = claims({names[key]: samples for key, samples in flat.items()})

    def of(cell: str, one: Mapping[str, statistics.Claim]) -> dict:
        return {m: one[names[c, m]] for c, m in flat if c == cell}

    return {cell: (of(cell, both[0]), of(cell, both[1])) for cell in families}


def against_random(
    runs: Mapping[str, list[Run]],
    means: Mapping[str, statistics.Arm],
    claims: Claims | None = None,
) -> dict[str, dict[str, Any]]:
    """Compare each method with `random`, except `base`, which selects nothing.

    Parameters
    ----------
    runs : method -> its runs
    means : method -> its mean accuracy, from one `bootstrap_means`
    claims : of a larger family that these methods belong to; None: they are the family
        themselves

    Returns
    -------
    method -> {difference, interval, p_holm, lower_holm, better,
    minimum_detectable_effect, mcnemar}; empty without `random`
    """
    family = random_family(means)
    above, below = claims or random_claims(family)
    found = {}
    for name, samples in family.items():
        enough = min(len(runs[name]), len(runs[YARDSTICK])) >= MIN_SEEDS
        decidable = enough and _told_apart(samples)
        found[name] = {
            **_difference(runs, name, YARDSTICK, samples),
            "p_holm": above[name].p_holm,
            "lower_holm": above[name].lower,
            "better": _answer(above[name].holds, below[name].holds, decidable),
            "enough_seeds": enough,
            "minimum_detectable_effect": _detectable(samples),
            "mcnemar": _mcnemar(runs, name, YARDSTICK),
        }
    return found


def against_base(
    runs: Mapping[str, list[Run]],
    means: Mapping[str, statistics.Arm],
    claims: Claims | None = None,
) -> dict[str, dict[str, Any]]:
    """Compare each method with the untrained model.

    Returns
    -------
    method -> {difference, interval, p_holm (of harm), lower_holm, margin, harms,
    mcnemar}; empty without `base`
    """
    family = base_family(means)
    harm, safe = claims or base_claims(family)
    found = {}
    for name, samples in family.items():
        enough = len(runs[name]) >= MIN_SEEDS
        decidable = enough and _told_apart(samples)
        found[name] = {
            **_difference(runs, name, UNTOUCHED, samples),
            "p_holm": harm[name].p_holm,
            "lower_holm": safe[name].lower - MARGIN,
            "margin": MARGIN,
            "harms": _answer(harm[name].holds, safe[name].holds, decidable),
            "enough_seeds": enough,
            "mcnemar": _mcnemar(runs, name, UNTOUCHED),
        }
    return found


def random_family(means: Mapping[str, statistics.Arm]) -> dict[str, np.ndarray]:
    """(B,) differences from `random` of every method except `base`."""
    return _family(means, YARDSTICK, leave_out=UNTOUCHED)


def base_family(means: Mapping[str, statistics.Arm]) -> dict[str, np.ndarray]:
    """(B,) differences from `base` of every method."""
    return _family(means, UNTOUCHED)


def _negative(family: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: -samples for name, samples in family.items()}


def _family(
    means: Mapping[str, statistics.Arm], reference: str, leave_out: str = ""
) -> dict[str, np.ndarray]:
    if reference not in means:
        return {}
    return {
        name: statistics.difference(arm, means[reference])
        for name, arm in means.items()
        if name not in (reference, leave_out)
    }


def _told_apart(samples: np.ndarray) -> bool:
    return bool(np.ptp(samples) > 0)


def _answer(yes: bool, no: bool, decidable: bool) -> str:
    if not decidable:
        return "unclear"
    return "yes" if yes else "no" if no else "unclear"


def _difference(
    runs: Mapping[str, list[Run]], name: str, reference: str, samples: np.ndarray
) -> dict[str, Any]:
    def mean(method: str) -> float:
        return float(np.mean([run.is_correct.mean() for run in runs[method]]))

    return {
        "difference": round(mean(name) - mean(reference), 12),
        "interval": list(statistics.interval(samples)),
    }


def _detectable(samples: np.ndarray) -> float | None:
    if not _told_apart(samples):
        return None
    return statistics.minimum_detectable_effect(samples)


def _mcnemar(
    runs: Mapping[str, list[Run]], name: str, reference: str
) -> list[dict[str, Any]]:
    """Runs paired by training seed; every run is paired with the one of `base`."""
    others = {run.t: run for run in runs[reference]}
    found = []
    for run in runs[name]:
        other = runs[UNTOUCHED][0] if reference == UNTOUCHED else others.get(run.t)
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
        parts.append(_random_words(random))
    if base is None:
        parts.append("not compared with base, which has no run here")
    else:
        parts.append(_base_words(base))
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _points(found: dict[str, Any]) -> str:
    low, high = (100 * bound for bound in found["interval"])
    return f"{100 * found['difference']:+.1f} points, {low:+.1f} to {high:+.1f}"


def _random_words(found: dict[str, Any]) -> str:
    words = {
        "yes": "better than random",
        "no": "worse than random",
        "unclear": "not distinguishable from random",
    }
    text = f"{words[found['better']]} ({_points(found)}"
    if found["better"] != "unclear":
        return f"{text})"
    if not found["enough_seeds"]:
        return f"{text}; a verdict needs {MIN_SEEDS} runs of each)"
    detectable = found["minimum_detectable_effect"]
    if detectable is None:
        return f"{text}; every question was answered alike)"
    return f"{text}; smallest detectable effect {100 * detectable:.1f})"


def _base_words(found: dict[str, Any]) -> str:
    words = {
        "yes": "harms the base model",
        "no": "does not harm the base model",
        "unclear": "harm to the base model unclear",
    }
    return f"{words[found['harms']]} ({_points(found)})"

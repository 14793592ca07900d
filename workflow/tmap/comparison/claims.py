"""Whether a method is better than random, and whether it harms the base model.

better than random
    yes: the lower end of the verdict's interval of method - random is above 0.
    worse: its upper end is below 0.
    no: its upper end is below the margin: no better by more than that.
harms base
    yes: the upper end of the interval of method - base is below 0.
    no: its lower end is above minus the margin: no larger loss.

Else the verdict is `unclear`. It is `untested` with fewer than 3 runs (`MIN_SEEDS`) of the
method or of random, and if both answer every question alike. `base` has one evaluation,
which is greedy and so the same every time: it needs no seeds.

The questions have an order (`order.ordered`): the primary claims first, then the
other arms that can have a verdict at all. Each kind of claim has an error of 2.5 % over
all its methods, and over all columns of a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tmap.comparison.looks import (
    MIN_SEEDS,
    UNTOUCHED,
    YARDSTICK,
    Evidence,
    Plan,
    evidence,
)
from tmap.comparison.order import Adjusted, ordered

#: A table's column and a method.
Key = tuple[str, str]
Cells = Mapping[str, Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Verdict:
    """A method compared with random or with base.

    Attributes
    ----------
    answer : as in the module's docstring
    interval : of the verdict, at the levels that its claims were tested at
    evidence : the difference, look by look
    above, below, within : the claims "above 0" (of harm: above minus the margin), "below
        0" and "below the margin"; None if untested, `within` also for harm
    enough : whether there are `MIN_SEEDS` runs
    primary : whether this is a primary claim
    """

    answer: str
    interval: tuple[float, float]
    evidence: Evidence
    above: Adjusted | None = None
    below: Adjusted | None = None
    within: Adjusted | None = None
    enough: bool = True
    primary: bool = False


def against_random(
    cells: Cells, plan: Plan, margins: Mapping[str, float]
) -> dict[Key, Verdict]:
    """Every method of every column with the `random` of its column, except `base`.

    Parameters
    ----------
    cells : column -> method -> (n_runs, n_questions) of 0/1
    margins : column -> the share of accuracy that does not matter
    """
    found, tested = _evidence(cells, YARDSTICK, plan)
    above = _claims(tested, plan, lambda _, e: e.p_above())
    below = _claims(tested, plan, lambda _, e: e.p_below())
    within = _claims(tested, plan, lambda cell, e: e.p_below(margins[cell]))
    verdicts = {}
    for key, (one, enough) in found.items():
        if key not in tested:
            verdicts[key] = _untested(one, enough, key[1] in plan.primary)
            continue
        verdicts[key] = _against_random(
            one, (above[key], below[key], within[key]), margins[key[0]], plan, key[1]
        )
    return verdicts


def _against_random(
    one: Evidence,
    claims: tuple[Adjusted, Adjusted, Adjusted],
    margin: float,
    plan: Plan,
    method: str,
) -> Verdict:
    """The answer, and the interval at the level of the claim that is nearest."""
    above, below, within = claims
    if above.holds:
        answer, level = "yes", above.level
    elif below.holds:
        answer, level = "worse", below.level
    elif within.holds:
        answer, level = "no", within.level
    else:
        answer = "unclear"
        level = (within if is_small(one, margin) else above).level
    low = _capped(one.lower(level), 0, above.holds)
    high = -_capped(-one.upper(level), -margin, within.holds)
    if not below.holds:
        high = max(high, 0.0)
    first = method in plan.primary
    return Verdict(answer, (low, high), one, above, below, within, primary=first)


def is_small(one: Evidence, margin: float) -> bool:
    """Whether a difference, which may be negative, can only become "no better"."""
    return one.last.value <= margin / 2


def against_base(
    cells: Cells, plan: Plan, margins: Mapping[str, float]
) -> dict[Key, Verdict]:
    """Every method of every column with the untrained model."""
    found, tested = _evidence(cells, UNTOUCHED, plan)
    above = _claims(tested, plan, lambda cell, e: e.p_above(-margins[cell]))
    below = _claims(tested, plan, lambda _, e: e.p_below())
    verdicts = {}
    for key, (one, enough) in found.items():
        if key not in tested:
            verdicts[key] = _untested(one, enough, key[1] in plan.primary)
            continue
        a, b = above[key], below[key]
        low = _capped(one.lower(a.level), -margins[key[0]], a.holds)
        high = _capped(-one.upper(b.level), 0, b.holds)
        answer = "yes" if b.holds else "no" if a.holds else "unclear"
        first = key[1] in plan.primary
        verdicts[key] = Verdict(answer, (low, -high), one, a, b, primary=first)
    return verdicts


def _untested(one: Evidence, enough: bool, primary: bool) -> Verdict:
    """Its interval is that of this comparison alone."""
    ends = one.last.interval()
    return Verdict("untested", ends, one, enough=enough, primary=primary)


def decided(verdicts: Mapping[Key, Verdict]) -> bool:
    """Whether every primary claim against random has an answer.

    Arms that answer every question alike have none and would have none with more runs.
    """
    primary = [one for one in verdicts.values() if one.primary]
    return all(one.answer != "unclear" and one.enough for one in primary)


def _evidence(
    cells: Cells, reference: str, plan: Plan
) -> tuple[dict[Key, tuple[Evidence, bool]], dict[Key, Evidence]]:
    """Evidence and whether there are enough runs; and of those that can have a verdict."""
    found, tested = {}, {}
    for cell, arms in cells.items():
        for name, one in evidence(arms, reference, plan).items():
            fewest = len(arms[name])
            if reference == YARDSTICK:
                fewest = min(fewest, len(arms[YARDSTICK]))
            enough = fewest >= MIN_SEEDS
            found[cell, name] = one, enough
            if enough and one.last.variance > 0:
                tested[cell, name] = one
    return found, tested


def _claims(
    tested: Mapping[Key, Evidence],
    plan: Plan,
    p: Callable[[str, Evidence], float],
) -> dict[Key, Adjusted]:
    first = [key for key in tested if key[1] in plan.primary]
    values = {key: p(key[0], one) for key, one in tested.items()}
    return ordered(values, first, plan.others)


def _capped(bound: float, limit: float, holds: bool) -> float:
    """A lower bound that is above `limit` exactly if the claim holds.

    Holm's procedure stops at the first claim that fails. A later one may have a bound
    above the limit at its own level, and says no more than that it failed.
    """
    return bound if holds else min(bound, limit)

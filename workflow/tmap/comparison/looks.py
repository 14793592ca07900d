"""A comparison that is planned in looks: runs are added until the claim is decided.

Each look spends a share of the error. A claim holds if it holds at one of the looks, at
the look's share; the shares add up to 1, so looking several times costs no validity
(Bonferroni over looks). The intervals of all looks hold together, and so does what they
have in common (repeated confidence intervals: Jennison and Turnbull 1989, JRSS B 51:305).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tmap.comparison.statistics import ALPHA, Arm, Estimate, Shared, difference

YARDSTICK, UNTOUCHED = "random", "base"
#: A verdict needs as many runs of each.
MIN_SEEDS = 3
#: Arms may share one t if the smaller has at least this share of the larger's runs.
BALANCED = 2 / 3


@dataclass(frozen=True)
class Look:
    """Runs of each primary method and of random, and the share of the error spent."""

    method: int
    random: int
    spend: float


#: The one look of a plan without looks.
ALL = Look(sys.maxsize, sys.maxsize, 1.0)


@dataclass(frozen=True)
class Plan:
    """What was fixed before anything ran.

    Attributes
    ----------
    primary : the methods whose claim against random comes first
    looks : in order; empty: one look at all runs
    others : whether other methods will be compared, for which some error is kept
    """

    primary: tuple[str, ...] = ()
    looks: tuple[Look, ...] = ()
    others: bool = False

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Plan:
        """From the values of `dag.comparison.plan`."""
        looks = tuple(Look(*one) for one in values["looks"])
        first = tuple(values["primary"])
        others = {n for m, n in values["runs"].items() if m not in (YARDSTICK, *first)}
        return cls(first, looks, max(others, default=0) >= MIN_SEEDS)

    def reached(self, n_random: int) -> tuple[Look, ...]:
        """The looks for which there are runs of random; the first in any case."""
        there = tuple(look for look in self.looks if look.random <= n_random)
        return there or self.looks[:1] or (ALL,)


@dataclass(frozen=True)
class Evidence:
    """A difference at every look so far, with the share of the error of each look."""

    looks: tuple[tuple[Estimate, float], ...]

    @property
    def last(self) -> Estimate:
        return self.looks[-1][0]

    def p_above(self, limit: float = 0.0) -> float:
        """One-sided p of "not above `limit`", over the looks."""
        return min(1.0, *(found.p_above(limit) / w for found, w in self._varying))

    def p_below(self, limit: float = 0.0) -> float:
        """One-sided p of "not below `limit`"."""
        return min(1.0, *(found.p_below(limit) / w for found, w in self._varying))

    def lower(self, alpha: float = ALPHA) -> float:
        return max(found.lower(alpha * w) for found, w in self._varying)

    def upper(self, alpha: float = ALPHA) -> float:
        return min(found.upper(alpha * w) for found, w in self._varying)

    @property
    def _varying(self) -> tuple[tuple[Estimate, float], ...]:
        """Looks at which something varied; the others say nothing."""
        found = tuple((one, w) for one, w in self.looks if one.variance > 0)
        return found or self.looks


def evidence(
    arms: Mapping[str, np.ndarray], reference: str, plan: Plan
) -> dict[str, Evidence]:
    """Every arm minus a reference arm, look by look.

    Parameters
    ----------
    arms : name -> (n_runs, n_questions) of 0/1, runs in the order of their seeds
    reference : `random` or `base`; without it there is nothing to compare

    Returns
    -------
    name -> its evidence; `base` is not compared with random
    """
    if reference not in arms:
        return {}
    names = [n for n in arms if n not in (reference, UNTOUCHED)]
    found: dict[str, list[tuple[Estimate, float]]] = {name: [] for name in names}
    for look in plan.reached(len(arms.get(YARDSTICK, ()))):
        other = Arm.of(_first(arms, reference, look, plan))
        for name in names:
            arm = Arm.of(_first(arms, name, look, plan))
            few, many = sorted((arm.n_runs, other.n_runs))
            shared: Shared = "no"
            if name in plan.primary and few >= BALANCED * many:
                shared = "all" if plan.looks else "half"
            found[name].append((difference(arm, other, shared), look.spend))
    return {name: Evidence(tuple(looks)) for name, looks in found.items()}


def _first(
    arms: Mapping[str, np.ndarray], name: str, look: Look, plan: Plan
) -> np.ndarray:
    """The runs that a look uses; methods that are not primary have all theirs at once."""
    if name == YARDSTICK:
        return arms[name][: look.random]
    return arms[name][: look.method] if name in plan.primary else arms[name]

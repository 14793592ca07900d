"""The order of claims: primary ones first, each group by Holm's procedure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tmap.comparison.statistics import ALPHA

#: Whatever names the tests of a family, such as a column and a method.
Name = TypeVar("Name", bound=Hashable)


def holm_adjust(p: Sequence[float]) -> list[float]:
    """Holm's step-down p values (Holm 1979), in the order given.

    The k-th smallest of m is multiplied by m - k + 1, never falls below an earlier one,
    and is at most 1.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    stepped = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    adjusted = np.empty_like(stepped)
    adjusted[order] = stepped
    return [float(value) for value in adjusted]


@dataclass(frozen=True)
class Adjusted:
    """A p value among others.

    Attributes
    ----------
    p : of this test alone
    adjusted : it is claimed if this is at most `ALPHA`
    level : the level that its own p has to reach when its turn comes; its bound has it
    """

    p: float
    adjusted: float
    level: float

    @property
    def holds(self) -> bool:
        return self.adjusted <= ALPHA


#: Share of the error that is kept for the other claims until all primary ones hold.
KEPT = 0.1


def ordered(
    p: Mapping[Name, float], primary: Sequence[Name], others: bool = False
) -> dict[Name, Adjusted]:
    """Primary claims first, then the others; each group by Holm's procedure.

    The primary ones have 1 - `KEPT` of the error. The others have the rest, and all of it
    once every primary claim holds (the fallback of Wiens 2003, Pharmaceutical Statistics
    2:211). With one group only, it has all. The chance of any false claim is at most
    `ALPHA`.

    Parameters
    ----------
    p : name -> one-sided p
    primary : names; those without a p are left out
    others : keep a share for others, even if none is here yet
    """
    first = {name: p[name] for name in p if name in set(primary)}
    rest = {name: p[name] for name in p if name not in first}
    if not first or not (rest or others):
        return _holm(p, 1.0)
    found = _holm(first, 1 - KEPT)
    gate = max(one.adjusted for one in found.values())
    waiting, freed = _holm(rest, KEPT), _holm(rest, 1.0)
    for name in rest:
        late = max(freed[name].adjusted, gate)
        early = waiting[name].adjusted
        level = (waiting if gate > ALPHA >= early else freed)[name].level
        found[name] = Adjusted(p[name], min(early, late), level)
    return {name: found[name] for name in p}


def _holm(p: Mapping[Name, float], share: float) -> dict[Name, Adjusted]:
    """Holm's procedure with a share of the error."""
    adjusted = [value / share for value in holm_adjust(list(p.values()))]
    order = sorted(p, key=lambda name: (p[name], str(name)))
    found = {}
    for name, value in zip(p, adjusted, strict=True):
        left = len(p) - order.index(name)
        found[name] = Adjusted(p[name], min(value, 1.0), ALPHA * share / left)
    return found

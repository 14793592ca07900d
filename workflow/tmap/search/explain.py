"""The contribution of each indicator to the reward of the learned weights.

v(C) is the reward of the learned weights with those outside C set to 0; C is a set of
indicators. With no indicator, every row has the same score and text hashes decide, so
v(none) is the reward of an arbitrary selection.

Leave-one-out: v(all) - v(all except j). It is zero for each of two identical columns.
Shapley: the mean of v(C and j) - v(C) over the orders in which indicators can join, so
that identical columns share their contribution. The values add up to v(all) - v(none)
exactly, even over a sample of orders (Castro et al. 2009, Computers & Operations Research
36:1726).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np

#: Up to this many indicators, every order is used.
EXACT = 4

Value = Callable[[frozenset[int]], float]


def orders(k: int, n: int, seed: int) -> np.ndarray:
    """(n, k) orders of k indicators: all of them for small k, otherwise a sample.

    Each sampled order comes with its reverse, so an odd n gives one order more.
    """
    if k <= EXACT:
        return np.array(list(permutations(range(k))))
    rng = np.random.default_rng(seed)
    half = [rng.permutation(k) for _ in range((n + 1) // 2)]
    return np.array([order for one in half for order in (one, one[::-1])])


def shapley(value: Value, taken: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shapley values and the standard error from sampling the orders.

    Parameters
    ----------
    value : v; may cache its values
    taken : (n, k) orders: all of them, or a sample with each order next to its reverse

    Returns
    -------
    (k,) values that add up to v(all) - v(none), and (k,) standard errors over pairs, which
    are 0 if all orders were used
    """
    n, k = taken.shape
    gains = np.zeros((n, k))
    for row, order in enumerate(taken):
        before = value(frozenset())
        for i in range(k):
            after = value(frozenset(order[: i + 1].tolist()))
            gains[row, order[i]] = after - before
            before = after
    if k <= EXACT:
        return gains.mean(axis=0), np.zeros(k)
    pairs = gains.reshape(n // 2, 2, k).mean(axis=1)
    error = pairs.std(axis=0, ddof=1) if len(pairs) > 1 else np.full(k, np.nan)
    return gains.mean(axis=0), error / len(pairs) ** 0.5


def explain(
    reward: Callable[[np.ndarray], float], weights: np.ndarray, n: int, seed: int = 0
) -> dict[str, Any]:
    """Shapley values and leave-one-out of (K,) weights.

    Parameters
    ----------
    reward : of (K,) weights; called once per set, at most n x (K - 1) + K + 2 times
    weights : the learned ones
    n : sampled orders
    """
    known: dict[frozenset[int], float] = {}
    k = len(weights)

    def value(members: frozenset[int]) -> float:
        if members not in known:
            mask = np.array([j in members for j in range(k)])
            known[members] = float(reward(np.where(mask, weights, 0.0)))
        return known[members]

    values, errors = shapley(value, orders(k, n, seed))
    everyone = frozenset(range(k))
    return {
        "reward": value(everyone),
        "reward_without_any": value(frozenset()),
        "shapley": values.tolist(),
        "n_pairs": 0 if k <= EXACT else (n + 1) // 2,
        "shapley_se": [None if np.isnan(error) else float(error) for error in errors],
        "leave_one_out": [value(everyone) - value(everyone - {j}) for j in range(k)],
        "n_evaluations": len(known),
    }

"""Where to look next: `skopt.gp_minimize`, with the options that a method card has.

`proposals: fast` leaves out the restarts of each fit, two of the three acquisition
functions that gp_hedge optimises, and four in five of the random points on which each is
evaluated before the best are climbed from. These take most of the time at 200 points.
`batch` proposes several points by constant liar: each is assumed to have the lowest value
so far until its own is known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from skopt import Optimizer, gp_minimize
from skopt.space import Real
from skopt.utils import cook_estimator, normalize_dimensions

from tmap.cards.method import SearchSection

#: Random points on which an acquisition function is evaluated.
N_POINTS = {"full": 10_000, "fast": 2_000}


def minimise(
    function: Callable[[list[float]], float],
    total: int,
    space: list[Real],
    settings: SearchSection,
    seed: int,
    first: list[list[float]],
    ahead: Callable[[list[np.ndarray]], None],
) -> tuple[list[Any], Any]:
    """Call `function` at one point after another.

    Parameters
    ----------
    function : point -> the value to minimise
    total : number of calls
    space : of the points
    settings : random points, proposals and batch
    seed : of the optimiser
    first : points in place of random ones
    ahead : called with points that are proposed together, before each is evaluated

    Returns
    -------
    fitted processes (the last one is kept), and the space they are fitted in
    """
    n_random = max(0, settings.n_initial - len(first))
    how = "EI" if settings.proposals == "fast" else "gp_hedge"
    if settings.batch == 1:
        result = gp_minimize(
            function,
            space,
            base_estimator=_process(space, settings, seed),
            acq_func=how,
            n_calls=total,
            n_initial_points=n_random,
            x0=first or None,
            random_state=seed,
            n_points=N_POINTS[settings.proposals],
            model_queue_size=1,
        )
        return result.models, result.space
    optimizer = Optimizer(
        normalize_dimensions(space),
        base_estimator=_process(space, settings, seed) or "GP",
        acq_func=how,
        n_initial_points=n_random + len(first),
        random_state=seed,
        acq_optimizer_kwargs={"n_points": N_POINTS[settings.proposals]},
        model_queue_size=1,
    )
    done = 0
    while (left := total - done) > 0:
        points = first[done : done + settings.batch]
        points = points or optimizer.ask(min(settings.batch, left), strategy="cl_min")
        ahead([np.array(point, dtype=float) for point in points])
        optimizer.tell(points, [function(point) for point in points])
        done += len(points)
    return optimizer.models, optimizer.space


def _process(space: list[Real], settings: SearchSection, seed: int) -> Any:
    """A Gaussian process without restarts if `proposals: fast`; else None (skopt's own)."""
    if settings.proposals == "full":
        return None
    process = cook_estimator(
        "GP", space=normalize_dimensions(space), random_state=seed, noise="gaussian"
    )
    return process.set_params(n_restarts_optimizer=0)

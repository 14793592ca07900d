"""What would settle a comparison that is unclear: more runs, or more questions.

The difference and all variances are taken to stay as they were measured, so a forecast is
an estimate from few runs, not a promise. `benchmarks/verdicts.py` counts how often one
comes true.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tmap.comparison.claims import Verdict, is_small
from tmap.comparison.looks import BALANCED
from tmap.comparison.statistics import Arm, Estimate

#: Chance that the verdict is reached if the measured difference is the true one.
POWER = 0.80
QUANTILE = 0.8416212335729143  # of the normal distribution at POWER
#: More runs, or questions, than this are no advice.
MOST_RUNS, MOST_TIMES = 30, 20


@dataclass(frozen=True)
class Forecast:
    """The least that would settle it; None where nothing below the limits does.

    Attributes
    ----------
    random : more runs of random alone
    each : more runs of the method and of random, each
    questions : test questions in all, with the runs that there are
    answer : the verdict that would be reached
    """

    random: int | None
    each: int | None
    questions: int | None
    answer: str


def forecast(found: Verdict, method: Arm, random: Arm, margin: float) -> Forecast:
    """Of a verdict against random that is `unclear`.

    Parameters
    ----------
    method, random : all their runs
    margin : the share of accuracy that does not matter
    """
    last, spend = found.evidence.looks[-1]
    assert found.above and found.within
    if is_small(found.evidence, margin):
        answer, level, sign, limit = "no", found.within.level, -1, -margin
    else:
        answer, level, sign, limit = "yes", found.above.level, 1, 0.0
    n_questions = len(method.by_question)

    def settles(method_runs: int, random_runs: int, times: float = 1.0) -> bool:
        there = _scaled(last, [(method, method_runs), (random, random_runs)], times)
        room = sign * last.value - limit
        return there.reach(level * spend) + QUANTILE * there.variance**0.5 < room

    m, r = method.n_runs, random.n_runs
    more = range(1, MOST_RUNS + 1)
    times = np.geomspace(1.1, MOST_TIMES, 40)
    return Forecast(
        next((k for k in more if settles(m, r + k)), None),
        next((k for k in more if settles(m + k, r + k)), None),
        next((int(n_questions * x) for x in times if settles(m, r, x)), None),
        answer,
    )


def _scaled(now: Estimate, arms: list[tuple[Arm, int]], times: float) -> Estimate:
    """The same estimate with other numbers of runs and `times` as many questions.

    Arms share one t only while they have about as many runs (`looks.evidence`).
    """
    few, many = sorted(n for _, n in arms)
    seeds, df = [], []
    for arm, n in arms:
        if arm.seeds > 0:
            true = max(0.0, arm.seeds - arm.answers)
            seeds.append((true + arm.answers / times) * arm.n_runs / n)
            df.append(n - 1)
    return replace(
        now,
        questions=now.questions / times,
        n_questions=round(now.n_questions * times),
        seeds=tuple(seeds),
        df=tuple(df),
        shared=now.shared if few >= BALANCED * many else "no",
    )


def words(found: Forecast) -> str:
    """The forecast as the end of a sentence."""
    options = []
    if found.random is not None:
        options.append((found.random, f"{_runs(found.random)} of random"))
    if found.each is not None:
        options.append((2 * found.each, f"{_runs(found.each)} of each"))
    goal = "" if found.answer == "yes" else ' as "no better"'
    if options:
        return f"about {min(options)[1]} would settle it{goal}"
    if found.questions is not None:
        return f"about {found.questions:,} test questions would settle it{goal}"
    return f"not even {MOST_RUNS} more runs of each would settle a difference like this"


def _runs(n: int) -> str:
    return f"{n} more run{'s' if n > 1 else ''}"

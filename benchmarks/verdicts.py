"""How often are verdicts wrong, and how often do they decide? The shipped code, simulated.

    python benchmarks/verdicts.py --out benchmarks/results/verdicts.json   # 20 minutes
    python benchmarks/verdicts.py --quick                                  # one minute

A world is a table of answers: questions of difficulty sd 1.5, method by question .4 and run
by question .5, in logits; seeds vary the accuracy of a run by a given sd in points, around
55 % for random. Skewed seeds: one run in ten falls by three sd. Verdicts are those of
`tmap.comparison.claims`, decisions to add runs those of `claims.decided` at the looks that
the config has by default. Shares have a standard error of at most .5 / sqrt(worlds).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy import special

from tmap.cards.workflow import VerdictSection
from tmap.comparison import claims, forecast
from tmap.comparison.looks import Look, Plan
from tmap.comparison.statistics import Arm

BASE = 55.0  # accuracy of random, %
SHIFTS = np.linspace(-8, 8, 161)  # logits
#: What a shift of the logits makes of accuracy, over all questions of such worlds, %.
POINTS, WEIGHTS = np.polynomial.hermite_e.hermegauss(41)
WIDE = (1.5**2 + 0.4**2 + 0.5**2) ** 0.5
CURVE = special.expit(SHIFTS[:, None] + WIDE * POINTS) @ WEIGHTS * 100 / WEIGHTS.sum()
LOOKS = tuple(Look(*look) for look in VerdictSection(sequential=True).looks())
#: Standard deviations of a method's and of random's seeds, in points.
PAIRS = [(1.5, 6), (1, 11), (11, 1), (6, 6), (6, 1.5), (1, 1), (11, 11)]
MARGIN = 0.01


@dataclass(frozen=True)
class World:
    """What a table of answers is drawn from.

    Attributes
    ----------
    difference, others : of the primary method and of the others from random, points
    sds : of the seeds of methods and of random, points
    runs : of the primary method, of other methods, of random
    methods, models : in the table; the first method is primary
    """

    difference: float = 0.0
    others: float = 0.0
    sds: tuple[float, float] = (1.5, 6)
    runs: tuple[int, int, int] = (3, 3, 3)
    methods: int = 1
    models: int = 1
    questions: int = 300
    skewed: bool = False

    def draw(self, rng: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
        """Column -> method -> (n_runs, n_questions) bool; all models ask one test set."""
        difficulty = rng.normal(0, 1.5, self.questions)
        return {f"model {i}": self._column(rng, difficulty) for i in range(self.models)}

    def _column(
        self, rng: np.random.Generator, difficulty: np.ndarray
    ) -> dict[str, np.ndarray]:
        def arm(mean: float, sd: float, n: int) -> np.ndarray:
            accuracy = np.clip(mean + sd * self._seeds(rng, n), 2, 98)
            shift = np.interp(accuracy, CURVE, SHIFTS)[:, None]
            logit = difficulty + rng.normal(0, 0.4, self.questions) + shift
            logit = logit + rng.normal(0, 0.5, (n, self.questions))
            right: np.ndarray = rng.random(logit.shape) < special.expit(logit)
            return right

        sd, of_random = self.sds
        first, rest, n_random = self.runs
        found = {"random": arm(BASE, of_random, n_random)}
        found["tmap"] = arm(BASE + self.difference, sd, first)
        for i in range(1, self.methods):
            found[f"m{i}"] = arm(BASE + self.others, sd, rest)
        return found

    def _seeds(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """(n,) deviations with mean 0 and sd 1."""
        normal = rng.normal(size=n)
        if not self.skewed:
            return normal
        fallen = np.where(rng.random(n) < 0.1, -3.0, 1 / 3)
        return 0.8**0.5 * fallen + 0.2**0.5 * normal


def at_once(world: World, n: int, seed: int, margin: float = MARGIN) -> dict[str, Any]:
    """One look at all runs: the share of tables with a claim, and of each answer."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(n):
        cells = world.draw(rng)
        verdicts = claims.against_random(
            cells, Plan(("tmap",)), dict.fromkeys(cells, margin)
        )
        first = [one.answer for key, one in verdicts.items() if key[1] == "tmap"]
        rest = [one.answer for key, one in verdicts.items() if key[1] != "tmap"]
        found.append((first, rest))
    share = {
        f"{who}_{answer}": float(
            np.mean([answer in (f, r, [*f, *r])[i] for f, r in found])
        )
        for i, who in enumerate(("primary", "others", "any"))
        for answer in ("yes", "worse", "no")
    }
    return asdict(world) | {"worlds": n} | share


def in_looks(world: World, n: int, seed: int) -> dict[str, Any]:
    """Runs are added until the primary claim is decided, as the workflow does."""
    rng = np.random.default_rng(seed)
    plan = Plan(("tmap",), LOOKS, world.methods > 1)
    last = LOOKS[-1]
    world = replace(world, runs=(last.method, world.runs[1], last.random))
    answers, runs, others = [], [], []
    for _ in range(n):
        [(cell, arms)] = world.draw(rng).items()
        for look in LOOKS:
            there = {"random": arms["random"][: look.random]}
            there["tmap"] = arms["tmap"][: look.method]
            found = claims.against_random({cell: there}, plan, {cell: MARGIN})
            if claims.decided(found):
                break
        whole = {n: a for n, a in arms.items() if n not in there} | there
        final = found
        if len(whole) > len(there):
            final = claims.against_random({cell: whole}, plan, {cell: MARGIN})
        answers.append(final[cell, "tmap"].answer)
        runs.append(len(there["random"]) + len(there["tmap"]))
        others.append({one.answer for key, one in final.items() if key[1] != "tmap"})
    told = {f"primary_{a}": answers.count(a) / n for a in ("yes", "worse", "no")}
    for a in ("yes", "worse"):
        told[f"others_{a}"] = float(np.mean([a in found for found in others]))
        told[f"any_{a}"] = float(
            np.mean([a == x or a in y for x, y in zip(answers, others, strict=True)])
        )
    return (
        asdict(world)
        | {"worlds": n, "mean_runs": round(float(np.mean(runs)), 2)}
        | told
    )


def foretold(world: World, n: int, seed: int) -> dict[str, Any]:
    """How often an unclear table of 3 and 3 runs is settled by the runs foretold."""
    rng = np.random.default_rng(seed)
    most = 3 + forecast.MOST_RUNS
    unclear = advised = settled = 0
    added = []
    for _ in range(n):
        [(cell, arms)] = replace(world, runs=(most, 0, most)).draw(rng).items()
        now = {name: arm[:3] for name, arm in arms.items()}
        verdict = claims.against_random({cell: now}, Plan(("tmap",)), {cell: MARGIN})
        one = verdict[cell, "tmap"]
        if one.answer != "unclear":
            continue
        unclear += 1
        parts = [Arm.of(now[name]) for name in ("tmap", "random")]
        advice = forecast.forecast(one, *parts, MARGIN)
        if advice.each is None:
            continue
        advised += 1
        added.append(advice.each)
        later = {name: arm[: 3 + advice.each] for name, arm in arms.items()}
        verdict = claims.against_random({cell: later}, Plan(("tmap",)), {cell: MARGIN})
        settled += verdict[cell, "tmap"].answer != "unclear"
    return asdict(world) | {
        "worlds": n,
        "unclear": unclear,
        "advised": advised,
        "settled_of_advised": round(settled / max(advised, 1), 3),
        "median_more_runs_of_each": float(np.median(added)) if added else None,
    }


#: What simulates the worlds of a section.
SECTIONS = {
    "looks": in_looks,
    "at once": at_once,
    "margin": partial(at_once, margin=0.05),
    "foretold": foretold,
}


def grid(scale: float) -> list[tuple[str, World, int]]:
    """(section, world, number of worlds) of every cell."""

    def n(worlds: int) -> int:
        return max(20, round(worlds * scale))

    cells = [("looks", w, n(many)) for w, many in _looks()]
    cells += [("at once", w, n(many)) for w, many in _at_once()]
    for runs in ((3, 3, 3), (6, 6, 9)):  # the margin is 5 points
        for difference in (0.0, 5.0):
            there = World(difference, sds=(1.5, 3), runs=runs)
            cells.append(("margin", there, n(1000)))
    for difference in (0.0, 10.0, 20.0):
        cells.append(("foretold", World(difference), n(500)))
    return cells


def _looks() -> Iterator[tuple[World, int]]:
    """Differences, sds of seeds, skewed seeds, other methods of three runs."""
    for questions, many in ((300, 2000), (1319, 600)):
        for difference in (5.0, 10.0, 20.0):
            yield World(difference, questions=questions), many
        for sds in PAIRS:
            yield World(sds=sds, questions=questions), many
    for sds in PAIRS[:5]:
        yield World(sds=sds, skewed=True), 2000
        yield World(sds=sds, methods=5), 800
    for difference in (0.0, 20.0):
        yield World(difference, methods=15), 300


def _at_once() -> Iterator[tuple[World, int]]:
    """Equal and unequal runs, families of 1 to 60, the power of equal ones."""
    for sds in PAIRS:
        yield World(sds=sds), 2000
        yield World(sds=sds, models=4), 800
        yield World(sds=sds, runs=(3, 3, 12), methods=5), 600
    for sds in ((11, 1), (6, 1.5), (1.5, 6)):
        for runs in ((3, 3, 3), (3, 3, 12), (5, 5, 12)):
            yield World(sds=sds, runs=runs, methods=15, models=2), 300
        yield World(sds=sds, methods=15, models=4), 150
        yield World(sds=sds, runs=(3, 3, 12), models=4, questions=1319), 300
        yield World(sds=sds, runs=(3, 3, 12), methods=5, skewed=True), 600
    for runs in ((3, 3, 3), (3, 3, 12), (5, 5, 12), (6, 6, 6)):
        yield World(20.0, runs=runs, methods=15), 300
        for difference in (5.0, 10.0, 20.0):
            yield World(difference, runs=runs), 800


def main() -> None:
    """Read the arguments, simulate, print or write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="a twentieth of the worlds"
    )
    parser.add_argument("--share", type=float, default=1.0, help="share of the worlds")
    parser.add_argument("--section", default="", help="only this part of the grid")
    parser.add_argument("--out", default="", help="JSON to write; else it is printed")
    given = parser.parse_args()
    cells: dict[str, list[dict[str, Any]]] = {}
    start = time.monotonic()
    for seed, (section, world, n) in enumerate(
        grid(0.05 if given.quick else given.share)
    ):
        if given.section and section != given.section:
            continue
        found = SECTIONS[section](world, n, seed)
        cells.setdefault(section, []).append(found)
        print(f"{time.monotonic() - start:5.0f} s {section} {found}", file=sys.stderr)
    looks = [[look.method, look.random, look.spend] for look in LOOKS]
    text = json.dumps({"looks_at": looks, **cells}, indent=1)
    if given.out:
        with open(given.out, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()

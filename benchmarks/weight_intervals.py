"""Do the intervals of learned weights cover? Searches of known rewards, no model asked.

    python benchmarks/weight_intervals.py --searches 10 --keep FOLDER

Each search is that of the embedded world's `tmap` (5 random and 40 guided points), with
`proposals: fast`, on a reward whose best weights are known up to their scale:

* `peaked`: falls with the distance of w / max w from them; noise .02, hardly any
* `point`: falls with the distance of w itself; noise .02
* `flat`: as `peaked`, so low that the noise of .04 hides most of it
* `pool`: the mean quality of the 100 best of 300 rows, weighed and ranked; noise .02

JSON goes to stdout: for every world, the share of true weights that the 90 % intervals
cover, their mean width, and the share that hold the weight that the search chose. A search
takes seconds. What is finished is kept in FOLDER and not run again.
"""

from __future__ import annotations

import argparse
import json
import logging
import pickle
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tmap.cards.method import SearchSection
from tmap.search import loop, posterior
from tmap.search.ledger import Ledger
from tmap.search.outcome import Evaluation, Outcome

#: Noise of one reward.
NOISE = {"peaked": 0.02, "point": 0.02, "flat": 0.04, "pool": 0.02}
BOUNDS = (0.0, 1.0)
HOW = SearchSection(n_initial=5, n_iterations=40, proposals="fast")


class World:
    """A reward whose best weights are known: `best` (K,), the largest of them 1.

    Parameters
    ----------
    kind : a key of NOISE
    n_weights : K, of which three in eight are 0
    seed : of the best weights, the pool and the noise
    """

    def __init__(self, kind: str, n_weights: int, seed: int) -> None:
        self.kind, self.rng = kind, np.random.default_rng([seed, 7])
        best = self.rng.random(n_weights)
        best[self.rng.permutation(n_weights)[: 3 * n_weights // 8]] = 0
        self.best = best / best.max()
        if kind == "pool":
            self.rows = self.rng.random((300, n_weights))
            quality = self.rows @ self.best
            self.quality = (quality - quality.mean()) / quality.std()

    def reward(self, w: np.ndarray) -> float:
        """Without noise, in [0, 1]."""
        if self.kind == "pool":
            top = np.argsort(-(self.rows @ w), kind="stable")[:100]
            return float((1 / (1 + np.exp(-0.2 - self.quality[top]))).mean())
        if self.kind == "point":
            away = np.sum((w - 0.9 * self.best) ** 2)
            return float(0.8 - 0.4 * (1 - np.exp(-away / 0.8)))
        away = np.mean((posterior.relative(w) - self.best) ** 2)
        return float(
            0.6 - 0.2 * away if self.kind == "flat" else 0.8 - min(0.5, 2 * away)
        )

    def __call__(self, weights: np.ndarray, beat: float | None = None) -> Evaluation:
        noisy = self.reward(weights) + self.rng.normal(0, NOISE[self.kind])
        return Evaluation(Outcome(noisy, np.array([noisy]), 0, 0, 5, 0, 0), [[]])


def searched(world: World, seed: int, path: Path) -> dict[str, Any]:
    """points, model and space of a search, from `path` if it is there."""
    if not path.exists():
        with tempfile.TemporaryDirectory() as room:
            ledger = Ledger(Path(room) / "ledger.jsonl")
            found = loop.run(world, len(world.best), BOUNDS, HOW, seed, ledger, "k")
        kept = {"points": found.points, "model": found.model, "space": found.space}
        path.write_bytes(pickle.dumps(kept))
    return pickle.loads(path.read_bytes())


def judge(kind: str, n_weights: int, n_searches: int, keep: Path) -> dict[str, Any]:
    """Coverage and width over all weights of all searches of one world."""
    covers, widths, holds = [], [], []
    for seed in range(n_searches):
        world = World(kind, n_weights, seed)
        found = searched(world, seed, keep / f"{kind}-{n_weights}-{seed}.pkl")
        low, high = posterior.interval(**found, bounds=BOUNDS, seed=seed).T
        value = posterior.means(found["model"], found["space"], found["points"])
        chosen = posterior.relative(found["points"][int(np.argmax(value))])
        covers.append((low <= world.best) & (world.best <= high))
        holds.append((low <= chosen) & (chosen <= high))
        widths.append(high - low)
        print(f"{kind}, {n_weights} weights: search {seed + 1}", file=sys.stderr)
    by_search = np.mean(covers, axis=1)
    return {
        "world": kind,
        "n_weights": n_weights,
        "n_searches": n_searches,
        "coverage": round(float(np.mean(covers)), 3),
        "coverage_se": round(float(by_search.std(ddof=1) / n_searches**0.5), 3),
        "width": round(float(np.mean(widths)), 3),
        "holds_chosen": float(np.mean(holds)),
    }


def main() -> None:
    """Read the arguments, search, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--searches", type=int, default=10, help="of each world")
    parser.add_argument("--weights", default="8,3", help="K, separated by commas")
    parser.add_argument("--keep", type=Path, required=True, help="folder of searches")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    given.keep.mkdir(parents=True, exist_ok=True)
    sizes = [int(k) for k in given.weights.split(",")]
    found = [judge(w, k, given.searches, given.keep) for k in sizes for w in NOISE]
    print(json.dumps({"level": 0.9, "worlds": found}, indent=2))


if __name__ == "__main__":
    main()

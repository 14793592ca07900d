"""Does a learned selection beat the others in the embedded world? Measured by training.

    python benchmarks/world.py --pools 0,1,2,3,4 --models tiny,tiny_b --cores 4

For each pool seed and model the workflow itself is run: it trains and measures
`random`, `uniform`, each indicator alone, `tmap`, `tmap` with signed weights and with
the other choice of exemplars, `full` and `oracle`; fixed random weights, many on the
first pool and one on each other; and `tmap` of further search seeds on the first pool.
Then each model is trained with the weights that were learned for the next one, and with
the weights that would have taken most clean rows from the other pools (`by_labels`: a
reference, for it reads the known faults). JSON goes to stdout, progress to stderr:
accuracy per method with a 95 % t interval over pools, differences from tmap paired by
pool, and on the first pool the rank correlation of the few-shot reward with the
accuracy after training, and the weights over search seeds. What is finished is not run
again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from embedded import CARDS, ROOT, build, dataset, write, write_card
from scipy import stats

from tmap import cards, dag
from tmap.artifacts import tables
from tmap.search import prepare
from tmap.search.ledger import Ledger
from tmap.selection import features

MADE = ".embedded/world/cards"
CONFIG = ".embedded/world/config.yaml"
SHIPPED = ["base", "random", "uniform", "full", "oracle", "tmap"]
N_TRIED = 20_000  # weight vectors of `by_labels`
Accuracies = dict[str, dict[str, dict[str, float]]]


def write_methods(args: argparse.Namespace) -> list[str]:
    """Write cards for the methods that are made here; their names."""
    tmap = cards.load("methods", "tmap")
    names = tmap.indicators
    alone = args.alone.split(",") if args.alone else names
    made: dict[str, Any] = {f"alone_{n}": {"weights": {n: 1.0}} for n in alone}
    rng = np.random.default_rng(args.seed)
    for i in range(args.vectors):
        drawn = np.round(rng.random(len(names)), 3).tolist()
        made[f"drawn_{i:02d}"] = {"weights": dict(zip(names, drawn, strict=True))}
    made["tmap_signed"] = {"extends": "tmap", "bounds": [-1, 1]}
    if args.exemplars:
        other = "top" if tmap.search.exemplars == "spread" else "spread"
        about = {"extends": "tmap", "search": {"exemplars": other}}
        made[f"tmap_{other}"] = about
    for name, card in made.items():
        write_card(MADE, "methods", name, card)
    return list(made)


def metrics(pools: list[int], models: list[str]) -> list[str]:
    return [f"results/{dataset(p)}/{m}/metrics.json" for m in models for p in pools]


def run(targets: list[str], methods: list[str], cores: int) -> None:
    """Run the workflow for these files, one training seed per method."""
    write(CONFIG, {"methods": methods, "seeds": 1, "cards": [CARDS, MADE]})
    build(targets, CONFIG, cores)


def predictions(pool: int, model: str, method: str) -> str:
    return f"results/{dataset(pool)}/{model}/{method}/s0/t0/predictions.parquet"


def accuracy(pool: int, model: str, method: str) -> float:
    answers = tables.read("predictions", ROOT / predictions(pool, model, method))
    return float(answers["is_correct"].mean())


def measured(pools: list[int], models: list[str], methods: list[str]) -> Accuracies:
    """Test accuracy after training: model -> method -> pool."""
    return {
        model: {
            method: {str(pool): accuracy(pool, model, method) for pool in pools}
            for method in methods
        }
        for model in models
    }


def interval(values: np.ndarray) -> list[float | None]:
    """95 % t interval of the mean over pools, in points; none of one pool."""
    if len(values) < 2:
        return [None, None]
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return [round(100 * float(values.mean() + side * half), 1) for side in (-1, 1)]


def compared(by_method: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Mean accuracy of every method, and tmap minus it, in points with intervals."""
    tmap = np.array(list(by_method["tmap"].values()))
    found = {}
    for method, by_pool in by_method.items():
        values = np.array(list(by_pool.values()))
        found[method] = {
            "accuracy": round(100 * float(values.mean()), 1),
            "interval": interval(values),
            "tmap_minus": round(100 * float((tmap - values).mean()), 1),
            "tmap_minus_interval": interval(tmap - values),
        }
    return found


def rewards(pool: int, model: str, methods: list[str]) -> list[float]:
    """Few-shot reward of each method's fixed weights on the search's own questions."""
    name, room = dataset(pool), f"results/{dataset(pool)}"
    inputs = prepare.Inputs(
        pool=Path(f"{room}/pool.parquet"),
        questions=Path(f"{room}/questions_reward.parquet"),
        tiny=Path(f"{room}/tiny.parquet"),
        confirm=Path(f"{room}/confirm.parquet"),
        model=Path(dag.data.model_file(model)),
        history=dag.tiny.history_files(name),
        indicators=[
            Path(p) for p in dag.indicators.indicator_files(name, model, "tmap")
        ],
    )
    card = dag.params.search_weights(name, model, "tmap")
    ready = prepare.prepare(
        card, inputs, Ledger(f".embedded/world/{name}_{model}.jsonl")
    )
    order = ready.candidates.features.names
    found = []
    for method in methods:
        weights = cards.load("methods", method).weights
        assert isinstance(weights, dict)
        drawn = np.array([weights[column] for column in order])
        found.append(ready.candidates.evaluate(ready.main, drawn).outcome.reward)
    return found


def correlation(pool: int, model: str, drawn: list[str]) -> dict[str, Any]:
    """Spearman's rank correlation of reward and trained accuracy over fixed weights."""
    given = rewards(pool, model, drawn)
    trained = [accuracy(pool, model, method) for method in drawn]
    test = stats.spearmanr(given, trained)
    return {
        "rho": round(float(test.statistic), 3),
        "p": round(float(test.pvalue), 4),
        "reward": given,
        "accuracy": trained,
    }


def weights_file(pool: int, model: str, seed: int = 0) -> str:
    return f"results/{dataset(pool)}/{model}/tmap/s{seed}/weights.json"


def learned(path: str) -> dict[str, float]:
    """Learned weights relative to the largest, by indicator."""
    about = json.loads((ROOT / path).read_text(encoding="utf-8"))
    return dict(zip(about["indicators"], about["weights_relative"], strict=True))


def over_seeds(pool: int, models: list[str], n_seeds: int) -> dict[str, Any]:
    """Relative weights over search seeds: mean and 95 % t interval, in percent."""
    found: dict[str, Any] = {}
    for model in models:
        runs = [learned(weights_file(pool, model, s)) for s in range(n_seeds)]
        for name in runs[0]:
            values = np.array([run[name] for run in runs])
            mean = round(100 * float(values.mean()), 1)
            about = {"mean": mean, "interval": interval(values)}
            found.setdefault(model, {})[name] = about
    return found


def by_labels(pool: int, pools: list[int], model: str) -> dict[str, float]:
    """Non-negative weights that take most clean rows, on the mean over other pools."""
    method = cards.load("methods", "tmap")
    known = []
    for other in [p for p in pools if p != pool] or [pool]:
        labels = tables.read(
            "pool_labels", ROOT / f"results/{dataset(other)}/pool_labels.parquet"
        )
        files = [
            Path(p)
            for p in dag.indicators.indicator_files(dataset(other), model, "tmap")
        ]
        matrix = features.load(
            list(labels["sample_id"]),
            files,
            normalise=method.normalise,
            max_unscored=1.0,
        ).matrix
        known.append((matrix, labels["is_clean"].to_numpy()))
    fraction = cards.load("datasets", dataset(pool)).fraction
    rng = np.random.default_rng(0)
    tried = rng.random((N_TRIED, len(method.indicators))) ** 2  # many near nought
    share = np.zeros(N_TRIED)
    for matrix, clean in known:
        n = round(fraction * len(matrix))
        top = np.argpartition(-(matrix @ tried.T), n, axis=0)[:n]
        share += clean[top].mean(axis=0)
    best = tried[share.argmax()]
    return dict(zip(method.indicators, np.round(best, 4).tolist(), strict=True))


def given(
    pools: list[int], models: list[str], cores: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Accuracy with weights from elsewhere: `swapped` and `by_labels`."""
    names: dict[tuple[str, str, int], str] = {}
    for model, giver in zip(models, [*models[1:], models[0]], strict=True):
        for pool in pools:
            foreign = learned(weights_file(pool, giver))
            known = by_labels(pool, pools, model)
            for method, weights in (("swapped", foreign), ("by_labels", known)):
                names[model, method, pool] = f"{method}_{model}_p{pool}"
                card = {"weights": weights}
                write_card(MADE, "methods", names[model, method, pool], card)
    run([predictions(p, m, name) for (m, _, p), name in names.items()], SHIPPED, cores)
    found: Accuracies = {}
    for (model, method, pool), name in names.items():
        by_pool = found.setdefault(model, {}).setdefault(method, {})
        by_pool[str(pool)] = accuracy(pool, model, name)
    return found


def best_alone(comparison: dict[str, Any]) -> str:
    """The indicator that does best alone, on the mean over these pools."""
    alone = [name for name in comparison if name.startswith("alone_")]
    return max(alone, key=lambda name: comparison[name]["accuracy"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pools", default="0,1,2,3,4", help="pool seeds")
    parser.add_argument("--models", default="tiny,tiny_b")
    parser.add_argument("--vectors", type=int, default=20, help="fixed random weights")
    parser.add_argument("--search-seeds", type=int, default=5, help="on the first pool")
    parser.add_argument(
        "--alone", default="", help="indicators to take alone; '': every one"
    )
    parser.add_argument(
        "--exemplars",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also tmap with the other choice of exemplars",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the fixed weights")
    parser.add_argument("--cores", type=int, default=4)
    args = parser.parse_args()
    pools = [int(text) for text in args.pools.split(",")]
    models = args.models.split(",")
    cards.use_folders([CARDS])
    made = write_methods(args)
    cards.use_folders([CARDS, MADE])
    drawn = [name for name in made if name.startswith("drawn_")]
    methods = SHIPPED + [name for name in made if name not in drawn]
    on_pool = {p: [drawn[i % len(drawn)]] for i, p in enumerate(pools)}
    on_pool[pools[0]] = drawn
    wanted = metrics(pools, models)
    for model in models:
        wanted += [predictions(p, model, d) for p in pools for d in on_pool[p]]
        wanted += [weights_file(pools[0], model, s) for s in range(args.search_seeds)]
    run(wanted, methods, args.cores)
    results = measured(pools, models, methods)
    for model, by_method in given(pools, models, args.cores).items():
        results[model] |= by_method
        results[model]["random_weights"] = {
            str(p): float(np.mean([accuracy(p, model, d) for d in on_pool[p]]))
            for p in pools
        }
    found = {model: compared(results[model]) for model in models}
    report = {
        "pools": pools,
        "methods": found,
        "best_alone": {model: best_alone(found[model]) for model in models},
        "spearman_reward_accuracy": {
            model: correlation(pools[0], model, drawn) for model in models
        },
        "weights_over_search_seeds": over_seeds(pools[0], models, args.search_seeds),
        "accuracy_by_pool": results,
    }
    json.dump(report, sys.stdout, indent=1)


if __name__ == "__main__":
    main()

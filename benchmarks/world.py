"""Does a learned selection beat the others in the embedded world? Measured by training.

    python benchmarks/world.py --pools 0,1,2,3,4 --models tiny,tiny_b --cores 4

For each pool seed and model the workflow itself is run: it trains and measures
`random`, `uniform`, each indicator alone, `tmap`, `tmap` with signed weights and with
the other choice of exemplars, `full` and `oracle`; on the first pool also fixed random
weights, and `tmap` of further search seeds. Last, each model is trained with the
weights that were learned for the next one. JSON goes to stdout, progress to stderr:
accuracy per method with a 95 % t interval over pools, differences from tmap paired by
pool, and on the first pool the rank correlation of the few-shot reward with the
accuracy after training, and the weights over search seeds. What is finished is not run
again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy import stats

from tmap import adaptation, cards, paths, settings, tables
from tmap.ledger import Ledger

ROOT = Path(__file__).resolve().parents[1]
CARDS = ".world/cards"
SHIPPED = ["base", "random", "uniform", "full", "oracle", "tmap"]
Measured = dict[str, dict[str, dict[str, float]]]


def write_methods(n_vectors: int, seed: int) -> list[str]:
    """Write cards for the methods that are made here; their names."""
    names = cards.load("methods", "tmap").indicators
    made: dict[str, Any] = {f"alone_{n}": {"weights": {n: 1.0}} for n in names}
    rng = np.random.default_rng(seed)
    for i in range(n_vectors):
        drawn = np.round(rng.random(len(names)), 3).tolist()
        made[f"drawn_{i:02d}"] = {"weights": dict(zip(names, drawn, strict=True))}
    made["tmap_signed"] = {"extends": "tmap", "bounds": [-1, 1]}
    other = (
        "top" if cards.load("methods", "tmap").search.exemplars == "spread" else None
    )
    made[f"tmap_{other or 'spread'}"] = {
        "extends": "tmap",
        "search": {"exemplars": other or "spread"},
    }
    for name, card in made.items():
        write_method(name, card)
    return list(made)


def write_method(name: str, card: dict[str, Any]) -> None:
    path = ROOT / CARDS / "methods" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(card), encoding="utf-8")


def dataset(pool: int) -> str:
    return f"arith_p{pool}" if pool else "arith"


def metrics(pools: list[int], models: list[str]) -> list[str]:
    return [f"results/{dataset(p)}/{m}/metrics.json" for m in models for p in pools]


def build(targets: list[str], methods: list[str], cores: int) -> None:
    """Run the workflow for these files, one training seed per method."""
    config = {"methods": methods, "seeds": 1, "cards": ["config/embedded", CARDS]}
    place = ROOT / ".world" / "config.yaml"
    place.write_text(yaml.safe_dump(config), encoding="utf-8")
    command = ["snakemake", "--profile", "profiles/local", "--cores", str(cores)]
    command += ["--quiet", "rules", "--configfile", str(place), "--", *targets]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)


def measured(pools: list[int], models: list[str]) -> Measured:
    """Test accuracy after training: model -> method -> pool."""
    found: Measured = {}
    for model in models:
        for pool in pools:
            path = ROOT / f"results/{dataset(pool)}/{model}/metrics.json"
            table = json.loads(path.read_text(encoding="utf-8"))["methods"]
            for method, about in table.items():
                by_pool = found.setdefault(model, {}).setdefault(method, {})
                by_pool[str(pool)] = about["accuracy"]
    return found


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
    inputs = adaptation.Inputs(
        pool=Path(f"{room}/pool.parquet"),
        questions=Path(f"{room}/questions_reward.parquet"),
        tiny=Path(f"{room}/tiny.parquet"),
        confirm=Path(f"{room}/confirm.parquet"),
        model=Path(paths.model_file(model)),
        history=paths.history_files(name),
        indicators=[Path(p) for p in paths.indicator_files(name, model, "tmap")],
    )
    card = settings.search_weights(name, model, "tmap")
    ready = adaptation.prepare(card, inputs, Ledger(f".world/{name}_{model}.jsonl"))
    order = ready.candidates.features.names
    found = []
    for method in methods:
        weights = cards.load("methods", method).weights
        assert isinstance(weights, dict)
        drawn = np.array([weights[column] for column in order])
        found.append(ready.candidates.evaluate(ready.main, drawn).outcome.reward)
    return found


def correlations(
    pool: int, models: list[str], drawn: list[str], accuracy: Measured
) -> dict[str, Any]:
    """Spearman's rank correlation of reward and trained accuracy over fixed weights."""
    found: dict[str, Any] = {}
    for model in models:
        given = rewards(pool, model, drawn)
        trained = [accuracy[model].pop(method)[str(pool)] for method in drawn]
        rho = float(stats.spearmanr(given, trained).statistic)
        found[model] = {"rho": round(rho, 3), "reward": given, "accuracy": trained}
    return found


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


def swapped(pools: list[int], models: list[str], cores: int) -> dict[str, Any]:
    """Accuracy of each model with the weights learned for the next one, by pool."""
    pairs = list(zip(models, [*models[1:], models[0]], strict=True))
    files = {}
    for model, giver in pairs:
        for pool in pools:
            name = f"of_{giver}_p{pool}"
            write_method(name, {"weights": learned(weights_file(pool, giver))})
            room = f"results/{dataset(pool)}/{model}/{name}/s0/t0"
            files[model, pool] = f"{room}/predictions.parquet"
    build(list(files.values()), SHIPPED, cores)
    found: dict[str, Any] = {}
    for (model, pool), path in files.items():
        right = tables.read("predictions", ROOT / path)["is_correct"].mean()
        found.setdefault(model, {})[str(pool)] = float(right)
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
    parser.add_argument("--seed", type=int, default=0, help="of the fixed weights")
    parser.add_argument("--cores", type=int, default=4)
    args = parser.parse_args()
    pools = [int(text) for text in args.pools.split(",")]
    models = args.models.split(",")
    cards.use_folders(["config/embedded"])
    made = write_methods(args.vectors, args.seed)
    cards.use_folders(["config/embedded", CARDS])
    drawn = [name for name in made if name.startswith("drawn_")]
    methods = SHIPPED + [name for name in made if name not in drawn]
    build(metrics(pools[:1], models), methods + drawn, args.cores)
    seeds = range(1, args.search_seeds)
    again = [weights_file(pools[0], m, seed) for m in models for seed in seeds]
    build([*metrics(pools[1:], models), *again], methods, args.cores)
    accuracy = measured(pools, models)
    reward = correlations(pools[0], models, drawn, accuracy) if drawn else {}
    for model, by_pool in swapped(pools, models, args.cores).items():
        accuracy[model]["swapped"] = by_pool
    found = {model: compared(accuracy[model]) for model in models}
    report = {
        "pools": pools,
        "methods": found,
        "best_alone": {model: best_alone(found[model]) for model in models},
        "spearman_reward_accuracy": {"pool": pools[0], **reward},
        "weights_over_search_seeds": over_seeds(pools[0], models, args.search_seeds),
        "accuracy_by_pool": accuracy,
    }
    json.dump(report, sys.stdout, indent=1)


if __name__ == "__main__":
    main()

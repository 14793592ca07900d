"""What does a search learn for its answers? Learners side by side, judged by training.

    python benchmarks/search.py --pools 0,1,2,3,4 --models tiny,tiny_b --cores 2

For each pool seed, model, learner and number of answers the workflow itself searches,
selects, trains and measures in the embedded world:

* `random`: the best of random weight vectors; `gp`: the paper's Gaussian process with
  the embedded world's m = 8 spread groups; `top`: the same as the paper deals, m = 5
  groups of the best rows;
* `groups`: weights within [0, 1] by the group model; `signed`: the same within [-1, 1];
* `value`: rows ranked by trees on the same answers as `groups`;
* `logprob`, `sft`: `groups` by another probe. A training takes about as long as nine
  answers there, so `sft_288` trains on 32 groups.

`--splits` also deals the answers of the group model as few groups with many questions.
JSON goes to stdout, progress to stderr: share of clean rows in the chosen third, accuracy
after training (mean over `--seeds` trainings), held-out skill and seconds of the search,
and paired differences over pools with 95 % t intervals. Answers that confirm a finished
search are not counted. What is finished is not run again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from embedded import CARDS, ROOT, build, dataset, write, write_card
from scipy import stats

from tmap.artifacts import tables

MADE = ".embedded/search/cards"
CONFIG = ".embedded/search/config.yaml"
#: Questions of the embedded world's tiny set, and groups of its tmap card.
S, M = 12, 8
#: Pairs whose difference is reported: (better?, than).
PAIRS = (
    ("groups_288", "gp_4320"),
    ("groups_4320", "gp_4320"),
    ("groups_288", "gp_288"),
    ("groups_288", "top_4320"),
    ("groups_4320", "top_4320"),
    ("value_4320", "groups_4320"),
    ("signed_288", "groups_288"),
    ("logprob_288", "groups_288"),
    ("sft_288", "groups_288"),
)


def cards_of(budgets: list[int], learners: list[str], splits: list[int]) -> list[str]:
    """Write a method card for each learner and budget; their names."""
    made: dict[str, Any] = {}
    for answers in budgets:
        searched = points(answers, M)
        groups = {"n_answers": answers}
        every: dict[str, dict[str, Any]] = {
            "random": {
                "search": {"n_initial": sum(searched.values()), "n_iterations": 0}
            },
            "gp": {"search": searched},
            "top": {
                "search": {**points(answers, 5), "n_groups": 5, "exemplars": "top"}
            },
            "groups": {"search": {"groups": groups}},
            "logprob": {"search": {"groups": groups, "probe": "icl_logprob"}},
            "sft": {
                "search": {
                    "groups": groups,
                    "probe": "sft",
                    "sft": {"n_groups": max(8, answers // 9)},
                }
            },
            "signed": {"search": {"groups": groups}, "bounds": [-1, 1]},
            "value": {
                "search": {"groups": groups},
                "weights_of": f"groups_{answers}",
                "score": "value",
            },
        }
        for learner in learners:
            made[f"{learner}_{answers}"] = {"extends": "tmap", **every[learner]}
        for q in splits:
            how = {"groups": {**groups, "per_group": q}}
            made[f"groups_{answers}x{q}"] = {"extends": "tmap", "search": how}
    for name, card in made.items():
        write_card(MADE, "methods", name, card)
    return list(made)


def points(answers: int, m: int) -> dict[str, int]:
    """Random and guided points that ask so many answers with m groups."""
    total = max(1, round(answers / (S * m)))
    start = min(5, total)
    return {"n_initial": start, "n_iterations": total - start}


def place(pool: int) -> str:
    """The dataset card of a pool seed, written if no shipped one exists."""
    name = dataset(pool)
    if not (ROOT / f"config/datasets/{name}.yaml").is_file():
        seed = {"seed": pool}
        card = {"extends": "arith", "pool": seed, "questions": seed}
        write_card(MADE, "datasets", name, card)
    return name


def measured(pool: int, model: str, method: str, n_seeds: int) -> dict[str, Any]:
    """One search: its selection, its trainings, its own account."""
    room = ROOT / f"results/{dataset(pool)}/{model}/{method}"
    labels = tables.read("pool_labels", room.parents[1] / "pool_labels.parquet")
    clean = labels.set_index("sample_id")["is_clean"]
    chosen = tables.read("subset", room / "s0/subset.parquet")["sample_id"]
    accuracies = [
        float(tables.read("predictions", file)["is_correct"].mean())
        for t in range(n_seeds)
        for file in sorted(room.glob(f"s*/t{t}/predictions.parquet"))
    ]
    found: dict[str, Any] = {
        "clean": float(clean.loc[chosen].mean()),
        "accuracy": float(np.mean(accuracies)),
        "accuracies": accuracies,
    }
    weights = room / "s0/weights.json"
    if weights.is_file():
        about = json.loads(weights.read_text(encoding="utf-8"))
        found["abstains"] = about["abstains"]
        found["skill"] = (about.get("groups") or {}).get("r2")
        found["process"] = (about.get("process") or {}).get("leave_one_out_r2")
        times = pd.read_parquet(room / "s0/timings.parquet")
        found["answer_seconds"] = float(times["reward_seconds"].sum())
        found["learner_seconds"] = float(times["optimizer_seconds"].sum())
    return found


def difference(
    results: dict[str, Any], better: str, worse: str, pools: list[int]
) -> dict[str, Any]:
    """Paired by pool (models averaged), in points, with a 95 % t interval."""
    by_pool = {
        pool: [
            100 * (results[m][str(pool)][better]["accuracy"])
            - 100 * results[m][str(pool)][worse]["accuracy"]
            for m in results
        ]
        for pool in pools
    }
    values = np.array([np.mean(each) for each in by_pool.values()])
    interval: list[float | None] = [None, None]
    if len(values) > 1:
        half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
        interval = [float(values.mean() - half), float(values.mean() + half)]
    return {
        "difference": float(values.mean()),
        "interval": interval,
        "worst": float(min(min(each) for each in by_pool.values())),
        "by_pool": {str(pool): each for pool, each in by_pool.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pools", default="0,1,2,3,4", help="pool seeds")
    parser.add_argument("--models", default="tiny,tiny_b")
    parser.add_argument("--budgets", default="144,288,576,1152,4320", help="answers")
    parser.add_argument("--learners", default="random,gp,top,groups,signed,value")
    parser.add_argument(
        "--splits", default="", help="questions behind each group, also: 4,12"
    )
    parser.add_argument(
        "--references", default="random,uniform,oracle", help="methods without a search"
    )
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each")
    parser.add_argument("--cores", type=int, default=2)
    args = parser.parse_args()
    pools = [int(text) for text in args.pools.split(",")]
    models, learners = args.models.split(","), args.learners.split(",")
    budgets = [int(text) for text in args.budgets.split(",")]
    splits = [int(text) for text in args.splits.split(",") if text]
    methods = cards_of(budgets, learners, splits)
    rows = [*filter(None, args.references.split(",")), *methods]
    names = {pool: place(pool) for pool in pools}
    wanted = [f"results/{names[p]}/{m}/metrics.json" for m in models for p in pools]
    wanted += [f"results/{name}/pool_labels.parquet" for name in names.values()]
    config = {"methods": rows, "seeds": args.seeds, "cards": [CARDS, MADE]}
    write(CONFIG, config)
    build(wanted, CONFIG, args.cores)
    results = {
        model: {
            str(pool): {row: measured(pool, model, row, args.seeds) for row in rows}
            for pool in pools
        }
        for model in models
    }
    report = {
        "pools": pools,
        "models": models,
        "trainings": args.seeds,
        "differences": {
            f"{better} - {worse}": difference(results, better, worse, pools)
            for better, worse in PAIRS
            if {better, worse} <= set(rows)
        },
        "results": results,
    }
    json.dump(report, sys.stdout, indent=1)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()

"""How well `less` and `evoselect` rank clean rows above faulty ones, in the embedded world.

    python benchmarks/gradient_auc.py --pool 0 --model tiny --cores 4

The workflow builds both columns, from the warm-up on, for the pool of this seed. JSON goes
to stdout, progress to stderr; of every column

    auc     probability that a clean row scores above a faulty one, ties half; scored rows
    clean   share of clean rows among the best of the whole pool, as many as the dataset
            card's `fraction:` takes; unscored rows last

`columns` holds the two and every other indicator's table that is there already (none is
built for this); `mu` holds `evoselect` with other values of mu, on the same gradients;
`median_cosine` is that of the gradients of two candidates, at the last checkpoint.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import pandas as pd
from embedded import CARDS, ROOT, build, dataset
from sklearn.metrics import roc_auc_score

from tmap import cards, dag, indicators
from tmap.artifacts import tables
from tmap.gradients import similarity
from tmap.selection.ranking import n_selected

OURS = ("less", "evoselect")


def ranks(score: pd.Series, clean: pd.Series, n: int) -> dict[str, Any]:
    """AUC and share of clean rows among the best n.

    Parameters
    ----------
    score, clean : by sample id
    """
    score = score.reindex(clean.index)
    known = score.notna()
    best = score.sort_values(ascending=False, kind="stable", na_position="last")
    return {
        "auc": round(float(roc_auc_score(clean[known], score[known])), 4),
        "clean": round(float(clean[best.index[:n]].mean()), 4),
        "n_unscored": int((~known).sum()),
    }


def columns(dataset: str, model: str) -> dict[str, pd.Series]:
    """Scores by sample id: ours, then what else there is."""
    found = {}
    for name in dict.fromkeys([*OURS, *indicators.names()]):
        path = ROOT / dag.indicators.indicator_file(dataset, model, name)
        if path.exists():
            table = tables.read("indicator", path)
            found[name] = table.set_index("sample_id")["score"]
    return found


def by_mu(dataset: str, model: str, values: list[float]) -> dict[str, pd.Series]:
    """`evoselect` with each mu, on the gradients that the workflow measured."""
    pool = tables.read("pool", ROOT / f"results/{dataset}/pool.parquet")
    files = dag.gradients.gradients_of_indicator(dataset, model, "evoselect")
    features = similarity.read([ROOT / file for file in files])
    column = indicators.get("evoselect")
    return {
        f"{mu:g}": pd.Series(
            column(pool, features, mu=mu).score, index=pool["sample_id"]
        )
        for mu in values
    }


def median_cosine(dataset: str, model: str) -> float:
    """Of all pairs of candidates, in the last checkpoint."""
    files = dag.gradients.gradients_of_indicator(dataset, model, "less")
    found = np.load(ROOT / files[1], mmap_mode="r")[-1].astype(np.float32)
    size = np.linalg.norm(found, axis=1)
    unit = found[size > 0] / size[size > 0, None]
    pairs = np.triu_indices(len(unit), 1)
    return round(float(np.median((unit @ unit.T)[pairs])), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pool", type=int, default=0, help="pool seed: 0-4, 100-104")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--mu", default="0,0.1,1", help="other values; '': none")
    parser.add_argument("--cores", type=int, default=4)
    args = parser.parse_args()
    cards.use_folders([CARDS])
    pool = dataset(args.pool)
    wanted = [dag.indicators.indicator_file(pool, args.model, name) for name in OURS]
    wanted += [f"results/{pool}/pool_labels.parquet"]
    build(wanted, f"{CARDS}/config.yaml", args.cores)
    labels = tables.read("pool_labels", ROOT / f"results/{pool}/pool_labels.parquet")
    clean = labels.set_index("sample_id")["is_clean"].astype(bool)
    n = n_selected(cards.load("datasets", pool).fraction, len(clean))
    values = [float(mu) for mu in args.mu.split(",") if mu]
    found = {
        "columns": columns(pool, args.model),
        "mu": by_mu(pool, args.model, values),
    }
    report = {
        "dataset": pool,
        "model": args.model,
        "proxy": dag.gradients.proxy_of(pool, args.model),
        "n_rows": len(clean),
        "clean": round(float(np.mean(clean)), 4),
        "n_best": n,
        "median_cosine": median_cosine(pool, args.model),
    }
    report |= {
        kind: {name: ranks(score, clean, n) for name, score in scores.items()}
        for kind, scores in found.items()
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

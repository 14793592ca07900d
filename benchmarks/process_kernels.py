"""What a Gaussian process would learn from the same rewards, by its kernel and noise.

    python benchmarks/process_kernels.py --results results --pools arith,arith_p1

Reads finished searches by 45 random weight vectors (`random_4320` of benchmarks/search.py)
and asks no model. Processes are fitted to `w` as shipped, to w on the simplex and on the
sphere (rankings do not change when w is scaled), with the noise of each reward taken from
its groups, and to the selection instead of w: two weight vectors are alike if they choose
the same rows. JSON goes to stdout: leave-one-out R2 of each, the share of clean rows in the
selection that each expects to be best, of 3,000 random weight vectors, and what groups
chose from as many answers.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

from tmap.artifacts import tables
from tmap.selection import features

CANDIDATES = 3000


def selected(matrix: np.ndarray, weights: np.ndarray, n: int) -> np.ndarray:
    """(T, N) rows that weights choose, as unit vectors: products are shares in common."""
    scores = weights @ matrix.T
    chosen = np.argsort(-scores, axis=1, kind="stable")[:, :n]
    found = np.zeros(scores.shape)
    np.put_along_axis(found, chosen, 1 / n**0.5, axis=1)
    return found


def simplex(weights: np.ndarray) -> np.ndarray:
    return weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)


def sphere(weights: np.ndarray) -> np.ndarray:
    return weights / np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-9)


def fitted(x: np.ndarray, y: np.ndarray, smooth: Any, noise: np.ndarray | None) -> Any:
    """A process and its leave-one-out R2, its hyperparameters by marginal likelihood."""
    kernel = ConstantKernel(1.0) * smooth
    given = 1e-10 if noise is None else noise / y.var()
    if noise is None:
        kernel = kernel + WhiteKernel(0.1)
    process = GaussianProcessRegressor(
        kernel, alpha=given, normalize_y=True, n_restarts_optimizer=3, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a length scale at its bound: it means flat
        process.fit(x, y)
    covariance = process.kernel_(process.X_train_) + np.diag(
        np.broadcast_to(given, len(y))
    )
    inverse = np.linalg.inv(covariance)
    centred = (y - y.mean()) / y.std()
    left_out = (inverse @ centred) / np.diag(inverse)
    return process, float(1 - np.mean(left_out**2))


def search(room: Path, pool: str, model: str) -> dict[str, Any]:
    """One finished search, and what each process makes of it."""
    found = room / pool / model / "random_4320/s0"
    about = json.loads((found / "weights.json").read_text(encoding="utf-8"))
    names = about["indicators"]
    files = [
        next((room / pool).glob(f"**/indicators/{name}.parquet")) for name in names
    ]
    rows = tables.read("pool", room / pool / "pool.parquet", ["sample_id"])
    ids = rows["sample_id"].tolist()
    loaded = features.load(ids, files, normalise="minmax", max_unscored=1.0)
    matrix = loaded.matrix
    labels = tables.read("pool_labels", room / pool / "pool_labels.parquet")
    clean = labels.set_index("sample_id")["is_clean"].loc[ids].to_numpy(dtype=float)
    trace = pd.read_parquet(found / "trace.parquet")
    w, y = np.stack(trace["weights"]), trace["reward"].to_numpy()
    noise = trace["reward_se_groups"].to_numpy() ** 2
    drawn = np.random.default_rng(0).random((CANDIDATES, w.shape[1]))
    n = len(tables.read("subset", found / "subset.parquet"))
    tried, offered = selected(matrix, w, n), selected(matrix, drawn, n)
    k = w.shape[1]
    ways = {
        "w": (w, drawn, Matern(np.ones(k), nu=2.5), None),
        "w, noise by groups": (w, drawn, Matern(np.ones(k), nu=2.5), noise),
        "simplex": (simplex(w), simplex(drawn), Matern(np.ones(k), nu=2.5), None),
        "sphere": (sphere(w), sphere(drawn), Matern(np.ones(k), nu=2.5), None),
        "selection": (tried, offered, RBF(1.0), None),
        "selection, noise by groups": (tried, offered, RBF(1.0), noise),
    }
    share = offered @ clean / n**0.5
    report: dict[str, Any] = {}
    for name, (x, candidates, smooth, given) in ways.items():
        process, skill = fitted(x, y, smooth, given)
        best = int(np.argmax(process.predict(candidates)))
        report[name] = {"leave_one_out_r2": skill, "clean": float(share[best])}
    report["best tried"] = {"clean": float((tried @ clean / n**0.5)[int(np.argmax(y))])}
    report["best of the candidates"] = {"clean": float(share.max())}
    groups = tables.read(
        "subset", room / pool / model / "groups_4320/s0/subset.parquet"
    )
    ours = labels.set_index("sample_id")["is_clean"].loc[groups["sample_id"]]
    report["groups"] = {"clean": float(ours.mean())}
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--pools", default="arith,arith_p1", help="dataset cards")
    parser.add_argument("--models", default="tiny")
    given = parser.parse_args()
    report = {
        f"{pool}/{model}": search(given.results, pool, model)
        for pool in given.pools.split(",")
        for model in given.models.split(",")
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

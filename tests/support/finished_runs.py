"""Builds the files of finished runs that `collect_metrics` reads."""

import json

import numpy as np
import pandas as pd

from tmap.artifacts import tables
from tmap.artifacts.files import write_json
from tmap.comparison import metrics, runs

ROOM = "results/toy/small"
INDICATORS = ["ifd", "output_length", "perplexity"]


def question_ids(n):
    return [f"q{i:04d}" for i in range(n)]


def predictions(path, is_correct, *, shuffle_seed=None, code="abc"):
    """Write predictions whose readings all agree, with rows shuffled if requested."""
    right = np.asarray(is_correct, dtype=bool)
    frame = pd.DataFrame({"question_id": question_ids(len(right)), "text": "a"})
    for name in ("strict", "flexible", "numeric"):
        frame[name] = "1"
        frame[f"is_{name}"] = right
    frame["is_correct"] = right
    if shuffle_seed is not None:
        frame = frame.sample(frac=1, random_state=shuffle_seed)
    tables.write("predictions", frame, path, code=code)


def run(folder, method, s, t, is_correct, warnings=(), n_samples=30, **options):
    """Write predictions.parquet, and train.json for all except base; return the paths."""
    room = folder / ROOM / method / f"s{s}" / f"t{t}"
    predictions(room / "predictions.parquet", is_correct, **options)
    if method == "base":
        return [str(room / "predictions.parquet")]
    report = {"n_samples": n_samples, "n_tokens": 500, "truncated": 1, "dropped": 0}
    report |= {
        "n_trained_tokens": 1000 + t,
        "steps": 4,
        "final_loss": 1.5,
        "warnings": list(warnings),
    }
    write_json(room / "train.json", report)
    return [str(room / "predictions.parquet"), str(room / "train.json")]


def search(folder, method, s, n_iterations=8, warnings=()):
    """Write weights.json and trace.parquet; return the paths."""
    room = folder / ROOM / method / f"s{s}"
    rng = np.random.default_rng(s)
    reward = 0.40 + 0.05 * rng.standard_normal(n_iterations).cumsum() / 3
    trace = pd.DataFrame({"iteration": range(n_iterations), "reward": reward})
    trace["weights"] = list(rng.random((n_iterations, len(INDICATORS))))
    trace["reward_se_items"] = 0.03
    trace["reward_se_groups"] = 0.015
    trace["group_accuracy"] = [[0.4, 0.5]] * n_iterations
    trace["exemplars"] = [[["a", "b"], ["c", "d"]]] * n_iterations
    trace["raced"] = [i % 5 == 4 for i in range(n_iterations)]
    notes = {"indicators": INDICATORS}
    tables.write("trace", trace, room / "trace.parquet", code="def", seed=s, **notes)
    weights = {
        "indicators": INDICATORS,
        "weights": [0.2, 0.4, 0.8],
        "weights_relative": [0.25, 0.5, 1.0],
        "interval": [[0.0, 0.9], [0.1, 1.0], [0.6, 1.0]],
        "reward": 0.43,
        "reward_search": 0.47,
        "estimator": "gp_irt",
        "estimator_reason": "the zero-shot estimate lies inside the history",
        "uniform_reward": 0.41,
        "confirm": [
            {"name": "uniform", "weights": [1, 1, 1], "reward": 0.41, "se": 0.02}
        ],
        "warnings": list(warnings),
        "n_evaluations": n_iterations,
        "seed": s,
    }
    write_json(room / "weights.json", weights)
    return [str(room / "weights.json"), str(room / "trace.parquet")]


def answers(rng, difficulty, shift, n_runs=3, seed_sd=0.01):
    """(n_runs, n_questions) of 0/1: runs share the questions' difficulty."""
    seeds = rng.normal(0, seed_sd, (n_runs, 1))
    return rng.random((n_runs, len(difficulty))) < np.clip(
        difficulty + shift + seeds, 0, 1
    )


def table(folder, n=600, methods=("base", "random", "uniform", "tmap"), n_runs=3):
    """A whole results table: tmap is 10 points above random, uniform equal to it."""
    rng = np.random.default_rng(11)
    difficulty = rng.beta(0.6, 0.6, n)
    shifts = {"base": -0.02, "random": 0.0, "uniform": 0.0, "tmap": 0.10}
    paths = []
    for method in methods:
        count = 1 if method == "base" else n_runs
        right = answers(rng, difficulty, shifts[method], count)
        for t in range(count):
            s = t if method == "random" else 0
            paths += run(folder, method, s, t, right[t], shuffle_seed=t)
        if method == "tmap":
            paths += search(folder, method, 0)
    return paths


ABOUT = {"schema": "x", "schema_version": 1, "code": "c", "seed": None, "versions": {}}


PLAN = {
    "primary": ["tmap"],
    "looks": [],
    "runs": {"random": 3, "uniform": 3, "tmap": 3},
}


def collect(paths, n=600, **changed):
    found = runs.load(paths, question_ids(n))
    given = {
        "dataset": "toy",
        "model": "small",
        "metric": "flexible",
        "warn_overlap": 0.05,
        "margin": 0.01,
        "plan": json.dumps(PLAN),
        "pool": {**ABOUT, "rows": {"total": 70}, "overlap_share": 0.01},
        "rejected": {**ABOUT, "rows": {"total": 2}},
        "tiny": {**ABOUT, "rows": {"total": 30}, "estimator": "gp_irt"},
        "seen": (),
        "protocol": "paper",
        "record": {"model": "small", "revision": "r1", "path": "somewhere"},
    }
    return metrics.collect(found, **given | changed)

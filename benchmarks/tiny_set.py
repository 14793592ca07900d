"""How well do a few questions predict accuracy on all? Measured on subjects held out.

    python benchmarks/tiny_set.py --responses FILE --seeds 30

FILE is parquet, long (subject_id, question_id, is_correct) or wide (one row per
subject, one numeric column of 0/1 per question). Duplicate subjects are removed, a
quarter of the rest is held out per seed, and everything is learned from the other
three: D, item parameters, anchors, lambda, ridge, and the error of each estimator, whose
95 % interval should cover 95 % of the subjects held out. JSON goes to stdout, progress to
stderr.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tmap.jobs import log
from tmap.tiny import calibration, choose, estimators, held_out, history, irt
from tmap.tiny.history import History

TEST_SHARE = 0.25
RANDOM_DRAWS = 5  # per seed, so that the yardstick is not noise itself
NORMAL = 1.96
DIMENSIONS = (1, 2, 3, 4, 5)  # the dataset card's default


def is_answered(column: pd.Series) -> bool:
    """Whether a column holds numbers 0 and 1 only, gaps apart."""
    given = column.dropna()
    return pd.api.types.is_numeric_dtype(column) and given.isin([0, 1]).all()


def load(path: str) -> History:
    """A history from a long or a wide file."""
    frame = pd.read_parquet(path)
    if {"subject_id", "question_id", "is_correct"} <= set(frame.columns):
        return history.from_table(frame)
    columns = [c for c in frame if is_answered(frame[c])]
    left_out = [str(c) for c in frame if c not in columns]
    if left_out:
        print(f"left out, not 0 and 1: {', '.join(left_out)}", file=sys.stderr)
    if not columns:
        sys.exit(
            f"error: {path} has neither columns subject_id, question_id, is_correct "
            "nor columns of 0 and 1. Give a long or a wide table of responses."
        )
    names = [str(i) for i in range(len(frame))]
    return history.from_matrix(frame[columns].to_numpy(float), names, columns)


def long(part: History) -> pd.DataFrame:
    """Table `responses` of a history."""
    n_subjects, n_questions = part.correct.shape
    table = pd.DataFrame(
        {
            "subject_id": np.repeat(part.subject_ids, n_questions),
            "question_id": np.tile(part.question_ids, n_subjects),
            "is_correct": part.correct.ravel(),
        }
    )
    return table.dropna()


def errors_of_split(
    whole: History, sizes: list[int], seed: int
) -> dict[tuple[str, int], tuple[float, float, float]]:
    """Per (estimator, size), for one split: mean absolute error, coverage, half width.

    A random subset has no interval (NaN).
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(whole.subject_ids))
    n_test = round(TEST_SHARE * len(order))
    learned, held = whole.take(order[n_test:]), whole.take(order[:n_test])
    truth, answers = held.accuracy, held.filled()
    found = calibration.from_history(learned, DIMENSIONS, seed)
    pairs = [(size, 0) for size in sizes]
    known = held_out.measure(learned, found.notes["dimension"], pairs, seed)
    responses, items = long(learned), estimators.items(found.items)
    errors = {}
    for size, (measured, _) in zip(sizes, known, strict=True):
        table, _ = choose.from_history(items, learned, size, 0, seed)
        for name in estimators.ANCHOR_SETS:
            notes = measured.notes if measured else {}
            made = estimators.build(name, table, notes, found.items, responses)
            asked = pd.Index(whole.question_ids).get_indexer(made.question_ids)
            error = np.abs(made.estimate(answers[:, asked]) - truth)
            half = NORMAL * made.se_items
            errors[name, size] = (error.mean(), (error <= half).mean(), half)
        draws = [rng.permutation(answers.shape[1])[:size] for _ in range(RANDOM_DRAWS)]
        guesses = np.stack([answers[:, draw].mean(axis=1) for draw in draws])
        errors["random", size] = (np.abs(guesses - truth).mean(), np.nan, np.nan)
    return errors


def measure(
    whole: History, sizes: list[int], n_seeds: int, first_seed: int
) -> dict[str, Any]:
    """Averages over the splits: errors and half widths in points, ratios to random."""
    irt.fit(whole.correct[:20, :20], 1)  # torch loads here, not in the timed fit
    start = time.perf_counter()
    irt.fit(whole.correct, max(DIMENSIONS))
    fit_seconds = time.perf_counter() - start
    progress = log.Progress("tiny_set", n_seeds, unit="splits")
    runs = []
    for seed in range(first_seed, first_seed + n_seeds):
        runs.append(errors_of_split(whole, sizes, seed))
        progress.advance()
    mean = {key: np.mean([run[key] for run in runs], axis=0) for key in runs[0]}
    names = ["random", *estimators.ANCHOR_SETS]

    def by_size(what: Callable[[str, int], float], named: list[str]) -> dict[str, Any]:
        return {n: {str(s): round(float(what(n, s)), 3) for s in sizes} for n in named}

    return {
        "mae_points": by_size(lambda n, s: 100 * mean[n, s][0], names),
        "ratio_to_random": by_size(
            lambda n, s: mean[n, s][0] / mean["random", s][0], names
        ),
        "coverage_of_95": by_size(lambda n, s: mean[n, s][1], names[1:]),
        "half_width_points": by_size(lambda n, s: 100 * mean[n, s][2], names[1:]),
        "fit_seconds": round(fit_seconds, 2),
        "n_subjects": len(whole.subject_ids),
        "n_duplicates": whole.n_duplicates,
        "n_questions": len(whole.question_ids),
        "first_seed": first_seed,
        "n_seeds": n_seeds,
    }


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--responses", required=True, help="parquet, long or wide")
    parser.add_argument(
        "--sizes", default="12,24,30,48,60,100", help="S, separated by commas"
    )
    parser.add_argument("--seeds", type=int, default=30, help="number of splits")
    parser.add_argument("--first-seed", type=int, default=0, help="seed of the first")
    given = parser.parse_args()
    log.setup()
    logging.getLogger("tmap.tiny.calibration").setLevel(logging.WARNING)
    sizes = [int(s) for s in given.sizes.split(",")]
    result = measure(load(given.responses), sizes, given.seeds, given.first_seed)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

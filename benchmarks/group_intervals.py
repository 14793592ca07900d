"""Do the intervals of a group search's weights cover? Searches of known worlds, no model.

    python benchmarks/group_intervals.py --searches 100

Each search is the shipped design and fit: 288 groups of three rows with one question each,
in four rounds, on 999 rows of eight columns. An answer is right with a chance that is
linear in the group's mean columns. In half of the worlds four columns follow four others.
JSON goes to stdout: for each world, the share of searches whose nominal 90 % intervals hold
the true relative weight and the true coefficient, by column, and their mean width.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import numpy as np

from tmap.groups import group_model
from tmap.groups.design import Design
from tmap.groups.group_model import Data
from tmap.selection import ranking

ROWS, COLUMNS, ANSWERS, ROUNDS, SHOTS, QUESTIONS = 999, 8, 288, 4, 3, 100
#: Coefficients by what is known of them.
TRUTHS = {
    "one large, one half": [0.5, 0.25, 0, 0, 0, 0, 0, 0],
    "two equal": [0.3, 0, 0, 0, 0.3, 0, 0, 0],
    "all equal": [0.2] * COLUMNS,
    "all different": [0.2, 0.15, 0.1, 0.05, 0.2, 0.15, 0.1, 0.05],
}


def columns(seed: int, follows: bool) -> np.ndarray:
    """(ROWS, COLUMNS) in [0, 1]."""
    rng = np.random.default_rng([seed, 7])
    drawn = rng.random((ROWS, COLUMNS))
    if follows:
        half = COLUMNS // 2
        drawn[:, half:] = 0.3 * drawn[:, half:] + 0.7 * drawn[:, :half]
    low, high = drawn.min(axis=0), drawn.max(axis=0)
    return (drawn - low) / (high - low)


def search(truth: np.ndarray, follows: bool, seed: int) -> Any:
    """All data, the fit and the fit without a penalty of one search."""
    matrix = columns(seed, follows)
    centre = matrix.mean(axis=0)
    rng = np.random.default_rng([seed, 11])
    draws = np.random.default_rng([seed, 1])
    design = Design(matrix, np.arange(ROWS), SHOTS, QUESTIONS, 1, seed)
    means, answers = [], []
    fit = None
    for n in np.diff(np.linspace(0, ANSWERS, ROUNDS + 1).astype(int)):
        if fit is None:
            groups = design.spread(n)
        else:
            pair = fit.draws(2, False, draws)
            groups = design.dividing(n, *(chosen(matrix, beta) for beta in pair))
        mean = matrix[np.array([group.rows for group in groups])].mean(axis=1)
        chance = np.clip(0.5 + (mean - centre) @ truth, 0, 1)
        means.append(mean)
        answers.append((rng.random(n) < chance).astype(float))
        data = Data(np.vstack(means), np.concatenate(answers))
        fit = group_model.fit(data, signed=False)
    return data, fit, group_model.fit(data, signed=False, penalty=0.0)


def chosen(matrix: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Rows that coefficients would select."""
    scores = ranking.scores(matrix, beta)
    return ranking.top(scores, np.arange(ROWS), ROWS // 3)


def world(name: str, follows: bool, n: int) -> dict[str, Any]:
    """Coverage over n searches."""
    truth = np.array(TRUTHS[name], dtype=float)
    relative, free = np.zeros(COLUMNS), np.zeros(COLUMNS)
    width, n_penalised = 0.0, 0
    for seed in range(n):
        data, fit, plain = search(truth, follows, seed)
        drawn = plain.draws(
            group_model.N_DRAWS, False, np.random.default_rng([seed, 3])
        )
        point = group_model.scaled(fit.beta, (0.0, 1.0))
        low, high = group_model.relative_intervals(drawn, point / point.max()).T
        relative += (low - 1e-9 <= truth / truth.max()) & (
            truth / truth.max() <= high + 1e-9
        )
        width += float((high - low).mean())
        low, high = group_model.coefficient_intervals(plain, len(data.y)).T
        free += (low <= truth) & (truth <= high)
        n_penalised += fit.penalty > 0
    print(f"{name}, follows {follows}: {relative.mean() / n:.2f}", file=sys.stderr)
    return {
        "coefficients": truth.tolist(),
        "four_columns_follow_others": follows,
        "searches": n,
        "with_a_penalty": n_penalised,
        "relative_weight": (relative / n).tolist(),
        "coefficient": (free / n).tolist(),
        "mean_relative_weight": float(relative.mean() / n),
        "mean_coefficient": float(free.mean() / n),
        "mean_width": width / n,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=100, help="of each world")
    n = parser.parse_args().searches
    report = [world(name, follows, n) for follows in (True, False) for name in TRUTHS]
    json.dump(report, sys.stdout, indent=1)


if __name__ == "__main__":
    main()

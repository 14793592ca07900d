"""Table 9: the untrained model's accuracy on all reward questions, and estimates of it.

Random: the plain mean on S random questions, over many draws (the paper has one). K-means:
the plain mean over the tiny set. gp-IRT: equation 6. Delta is the distance from the truth
in points; for random, its mean over draws.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from tmap import cards
from tmap.artifacts import tables
from tmap.cards.experiment import ExperimentCard
from tmap.experiments.accuracy import column
from tmap.experiments.cells import Cells
from tmap.tiny import estimators

N_DRAWS = 2000
SHOWN = {"kmeans_mean": "K-means mean", "gp_irt": "gp-IRT"}


def build(card: ExperimentCard) -> Cells:
    """Rows are a model and how it is measured; columns datasets and their deltas."""
    found = Cells([], "accuracy, %; delta: points", decimals=2)
    for model, dataset in product(card.models, card.datasets):
        start = f"{card.label(model)}, " if len(card.models) > 1 else ""
        for how, value, delta in measured(dataset, model):
            row = {"row": start + how}
            name = column(card, dataset, model) if len(card.models) < 2 else ""
            name = name or card.label(dataset)
            found.rows.append({**row, "column": name, **value})
            if delta:
                found.rows.append({**row, "column": f"{name} delta", **delta})
    found.lines.append(
        f"Random: mean of {N_DRAWS} draws, with the range of 95 % of them. One model is "
        "one trial: finding the most accurate estimator takes many models."
    )
    return found


def measured(
    dataset: str, model: str
) -> list[tuple[str, dict[str, Any], dict[str, Any] | None]]:
    """(how, cell, cell of its delta) for the whole set, random, K-means and gp-IRT."""
    room = f"results/{dataset}"
    answers = tables.read("predictions", f"{room}/{model}/reward_answers.parquet")
    right = answers.set_index("question_id")["is_correct"]
    truth = float(right.mean())
    tiny = tables.read("tiny", f"{room}/tiny.parquet")
    notes = tables.metadata(f"{room}/tiny.parquet")
    past = cards.load("datasets", dataset).responses is not None
    irt = tables.read("irt", f"{room}/irt.parquet") if past else None
    responses = tables.read("responses", f"{room}/responses.parquet") if past else None
    n = int((tiny["anchor_set"] == "kmeans").sum())
    draws = random_means(right.to_numpy(float), n)
    errors = np.abs(draws - truth)
    found: list[tuple[str, dict[str, Any], dict[str, Any] | None]] = [
        ("all questions", {"value": truth}, None),
        (f"random {n}", _spread(draws), _spread(errors)),
    ]
    for name in ["kmeans_mean", *(["gp_irt"] if past else [])]:
        made = estimators.build(name, tiny, notes, irt, responses)
        value = float(made.estimate(right.loc[list(made.question_ids)].to_numpy()))
        ends = np.clip(
            [value - 1.96 * made.se_items, value + 1.96 * made.se_items], 0, 1
        )
        near = {"value": value, "low": float(ends[0]), "high": float(ends[1])}
        found.append((SHOWN[name], near, {"value": abs(value - truth)}))
    return found


def random_means(right: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """(N_DRAWS,) means of n answers drawn without replacement."""
    rng = np.random.default_rng(seed)
    return np.array(
        [rng.choice(right, n, replace=False).mean() for _ in range(N_DRAWS)]
    )


def _spread(values: np.ndarray) -> dict[str, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return {"value": float(values.mean()), "low": float(low), "high": float(high)}

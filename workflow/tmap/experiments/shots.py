"""Table 8: the same rows as demonstrations (ICL) and as training data (SFT).

The paper's evidence that few-shot accuracy predicts fine-tuning. Both use the n rows of
one subset and the same test questions. The rank correlation over shot counts is printed
with its number of points.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy import stats

from tmap import dag
from tmap.cards.experiment import ExperimentCard
from tmap.comparison import statistics
from tmap.experiments import arms
from tmap.experiments.accuracy import column
from tmap.experiments.cells import Cells


def build(card: ExperimentCard) -> Cells:
    """Rows are numbers of rows, columns ICL and SFT of every dataset and model."""
    found = Cells([], "accuracy, %", best=True)
    for dataset, model, method in product(card.datasets, card.models, card.methods):
        name = column(card, dataset, model)
        if len(card.methods) > 1:
            name += f" {card.label(method)}"
        answers = {
            f"{n} {kind}": arms.matrix(
                [
                    f"{dag.experiments.room(dataset, model, method)}/s{s}/n{n}"
                    f"/{'shown' if kind == 'ICL' else f't{t}'}/predictions.parquet"
                    for s, t in dag.training.arms(method, card.seeds)
                ]
            )
            for n, kind in product(card.shots, ("ICL", "SFT"))
        }
        for key, kind in product(card.shots, ("ICL", "SFT")):
            arm = f"{key} {kind}"
            low, high = statistics.accuracy_interval(answers[arm])
            cell = {"row": str(key), "column": f"{name} {kind}", "low": low}
            cell |= {"high": high, "n_runs": len(answers[arm])}
            found.rows.append({**cell, "value": float(answers[arm].mean())})
        icl, sft = (
            [answers[f"{n} {kind}"].mean() for n in card.shots]
            for kind in ("ICL", "SFT")
        )
        found.lines.append(_agreement(name, icl, sft))
    return found


def _agreement(name: str, icl: list[float], sft: list[float]) -> str:
    n = len(icl)
    if n < 3 or np.ptp(icl) == 0 or np.ptp(sft) == 0:
        return f"{name}: {n} points, or no differences: no rank correlation."
    rho = float(stats.spearmanr(icl, sft).statistic)
    return (
        f"{name}: rank correlation of ICL and SFT over {n} shot counts {rho:+.2f}; {n} "
        "points prove little, and they vary how many rows there are, not which."
    )

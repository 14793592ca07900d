"""How long work takes.

The time of earlier runs of the same rule, dataset and model is used if their benchmark
files exist; otherwise, on a GPU, a roofline. A forward pass over t tokens of a model with P
parameters costs 2 P t operations, and training 6 P t. Writing is memory-bound: the weights
are read once per step of a batch. Worked example, 8 B parameters in 2 bytes on an A100
(312 Tflop/s at 40 %, 2.0 TB/s at 60 %): 1 M tokens read take 2 x 8e9 x 1e6 / 1.25e14 =
128 s; 500 steps of a batch take 500 x 16e9 / 1.2e12 = 6.7 s.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from tmap import dag
from tmap.artifacts.files import read_document
from tmap.artifacts.rules import base
from tmap.cards.model import ModelCard
from tmap.operations.planning.jobs import Job

FLOPS, FLOPS_SHARE = 312e12, 0.40
BANDWIDTH, BANDWIDTH_SHARE = 2.0e12, 0.60
WIDTH = 2  # bytes of a weight in bfloat16
BENCHMARKS = Path("results/benchmarks")


def roofline(
    passed: float, trained: float, n_parameters: float | None, steps: float
) -> float | None:
    """Seconds on one GPU; None for a model whose size is unknown.

    Parameters
    ----------
    passed, trained : tokens read or written, and trained on
    n_parameters : of the model
    steps : of decoding, each of which reads all weights
    """
    if n_parameters is None:
        return None
    operations = (2 * passed + 6 * trained) * n_parameters
    weights = steps * n_parameters * WIDTH
    return operations / (FLOPS * FLOPS_SHARE) + weights / (BANDWIDTH * BANDWIDTH_SHARE)


def parameters(model: str, card: ModelCard) -> float | None:
    """Parameters of the fetched model; before that, from its hub name (`8B`); else None."""
    record = Path(dag.data.model_file(model))
    if record.is_file():
        return read_document("model", record).get("n_parameters")
    said = re.search(
        r"(?<![\d.])(\d+(?:\.\d+)?)b(?![a-z])", (card.source.hub or "").lower()
    )
    return float(said[1]) * 1e9 if said else None


def clocked(job: Job) -> float | None:
    """Mean seconds of earlier runs of this rule on this dataset and model, else None.

    Searches and columns count only if the method or column is the same; trainings, only if
    the method and part are.
    """
    rule = base(job.rule)
    keys = ("dataset", "model", "encoder", "proxy", "method", "indicator", "part")
    wanted = {job.names[key] for key in keys if key in job.names}
    seconds = [
        float(pd.read_csv(path, sep="\t")["s"].mean())
        for path in sorted((BENCHMARKS / rule).rglob("*.tsv"))
        if wanted <= {*path.relative_to(BENCHMARKS / rule).parts, path.stem}
    ]
    return sum(seconds) / len(seconds) if seconds else None

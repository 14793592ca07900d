"""How long work takes.

The time of earlier runs of the same rule, dataset and model is used if their benchmark
files exist. Otherwise it is a probe of this machine on a CPU (`probe`), and a roofline on a
GPU. A forward pass over t tokens of a model with P parameters costs 2 P t operations, and
training 6 P t. Writing is memory-bound: the weights are read once per step of a batch.
Worked example, 8 B parameters in 2 bytes on an A100 (312 Tflop/s at 40 %, 2.0 TB/s at
60 %): 1 M tokens read take 2 x 8e9 x 1e6 / 1.25e14 = 128 s; 500 steps of a batch take
500 x 16e9 / 1.2e12 = 6.7 s.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from tmap import dag
from tmap.artifacts.files import read_document
from tmap.artifacts.rules import base
from tmap.cards.model import ModelCard, ModelSource
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


def record(model: str, card: ModelCard) -> dict[str, Any] | None:
    """The record of a model that is on this machine: fetched, or in a folder; else None."""
    fetched = Path(dag.data.model_file(model))
    if fetched.is_file():
        return read_document("model", fetched)
    source = card.source
    if not source.path or source.gguf or not Path(source.path).is_dir():
        return None
    return _in_folder(model, source)


@cache
def _in_folder(model: str, source: ModelSource) -> dict[str, Any]:
    """Once for all jobs of a plan, because it reads every byte of the weights."""
    from tmap.data import models

    return models.read(model, source)


def folder(model: str, card: ModelCard) -> Path | None:
    """Where the files of a model are, if they are on this machine."""
    found = record(model, card)
    place = Path(found["path"]) if found else None
    return place if place and place.is_dir() else None


def parameters(model: str, card: ModelCard) -> float | None:
    """Parameters of a model that is here; else from its hub name (`8B`); else None."""
    if found := record(model, card):
        return found.get("n_parameters")
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

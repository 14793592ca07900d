"""Make the embedded judge: train it, run its gate, write its model card."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tmap import engines
from tmap.artifacts.files import write_json, write_text
from tmap.cards.model import EngineSection, ModelSource
from tmap.data import models
from tmap.embedded import judge_gate, judge_training
from tmap.tiny.threads import one_thread
from tmap.worlds.arith import pool

LOG = logging.getLogger(__name__)
ENGINE = EngineSection(device="cpu", dtype="float32")
GATE, CARD = "gate.json", "README.md"

README = """\
# tiny_judge: rates answers to sums in words, with faults put in on purpose

A Llama of 1.9 million parameters, fine-tuned from `tiny` by `tmap train-world-judge`
(seed {seed}, {steps} steps) on generated answers whose fault is known. It is a real
model on the ordinary path: a prompt, then digit logits or a written line. What it likes
and what it overlooks was trained in, so it shows how judges that err differently add
up; it is no evidence about judges. Licence: that of this project; it has read nothing
but generated text.

| form | reply | overlooks |
|---|---|---|
| quality | one digit 1-6 | wrong operations, slips of arithmetic |
| complexity | one digit 1-6, from the question alone | the answer |
| accuracy | a number 0-5, a remark in a second line | missing steps, chatter |

Measured through the library's engine on pools {pools} of the embedded world (mean;
AUC of clean rows against all others; clean share of the best 30 % by one min-max
column):

| column | AUC | clean share |
|---|---|---|
{columns}
| quality + accuracy | {auc_both:.3f} | |
| equal weights on all five | | {uniform:.3f} |
| best weights in [0, 1] | | {best_weights:.3f} |

Of all rows {base_share:.3f} are clean. The best weights are sought on one half of a
pool and counted on the other. Replies with a rating: {parsable:.1%}; asked to greet
someone, the judge greets.
"""


def make(solver: Path, out: Path, *, seed: int, steps: int, pools: int) -> None:
    """Train a judge in `out` and refuse it if it fails; its numbers are kept there.

    Parameters
    ----------
    solver : folder of the solver that is fine-tuned
    out : folder of the judge: model, tokenizer, gate.json, README.md
    seed, steps : of the training
    pools : number of pools of the world (seeds 0, 1, ...) that the gate uses

    Raises
    ------
    TmapError
        If the judge fails its acceptance check.
    """
    loss = judge_training.train(solver, out, seed=seed, steps=steps)
    found = measure(out, pools)
    for number, pool_found in enumerate(found):
        told = [f"{name} {pool_found[name]:.3f}" for name in judge_gate.LIMITS]
        LOG.info("gate, pool %d: %s", number, ", ".join(told))
    write_json(out / GATE, {"seed": seed, "steps": steps, "loss": loss, "pools": found})
    judge_gate.check(found)
    write_text(out / CARD, describe(found, seed, steps))


def measure(folder: Path, pools: int) -> list[dict[str, Any]]:
    """The gate's numbers of a saved judge, pool by pool."""
    record = models.read(folder.name, ModelSource(path=str(folder)))
    lm = engines.load(record, ENGINE)
    with one_thread():
        return [judge_gate.measure(lm, labelled_pool(seed)) for seed in range(pools)]


def labelled_pool(seed: int) -> pd.DataFrame:
    """A pool of the world with its known faults, as `judge_gate.measure` reads it."""
    rows = pd.DataFrame(pool.rows(seed)).merge(pd.DataFrame(pool.labels(seed)), on="id")
    names = {"id": "sample_id", "question": "instruction", "answer": "response"}
    return rows.rename(columns=names).assign(input="", turns=None)


def describe(found: list[dict[str, Any]], seed: int, steps: int) -> str:
    """The model card."""

    def mean(*keys: str) -> float:
        values: list[Any] = list(found)
        for key in keys:
            values = [value[key] for value in values]
        return float(np.mean(values))

    columns = [
        f"| {name} | {mean('auc', name, 'all'):.3f} | {mean('clean_share', name):.3f} |"
        for name in judge_gate.COLUMNS
    ]
    return README.format(
        seed=seed,
        steps=steps,
        pools=", ".join(str(number) for number in range(len(found))),
        columns="\n".join(columns),
        auc_both=mean("auc_both"),
        uniform=mean("clean_share", "uniform"),
        best_weights=mean("clean_share", "best_weights"),
        base_share=mean("base_share"),
        parsable=mean("parsable"),
    )

"""Tables over several tasks, models and methods: one card, one command, one table.

    snakemake --profile profiles/local results/tables/table1.parquet

Each kind of table is one module here with a function `build(card) -> Cells`.
"""

from __future__ import annotations

import importlib
from typing import Any

import pandas as pd

from tmap.artifacts.schemas import SCHEMAS
from tmap.cards.experiment import ExperimentCard
from tmap.experiments.cells import Cells


def build(card: ExperimentCard) -> Cells:
    """The cells of an experiment, read from the finished results that its card names."""
    found: Cells = importlib.import_module(f"{__name__}.{card.kind}").build(card)
    frame = pd.DataFrame(found.rows)
    blank: dict[str, Any] = {"n_runs": 0, "note": "", "better": "", "harms": ""}
    for column in SCHEMAS["cells"].columns:
        if column not in frame:
            frame[column] = blank.get(column, float("nan"))
        elif column in blank:
            frame[column] = frame[column].fillna(blank[column])
    found.frame = frame.astype({"n_runs": int})
    return found

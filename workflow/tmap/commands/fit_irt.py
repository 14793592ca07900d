"""Fit the M-2PL item response model to the history (paper eq. 4)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="name of a dataset card")],
    responses: Annotated[Path, typer.Option(help="responses.parquet")],
    output: Annotated[Path, typer.Option(help="irt.parquet to write")],
    abilities: Annotated[Path, typer.Option(help="abilities.parquet to write")],
) -> None:
    from tmap import dag
    from tmap.artifacts import tables
    from tmap.artifacts.provenance import fingerprint
    from tmap.tiny import calibration

    card = dag.params.fit_irt(dataset)["irt"]
    found = calibration.calibrate(
        tables.read("responses", responses), card.dimensions, card.seed
    )
    code = fingerprint("fit_irt")
    about = {"made": dag.origin.made("fit_irt", [responses], dataset=dataset)}
    for kind, frame, path in (
        ("irt", found.items, output),
        ("abilities", found.subjects, abilities),
    ):
        tables.write(
            kind, frame, path, code=code, seed=card.seed, **about, **found.notes
        )

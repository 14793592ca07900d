"""Let small models answer the embedded world's questions; write the history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    solver: Annotated[
        list[Path],
        typer.Option(help="Model folder; repeatable. Must not be a target model."),
    ],
    out: Annotated[Path, typer.Option(help="Long table to write, parquet.")],
    seed: Annotated[
        int, typer.Option(min=0, help="Of demonstrations and fine-tuning.")
    ] = 0,
) -> None:
    from tmap.embedded import history

    history.save(history.make(solver, seed), out)

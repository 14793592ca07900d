"""Train the embedded world's judge from its solver, then check it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    solver: Annotated[Path, typer.Option(help="Model folder of the trained solver.")],
    out: Annotated[Path, typer.Option(help="Model folder to write.")],
    seed: Annotated[int, typer.Option(min=0, help="Of rows and ratings.")] = 0,
    steps: Annotated[
        int, typer.Option(help="Optimiser steps; about two a second on one thread.")
    ] = 1000,
    pools: Annotated[int, typer.Option(help="Pools that it is checked on.")] = 3,
) -> None:
    from tmap.embedded import judge

    judge.make(solver, out, seed=seed, steps=steps, pools=pools)

"""Train a model of the embedded world from scratch (tens of minutes, one thread).

An interrupted training resumes when it is started again with the same arguments.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    name: Annotated[str, typer.Argument(help="tiny, tiny_b, tiny_proxy or solver_b.")],
    out: Annotated[Path, typer.Option(help="Folder to write; created if absent.")],
    seed: Annotated[int, typer.Option(min=0, help="Of weights and documents.")] = 0,
    steps: Annotated[
        int, typer.Option(min=0, help="Optimiser steps; 0: the recipe's.")
    ] = 0,
) -> None:
    from tmap.embedded import pretrain

    pretrain.train(name, out, seed, steps or None)

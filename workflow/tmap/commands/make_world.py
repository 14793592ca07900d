"""Write a small random world to try the workflow on; its scores mean nothing.

Then: snakemake --profile profiles/local --configfile DIR/config.yaml
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer


def run(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to write; created if absent.")
    ],
    seed: Annotated[
        int, typer.Option(min=0, help="Of problems, history and weights.")
    ] = 0,
) -> None:
    from tmap.worlds import random_world

    random_world.write(folder, seed)
    logging.getLogger("tmap").warning(
        "Wrote %s. Its model has random weights, so its scores mean nothing.",
        folder,
    )

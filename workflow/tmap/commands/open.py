"""Open the page of a finished run in your browser."""

from pathlib import Path
from typing import Annotated

import typer


def run(
    target: Annotated[
        str,
        typer.Argument(help="DATASET/MODEL, results/DATASET/MODEL, or a file in it."),
    ],
) -> None:
    from tmap.cards.starter import CLONE
    from tmap.operations import pages

    page = pages.find(target, Path.cwd(), CLONE)
    typer.echo(page)
    if not pages.show(page):
        typer.echo("No browser could be started here: open this file in yours.")

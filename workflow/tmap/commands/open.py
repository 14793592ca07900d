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
    from tmap.operations import own, pages

    here = Path.cwd()
    page = pages.find(target, here, own.workplace(here))
    typer.echo(page)
    if not pages.show(page):
        typer.echo("No browser could be started here: open this file in yours.")

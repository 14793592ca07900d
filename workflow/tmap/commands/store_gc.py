"""Remove from the store what no card refers to any more; sizes are named first.

What goes was said by models, revisions or words that are in no card now. It costs the
same again if a card should come back.
"""

from pathlib import Path
from typing import Annotated

import typer


def run(
    configfile: Annotated[
        list[Path] | None,
        typer.Option(help="As for snakemake, so that your cards are found."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    from tmap import cards
    from tmap.jobs import console
    from tmap.operations import store_gc

    cards.read_config(configfile or [])
    found = store_gc.survey()
    if not store_gc.show(found, console.console()):
        return
    if not (yes or typer.confirm("Remove it?")):
        print("Nothing was removed (--yes does not ask).")
        raise typer.Exit(1)
    store_gc.remove(found)
    store_gc.show(store_gc.survey(), console.console())

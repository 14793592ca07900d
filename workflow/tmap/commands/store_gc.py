"""Remove stored measurements that no card refers to any more; asks first.

Removed are the measurements of models, revisions and prompts that are in no card now. They
cost the same again if such a card comes back.
"""

from pathlib import Path
from typing import Annotated

import typer


def run(
    configfile: Annotated[
        list[Path] | None,
        typer.Option(help="Same as Snakemake's, so that your cards are found."),
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

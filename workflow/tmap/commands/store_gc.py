"""Remove stored measurements that no card refers to any more; asks first.

Removed are the measurements of models, revisions and prompts that are in no card now. They
cost the same again if such a card comes back.
"""

from typing import Annotated

import typer

from tmap.commands._options import Cards, Config, Profile


def run(
    cards: Cards = None,
    config: Config = None,
    profile: Profile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    from tmap.jobs import console
    from tmap.operations import own, store_gc

    own.use(cards, config, profile, move=True)
    found = store_gc.survey()
    if not store_gc.show(found, console.console()):
        return
    if not (yes or typer.confirm("Remove it?")):
        print("Nothing was removed (--yes does not ask).")
        raise typer.Exit(1)
    store_gc.remove(found)
    store_gc.show(store_gc.survey(), console.console())

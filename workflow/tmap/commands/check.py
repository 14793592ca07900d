"""Preview how a dataset and a model card will be read, before any job runs.

Prints columns, rejected rows, overlap with the benchmark, three rows with their loss mask,
what is cut off, memory, columns that need no model, and what is missing. Exit status 1 if
anything is missing.
"""

from typing import Annotated

import typer

from tmap.commands._options import Cards, Config, Profile
from tmap.errors import TmapError


def run(
    dataset: Annotated[str, typer.Argument(metavar="CARD", help="Dataset card.")],
    model: Annotated[str, typer.Option(help="Model card.")] = "",
    ask: Annotated[
        int,
        typer.Option(min=0, help="Ask the model so many questions; score a few rows."),
    ] = 0,
    cards: Cards = None,
    config: Config = None,
    profile: Profile = None,
) -> None:
    from tmap.jobs import console
    from tmap.operations import own, preflight
    from tmap.operations.preflight import show

    own.use(cards, config, profile, move=True)
    if ask and not model:
        raise TmapError("`--ask` asks a model. Name one: --model CARD.")
    found = preflight.look(dataset, model, ask)
    show.show(found, console.console())
    if found.missing:
        raise TmapError(
            f"A job would fail; the list above gives the reasons ({len(found.missing)}). "
            "Fix them, then check again."
        )

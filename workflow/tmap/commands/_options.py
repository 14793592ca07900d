"""Options that several commands of people share, so that they mean the same."""

from pathlib import Path
from typing import Annotated

import typer

# Where your cards are: the same options in every command that people type.
Cards = Annotated[
    list[str] | None,
    typer.Option(help="Folder of your cards, as `tmap init` makes it; repeatable."),
]
Config = Annotated[
    list[Path] | None,
    typer.Option("--config", "--configfile", help="Config file; repeatable."),
]
Profile = Annotated[
    Path | None, typer.Option(help="Snakemake profile, which names a config file.")
]

"""Create your own folder of cards, a config and profiles, outside the clone.

Nothing is overwritten, and upgrades do not touch the folder.
"""

from typing import Annotated

import typer


def run(
    folder: Annotated[
        str, typer.Argument(metavar="DIR", help="Folder to write; created if absent.")
    ],
) -> None:
    from tmap.cards import starter

    for path in starter.write(folder):
        typer.echo(f"wrote {path}")
    typer.echo(
        f"Put your data there (see {folder}/datasets/my_data.yaml), then check it:\n"
        f"  tmap check my_data --model my_model --cards {folder}"
    )

"""Write cards, a config and profiles of your own, outside the clone.

Nothing is overwritten, and no upgrade touches them.
"""

from pathlib import Path
from typing import Annotated

import typer


def run(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to write; made if absent.")
    ],
) -> None:
    from tmap.cards import starter

    for path in starter.write(folder):
        typer.echo(f"wrote {path}")
    typer.echo(
        f"Put your data there (see {folder}/datasets/my_data.yaml), then look:\n"
        f"  tmap check my_data --model my_model --cards {folder}"
    )

"""Create your own folder of cards, a config and profiles, outside the clone.

Nothing is overwritten, and upgrades do not touch the folder. With --pool, its columns are
measured: where one row would flatten one, the method card scales by rank.
"""

from typing import Annotated

import typer


def run(
    folder: Annotated[
        str, typer.Argument(metavar="DIR", help="Folder to write; created if absent.")
    ],
    dataset: Annotated[
        str, typer.Option(help="Name of your dataset card.")
    ] = "my_data",
    model: Annotated[
        str, typer.Option(help="Name of your model card, or a shipped one.")
    ] = "my_model",
    pool: Annotated[str, typer.Option(help="File or folder of your pool.")] = "",
    questions: Annotated[str, typer.Option(help="File of your questions.")] = "",
) -> None:
    from tmap.cards.starter import Start
    from tmap.operations import beginning

    start = Start(dataset, model, pool, questions)
    written, notes = beginning.write(folder, start)
    for path in written:
        typer.echo(f"wrote {path}")
    for note in notes:
        typer.echo(note)
    missing = [
        name for name, given in (("pool", pool), ("questions", questions)) if not given
    ]
    if missing:
        typer.echo(f"Put your {' and '.join(missing)} there (see {written[0]}).")
    typer.echo(
        "Check how the cards are read:\n"
        f"  tmap check {dataset} --model {model} --cards {folder}"
    )

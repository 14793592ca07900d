"""Report which files behind a target are current, and what differs in the others.

It reads the results themselves, so it also works on a copy of them. Exit status 0 if all
are current, else 1.
"""

from typing import Annotated

import typer

from tmap.commands._options import Cards, Config, Profile


def run(
    target: Annotated[str, typer.Argument(help="results/...: a file or a folder.")],
    cards: Cards = None,
    config: Config = None,
    profile: Profile = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Also compare tables with their checksums."),
    ] = False,
    tsv: Annotated[
        bool, typer.Option(help="Print tab-separated lines, for other programs.")
    ] = False,
) -> None:
    from tmap.jobs import console
    from tmap.operations import own, status

    settings, _ = own.use(cards, config, profile)
    found = status.look(target, settings, verify)
    if tsv:
        typer.echo(console.tsv(status.records(found)), nl=False)
    else:
        status.show(found, console.console())
    if any(one.state != "current" for one in found):
        raise typer.Exit(1)

"""Build TARGET, or what your config names, with one line per finished job.

Runs Snakemake in the clone with the profile of your folder (made by `tmap init`; the
current folder, the one beside the clone, or --cards FOLDER). `--config FILE` names a
config. All other options are Snakemake's, such as -n, --cores 4, --config seeds=5 or
--profile ../mine/profiles/slurm. At the end: the results table, and where its page is.
"""

from pathlib import Path
from typing import Annotated

import typer

#: For the command line: words that it does not know are passed on in their order.
CONTEXT = {"ignore_unknown_options": True, "allow_interspersed_args": False}


def run(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TARGET]... [OPTIONS]",
            help="results/..., then Snakemake's options.",
        ),
    ] = None,
) -> None:
    from tmap.comparison import report
    from tmap.dag.comparison import METRICS, PAGE
    from tmap.jobs import console
    from tmap.operations import running

    made = running.call(words or [], Path.cwd())
    running.check(made)
    status = running.run(made, console.console())
    if status or made.asks:
        raise typer.Exit(status)
    for page in (made.place / path for path in running.targets(made)):
        if page.name == PAGE:
            report.show_table(report.read(page.with_name(METRICS)), console.console())
            typer.echo(f"\nThe page: {page}\nOpen it: tmap open {page.parent}")

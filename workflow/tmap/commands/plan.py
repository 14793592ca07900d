"""Say what a target will cost before anything runs: jobs, tokens, calls, hours, disk."""

from pathlib import Path
from typing import Annotated

import typer


def run(
    target: Annotated[str, typer.Argument(help="results/...: what you would build.")],
    configfile: Annotated[
        list[Path] | None,
        typer.Option(help="As for snakemake; may stand several times."),
    ] = None,
    rows: Annotated[int | None, typer.Option(help="Of a pool not fetched yet.")] = None,
    questions: Annotated[
        int | None, typer.Option(help="Of a benchmark not fetched yet.")
    ] = None,
    budget_gpuh: Annotated[
        float | None, typer.Option(help="GPU-hours to propose T, S and m within.")
    ] = None,
) -> None:
    from tmap import cards, paths, report
    from tmap.planning import estimate, jobs

    cards.read_config(configfile or [])
    paths.check(target)
    found = estimate.make(jobs.planned(target, configfile or []), rows, questions)
    estimate.show(found, report.console())
    if budget_gpuh is not None:
        typer.echo(estimate.propose(found, budget_gpuh))

"""Estimate the cost of a target before it runs: jobs, tokens, calls, hours, disk."""

from typing import Annotated

import typer

from tmap.commands._options import Cards, Config, Profile


def run(
    target: Annotated[str, typer.Argument(help="results/...: the file to build.")],
    cards: Cards = None,
    config: Config = None,
    profile: Profile = None,
    rows: Annotated[
        list[str] | None,
        typer.Option(
            help="Rows of pools not fetched yet: 7473, or gsm8k=7473 for one."
        ),
    ] = None,
    questions: Annotated[
        list[str] | None,
        typer.Option(help="Questions of benchmarks not fetched yet, in the same form."),
    ] = None,
    budget_gpuh: Annotated[
        float | None,
        typer.Option(help="GPU-hours: propose a search (T, S and m) that fits them."),
    ] = None,
    tsv: Annotated[
        bool,
        typer.Option(help="Print tab-separated numbers; notes go to standard error."),
    ] = False,
) -> None:
    from tmap import dag
    from tmap.jobs import console
    from tmap.operations import own
    from tmap.operations.planning import estimate, jobs

    _, files = own.use(cards, config, profile, move=True)
    dag.targets.check(target)
    n_rows = estimate.counts("--rows", rows or [])
    n_questions = estimate.counts("--questions", questions or [])
    wanted = jobs.planned(target, files)
    found = estimate.make(wanted, n_rows, n_questions)
    if tsv:
        typer.echo(console.tsv(estimate.records(found)), nl=False)
        typer.echo("\n".join(estimate.assumptions(found)), err=True)
    else:
        estimate.show(found, console.console())
    if budget_gpuh is not None:
        typer.echo(estimate.propose(found, budget_gpuh), err=tsv)

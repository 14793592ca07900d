"""Build an experiment's table as parquet, Markdown, CSV, LaTeX and a chart."""

from pathlib import Path
from typing import Annotated

import typer

from tmap import cards
from tmap.artifacts import files, tables
from tmap.artifacts.provenance import fingerprint


def run(
    experiment: Annotated[str, typer.Argument(help="experiment card")],
    output: Annotated[Path, typer.Option(help="table 'cells' to write (parquet)")],
    markdown: Annotated[Path, typer.Option(help="the table as Markdown, to write")],
    csv: Annotated[Path, typer.Option(help="the table as CSV, to write")],
    latex: Annotated[Path, typer.Option(help="the table as LaTeX, to write")],
    picture: Annotated[Path, typer.Option(help="the table as a chart (PNG), to write")],
) -> None:
    from tmap import dag, experiments
    from tmap.experiments import render

    card = cards.load("experiments", experiment)
    found = experiments.build(card)
    title = card.description or experiment
    files.write_text(markdown, render.markdown(found, title))
    files.write_text(csv, render.as_csv(found))
    files.write_text(latex, render.latex(found, title))
    render.picture(found, picture, title)
    tables.write(
        "cells",
        found.frame,
        output,
        code=fingerprint("make_table", f"tmap.experiments.{card.kind}"),
        made=dag.origin.made(
            "make_table", dag.experiments.of(experiment), experiment=experiment
        ),
        experiment=experiment,
        **found.notes(),
    )

"""Print the results table of a metrics.json file."""

from typing import Annotated

import typer


def run(
    metrics: Annotated[str, typer.Argument(help="results/.../metrics.json")],
    markdown: Annotated[bool, typer.Option(help="Print Markdown.")] = False,
) -> None:
    from tmap.comparison import report
    from tmap.jobs import console

    found = report.read(metrics)
    if markdown:
        typer.echo(report.markdown(found), nl=False)
    else:
        report.show(found, console.console())

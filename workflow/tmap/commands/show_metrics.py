"""Print the results table of a metrics.json file."""

from typing import Annotated

import typer


def run(
    metrics: Annotated[str, typer.Argument(help="results/.../metrics.json")],
    markdown: Annotated[bool, typer.Option(help="Print Markdown.")] = False,
    tsv: Annotated[
        bool, typer.Option(help="Print tab-separated shares, for other programs.")
    ] = False,
) -> None:
    from tmap.comparison import report
    from tmap.errors import TmapError
    from tmap.jobs import console

    if markdown and tsv:
        raise TmapError("Name one of --markdown and --tsv.")
    found = report.read(metrics)
    if tsv:
        typer.echo(console.tsv(report.records(found)), nl=False)
    elif markdown:
        typer.echo(report.markdown(found), nl=False)
    else:
        report.show(found, console.console())

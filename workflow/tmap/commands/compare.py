"""Compare two finished runs on one page: settings, tables, subsets, questions.

A and B are results/DATASET/MODEL, their metrics.json, or copies of such folders. To keep a
run before you change a card, copy results/DATASET.
"""

from pathlib import Path
from typing import Annotated

import typer


def run(
    a: Annotated[str, typer.Argument(help="A run, as for `tmap open`.")],
    b: Annotated[str, typer.Argument(help="Another run.")],
    output: Annotated[Path, typer.Option(help="The page (out).")] = Path(
        "compare.html"
    ),
) -> None:
    from tmap.artifacts import files
    from tmap.dag.comparison import METRICS
    from tmap.operations import own, pages
    from tmap.page import compared, html

    here = Path.cwd()
    first, second = (
        compared.Side.read(
            letter, pages.find(target, here, own.workplace(here), METRICS)
        )
        for letter, target in zip("AB", (a, b), strict=True)
    )
    content = compared.build(first, second)
    files.write_text(output, html.render(content, html.COMPARISON))
    typer.echo(f"The page: {output.resolve()}")

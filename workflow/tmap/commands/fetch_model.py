"""Download a model or check a local one, and record its revision and size."""

from typing import Annotated

import typer


def run(
    model: Annotated[str, typer.Argument(help="Model card.")],
    output: Annotated[str, typer.Option(help="The record (JSON, out).")],
) -> None:
    from tmap import files, settings
    from tmap.sources import models

    files.write_json(output, models.read(**settings.fetch_model(model)))

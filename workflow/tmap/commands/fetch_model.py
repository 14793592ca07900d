"""Download a model or check a local one; record its revision and size."""

from pathlib import Path
from typing import Annotated

import typer


def run(
    model: Annotated[str, typer.Argument(help="Model card.")],
    output: Annotated[str, typer.Option(help="The record (JSON, out).")],
) -> None:
    from tmap import dag
    from tmap.artifacts import files
    from tmap.artifacts.provenance import versions
    from tmap.data import models

    room = Path(output).with_suffix("")
    found = models.read(**dag.params.fetch_model(model), room=room)
    about = {
        "made": dag.origin.made("fetch_model", model=model),
        "versions": versions(),
    }
    files.write_json(output, found | about)

"""Put a chosen subset on the Hugging Face hub, with its data card.

Pushed are README.md, both JSONL files, dataset_info.json and subset.parquet. HF_TOKEN must
be a token that may write.
"""

from pathlib import Path
from typing import Annotated

import typer


def run(
    folder: Annotated[Path, typer.Argument(help="results/DATASET/MODEL/METHOD/s0.")],
    name: Annotated[str, typer.Argument(help="OWNER/NAME of the dataset on the hub.")],
    public: Annotated[
        bool, typer.Option("--public", help="A new dataset is public, not private.")
    ] = False,
) -> None:
    from tmap.operations import publishing

    typer.echo(publishing.push(folder, name, public))

"""Take the top M samples of a pool by weighted score, or M at random."""

from pathlib import Path
from typing import Annotated

import typer

from tmap import dag
from tmap.artifacts import provenance, tables


def run(
    dataset: Annotated[str, typer.Argument(help="dataset card")],
    method: Annotated[str, typer.Argument(help="method card")],
    pool: Annotated[Path, typer.Option(help="pool.parquet")],
    output: Annotated[Path, typer.Option(help="subset.parquet to write")],
    seed: Annotated[int, typer.Option(min=0, help="of a random subset")] = 0,
    weights: Annotated[str, typer.Option(help="weights.json of a learned method")] = "",
    labels: Annotated[str, typer.Option(help="pool_labels.parquet of an oracle")] = "",
    embeddings: Annotated[str, typer.Option(help="for a diversity filter")] = "",
    values: Annotated[str, typer.Option(help="values.parquet of score: value")] = "",
    part: Annotated[str, typer.Option(help="f0.1, n16, k3, or '' for all")] = "",
    indicators: Annotated[
        list[Path] | None, typer.Argument(help="indicator tables, in the card's order")
    ] = None,
) -> None:
    from tmap.selection import subset

    card = dag.params.select_subset(dataset=dataset, method=method)
    files = subset.Files(pool, indicators or [], weights, labels, embeddings, values)
    chosen, notes = subset.select(card, files, seed, part)
    tables.write(
        "subset",
        chosen,
        output,
        code=provenance.fingerprint("select_subset"),
        seed=seed,
        made=dag.origin.made("select_subset", files, dataset=dataset, method=method),
        **notes,
    )

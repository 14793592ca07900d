"""Choose which selections of a search the certificate trains on."""

from pathlib import Path
from typing import Annotated

import typer

from tmap import dag
from tmap.artifacts import files, provenance, tables


def run(
    dataset: Annotated[str, typer.Argument(help="dataset card")],
    model: Annotated[str, typer.Argument(help="model card")],
    method: Annotated[str, typer.Argument(help="method card")],
    pool: Annotated[Path, typer.Option(help="pool.parquet")],
    trace: Annotated[Path, typer.Option(help="trace.parquet of the search")],
    weights: Annotated[Path, typer.Option(help="weights.json of the search")],
    output: Annotated[Path, typer.Option(help="sentinels.json to write")],
    indicators: Annotated[
        list[Path], typer.Argument(help="indicator tables, in the card's order")
    ],
) -> None:
    from tmap.search import certificate
    from tmap.selection import features

    names = {"dataset": dataset, "method": method}
    card = dag.params.choose_sentinels(**names)
    rows = tables.read("pool", pool)
    columns = features.load(
        rows["sample_id"],
        indicators,
        normalise=card["normalise"],
        max_unscored=card["max_unscored"],
    )
    found = certificate.sentinels(
        rows,
        columns,
        tables.read("trace", trace),
        files.read_document("weights", weights),
        card["fraction"],
        card["n_sentinels"],
    )
    about = {
        "code": provenance.fingerprint("choose_sentinels"),
        "versions": provenance.versions(),
    }
    read = [pool, trace, weights, *indicators]
    made = dag.origin.made("choose_sentinels", read, **names)
    files.write_json(output, {**found, **about, "made": made})

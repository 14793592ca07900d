"""Measure one job's share of what an indicator needs and keep it in the store.

The rule score_indicator then finds everything there and puts the scores together.
"""

from __future__ import annotations

from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    indicator: Annotated[
        str, typer.Argument(help="Indicator (docs/reference/indicators.md).")
    ],
    share: Annotated[str, typer.Argument(help="K/N: job K, from 0, of N.")],
    pool: Annotated[str, typer.Option(help="Table 'pool'.")],
    model_file: Annotated[str, typer.Option(help="Record of the model.")],
    output: Annotated[str, typer.Option(help="Record of what was done (JSON, out).")],
    embeddings: Annotated[
        str, typer.Option(help="Table 'embeddings' that it reads; '' if none.")
    ] = "",
) -> None:
    from tmap import dag, indicators
    from tmap.artifacts import files
    from tmap.indicators.scoring import columns
    from tmap.store import shards

    record = files.read_document("model", model_file)
    names = {"dataset": dataset, "indicator": indicator}
    names |= {"model": record["model"]} if indicators.get(indicator).per_model else {}
    card = dag.params.measure_shard(**names)
    lm = columns.instrument(
        indicator, card, record, embeddings=embeddings, share=shards.parse(share)
    )
    columns.measure_table(pool, indicator, lm, card["options"])
    files.write_json(output, {"indicator": indicator, "share": share})

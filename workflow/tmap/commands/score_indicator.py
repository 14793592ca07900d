"""Score every candidate of a pool with one indicator, in the indicator's own unit."""

from __future__ import annotations

from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    indicator: Annotated[
        str, typer.Argument(help="Indicator (docs/reference/indicators.md).")
    ],
    pool: Annotated[str, typer.Option(help="Table 'pool'.")],
    output: Annotated[str, typer.Option(help="Table 'indicator' (out).")],
    model_file: Annotated[
        str, typer.Option(help="Record of the model that computes it; '' if none.")
    ] = "",
    columns: Annotated[
        str, typer.Option(help="Tables 'indicator' that it is made from; '' if none.")
    ] = "",
    embeddings: Annotated[
        str, typer.Option(help="Table 'embeddings' that it reads; '' if none.")
    ] = "",
    gradients: Annotated[
        str, typer.Option(help="Files of `tmap gradients` that it reads; '' if none.")
    ] = "",
) -> None:
    from tmap import dag, indicators
    from tmap.artifacts import files, provenance, tables
    from tmap.dag.indicators import recordings
    from tmap.indicators.scoring.columns import counts, instrument, score_table

    record = files.read_document("model", model_file) if model_file else {}
    about = indicators.get(indicator)
    names = {"dataset": dataset, "indicator": indicator}
    names |= {"model": record["model"]} if about.per_model and record else {}
    card = dag.params.score_indicator(**names)
    read = [pool, model_file, *columns.split(), embeddings, *gradients.split()]
    read += recordings(dataset, indicator)
    files_of = (columns.split(), embeddings, gradients.split())
    lm = instrument(indicator, card, record, *files_of)
    frame = score_table(pool, indicator, lm, card["options"])
    tables.write(
        "indicator",
        frame,
        output,
        code=provenance.fingerprint("score_indicator", f"tmap.indicators.{indicator}"),
        made=dag.origin.made("score_indicator", read, **names),
        indicator=indicator,
        unit=about.unit,
        source=about.source,
        options=card["options"],
        judge=card["judge"].model_dump(mode="json") if "judge" in card else None,
        model=record.get("model"),
        revision=record.get("revision"),
        n_unscored=counts(frame),
        **frame.attrs["notes"],
    )

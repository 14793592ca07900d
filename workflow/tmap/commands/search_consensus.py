"""Search for indicator weights that suit several models; resumable."""

from pathlib import Path
from typing import Annotated

import typer

from tmap import dag
from tmap.artifacts import provenance


def run(
    dataset: Annotated[str, typer.Argument(help="dataset card")],
    method: Annotated[str, typer.Argument(help="method card; it names the models")],
    pool: Annotated[Path, typer.Option(help="pool.parquet")],
    questions: Annotated[Path, typer.Option(help="questions_reward.parquet")],
    tiny: Annotated[Path, typer.Option(help="tiny.parquet")],
    confirm: Annotated[Path, typer.Option(help="confirm.parquet")],
    models: Annotated[str, typer.Option(help="records of the models, in order")],
    ledger: Annotated[Path, typer.Option(help="ledger.jsonl, read and appended to")],
    trace: Annotated[Path, typer.Option(help="trace.parquet to write")],
    timings: Annotated[Path, typer.Option(help="timings.parquet to write")],
    weights: Annotated[Path, typer.Option(help="weights.json to write")],
    indicators: Annotated[
        list[Path],
        typer.Argument(help="tables of the first model, then of the second ..."),
    ],
    history: Annotated[
        str, typer.Option(help="irt, abilities and responses tables, if any")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="of the search")] = 0,
) -> None:
    from tmap.search import consensus, prepare

    names = {"dataset": dataset, "method": method}
    records = [Path(record) for record in models.split()]
    past = history.split()
    inputs = prepare.Inputs(
        pool, questions, tiny, confirm, records[0], past, indicators
    )
    card = dag.params.search_consensus(**names)
    result = consensus.run(card, inputs, records, ledger, seed)
    read = [pool, questions, tiny, confirm, *records, *map(Path, past), *indicators]
    code = provenance.fingerprint("search_consensus")
    made = dag.origin.made("search_consensus", read, **names)
    result.write(trace, timings, weights, seed, code, made)

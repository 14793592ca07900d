"""Search for indicator weights for one dataset, model and method; resumable."""

from pathlib import Path
from typing import Annotated

import typer

from tmap import dag
from tmap.artifacts import provenance


def run(
    dataset: Annotated[str, typer.Argument(help="dataset card")],
    model: Annotated[str, typer.Argument(help="model card")],
    method: Annotated[str, typer.Argument(help="method card")],
    pool: Annotated[Path, typer.Option(help="pool.parquet")],
    questions: Annotated[Path, typer.Option(help="questions_reward.parquet")],
    tiny: Annotated[Path, typer.Option(help="tiny.parquet")],
    confirm: Annotated[Path, typer.Option(help="confirm.parquet")],
    model_file: Annotated[Path, typer.Option(help="record of the fetched model")],
    ledger: Annotated[Path, typer.Option(help="ledger.jsonl, read and appended to")],
    trace: Annotated[Path, typer.Option(help="trace.parquet to write")],
    timings: Annotated[Path, typer.Option(help="timings.parquet to write")],
    weights: Annotated[Path, typer.Option(help="weights.json to write")],
    history: Annotated[
        str, typer.Option(help="irt, abilities and responses tables, if any")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="of the search")] = 0,
    indicators: Annotated[
        list[Path] | None, typer.Argument(help="indicator tables, in the card's order")
    ] = None,
) -> None:
    from tmap.search import prepare

    names = {"dataset": dataset, "model": model, "method": method}
    result = prepare.run(
        dag.params.search_weights(**names),
        prepare.Inputs(
            pool,
            questions,
            tiny,
            confirm,
            model_file,
            history.split(),
            indicators or [],
        ),
        ledger,
        seed,
    )
    read = [pool, questions, tiny, confirm, model_file]
    read += [*map(Path, history.split()), *(indicators or [])]
    code = provenance.fingerprint("search_weights")
    made = dag.origin.made("search_weights", read, **names)
    result.write(trace, timings, weights, seed, code, made)

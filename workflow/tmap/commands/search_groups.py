"""Ask groups of rows and learn weights and row values from every answer; resumes."""

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
    groups: Annotated[Path, typer.Option(help="groups.parquet to write")],
    values: Annotated[Path, typer.Option(help="values.parquet to write")],
    history: Annotated[
        str, typer.Option(help="irt, abilities and responses tables, if any")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="of groups and trees")] = 0,
    indicators: Annotated[
        list[Path] | None, typer.Argument(help="indicator tables, in the card's order")
    ] = None,
) -> None:
    from tmap.search import prepare

    names = {"dataset": dataset, "model": model, "method": method}
    old, columns = history.split(), indicators or []
    files = (pool, questions, tiny, confirm, model_file)
    card = dag.params.search_groups(**names)
    result = prepare.run_groups(
        card, prepare.Inputs(*files, old, columns), ledger, seed
    )
    result.write(
        {
            "trace": trace,
            "timings": timings,
            "weights": weights,
            "groups": groups,
            "values": values,
        },
        seed,
        provenance.fingerprint("search_groups"),
        dag.origin.made("search_groups", [*files, *map(Path, old), *columns], **names),
    )

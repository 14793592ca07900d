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
    targets: Annotated[
        str, typer.Option(help="targets.parquet, if the probe needs worked answers")
    ] = "",
    compared: Annotated[str, typer.Option(help="probes.json of `probe: auto`")] = "",
    seed: Annotated[int, typer.Option(min=0, help="of groups and trees")] = 0,
    indicators: Annotated[
        list[Path] | None, typer.Argument(help="indicator tables, in the card's order")
    ] = None,
) -> None:
    from tmap.groups import prepare
    from tmap.search.prepare import Inputs

    names = {"dataset": dataset, "model": model, "method": method}
    old, columns = history.split(), indicators or []
    files = (pool, questions, tiny, confirm, model_file)
    card = dag.params.search_groups(**names)
    more = [Path(path) if path else None for path in (targets, compared)]
    result = prepare.run(card, Inputs(*files, old, columns), ledger, seed, *more)
    outputs = dict(trace=trace, timings=timings, weights=weights)
    outputs |= {"groups": groups, "values": values}
    read = [*files, *map(Path, old), *columns, *filter(None, more)]
    result.write(
        outputs,
        seed,
        provenance.fingerprint("search_groups"),
        dag.origin.made("search_groups", read, **names),
    )

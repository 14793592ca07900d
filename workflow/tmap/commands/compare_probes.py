"""Plant faults in right rows and see which probes of groups react to them."""

from pathlib import Path
from typing import Annotated

import typer

from tmap import dag
from tmap.artifacts import files, provenance


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
    targets: Annotated[Path, typer.Option(help="targets.parquet")],
    output: Annotated[Path, typer.Option(help="probes.json to write")],
    history: Annotated[
        str, typer.Option(help="irt, abilities and responses tables, if any")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="of groups and trainings")] = 0,
    indicators: Annotated[
        list[Path] | None, typer.Argument(help="indicator tables, in the card's order")
    ] = None,
) -> None:
    from tmap.groups import prepare
    from tmap.search.prepare import Inputs

    names = {"dataset": dataset, "model": model, "method": method}
    old, columns = history.split(), indicators or []
    read = (pool, questions, tiny, confirm, model_file)
    found = prepare.compare(
        dag.params.compare_probes(**names),
        Inputs(*read, old, columns),
        ledger,
        seed,
        targets,
    )
    every = [*read, *map(Path, old), *columns, targets]
    about = {
        "seed": seed,
        "code": provenance.fingerprint("compare_probes"),
        "versions": provenance.versions(),
        "made": dag.origin.made("compare_probes", every, **names),
    }
    files.write_json(output, {**found, **about})

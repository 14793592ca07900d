"""Write a subset for trainers: Alpaca, messages, LLaMA-Factory index, data card."""

from pathlib import Path
from typing import Annotated

import typer

from tmap import dag
from tmap.artifacts import files, tables
from tmap.artifacts.provenance import versions
from tmap.selection import export


def run(
    dataset: Annotated[str, typer.Argument(help="dataset card")],
    model: Annotated[str, typer.Argument(help="model card")],
    method: Annotated[str, typer.Argument(help="method card")],
    subset: Annotated[Path, typer.Option(help="subset.parquet")],
    pool: Annotated[Path, typer.Option(help="pool.parquet")],
    alpaca: Annotated[Path, typer.Option(help="subset.jsonl to write")],
    messages: Annotated[Path, typer.Option(help="subset.messages.jsonl to write")],
    info: Annotated[Path, typer.Option(help="dataset_info.json to write")],
    card: Annotated[Path, typer.Option(help="README.md to write, the data card")],
    weights: Annotated[str, typer.Option(help="weights.json of a learned method")] = "",
) -> None:
    names = {"dataset": dataset, "model": model, "method": method}
    chosen = tables.read("subset", subset)
    rows = export.in_order(tables.rows("pool", pool, chosen["sample_id"]), chosen)
    about = tables.metadata(subset)
    files.write_text(alpaca, export.alpaca_lines(rows))
    files.write_text(messages, export.message_lines(rows))
    name = export.title(seed=about["seed"], **names)
    files.write_json(info, export.dataset_info(name, export.with_chats(rows)))
    made = dag.origin.made(
        "export_subset", [subset, pool, weights], dataset=dataset, method=method
    )
    beside = dag.origin.beside(card, alpaca, messages, info)
    text = export.card(
        names,
        dag.params.export_subset(dataset, method),
        tables.metadata(pool),
        about,
        files.read_document("weights", weights) if weights else None,
    )
    origins = {"made": made, "versions": versions(), "beside": beside}
    files.write_text(card, text + "\n" + dag.origin.comment(origins))

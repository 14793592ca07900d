"""Write a subset for trainers: Alpaca and messages form, LLaMA-Factory's index, a card."""

from pathlib import Path
from typing import Annotated

import typer

from tmap import exports, files, origin, settings, tables
from tmap.provenance import versions


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
    rows = exports.in_order(tables.rows("pool", pool, chosen["sample_id"]), chosen)
    about = tables.metadata(subset)
    files.write_text(alpaca, exports.alpaca_lines(rows))
    files.write_text(messages, exports.message_lines(rows))
    name = exports.title(seed=about["seed"], **names)
    files.write_json(info, exports.dataset_info(name, exports.with_chats(rows)))
    made = origin.made(
        "export_subset", [subset, pool, weights], dataset=dataset, method=method
    )
    beside = {path.name: origin.digest(path) for path in (alpaca, messages, info)}
    text = exports.card(
        names,
        settings.export_subset(dataset, method),
        tables.metadata(pool),
        about,
        files.read_json(weights) if weights else None,
    )
    origins = {"made": made, "versions": versions(), "beside": beside}
    files.write_text(card, text + "\n" + origin.comment(origins))

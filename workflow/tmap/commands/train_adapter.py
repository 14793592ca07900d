"""Fine-tune a LoRA adapter on a subset of the pool."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tmap import dag
from tmap.artifacts import tables
from tmap.artifacts.files import read_document, write_json
from tmap.artifacts.provenance import fingerprint, versions


def run(
    model: Annotated[str, typer.Argument(help="model card")],
    subset: Annotated[Path, typer.Option(help="subset.parquet: ids to train on")],
    pool: Annotated[Path, typer.Option(help="pool.parquet: their text")],
    model_file: Annotated[Path, typer.Option(help="record of the fetched model")],
    adapter: Annotated[Path, typer.Option(help="adapter_model.safetensors to write")],
    report: Annotated[Path, typer.Option(help="train.json to write")],
    seed: Annotated[int, typer.Option(min=0, help="training seed")] = 0,
    keep_checkpoints: Annotated[bool, typer.Option(help="Leave them there.")] = False,
    report_to: Annotated[str, typer.Option(help="trackio: send losses to it")] = "none",
) -> None:
    from tmap.prompts.conversation import chosen, turns_of
    from tmap.training import arguments, launch
    from tmap.training.train import train

    card = dag.params.train_adapter(model)
    if card["train"].processes > 1 and launch.rank() is None:
        launch.run(card["train"], sys.argv[sys.argv.index("train-adapter") :])
        return
    ids = tables.read("subset", subset)
    rows = chosen(tables.rows("pool", pool, ids["sample_id"]), ids)
    found = train(
        read_document("model", model_file),
        card["prompt"],
        card["place"],
        card["train"],
        [turns_of(row) for row in rows.to_dict("records")],
        seed=seed,
        adapter=adapter.parent,
        scratch=report.parent / "checkpoints",
        keep_checkpoints=keep_checkpoints,
        curves=arguments.curves_of(report, report_to),
    )
    if launch.rank():
        return  # the first of several processes writes
    about = {
        "beside": dag.origin.beside(report, *sorted(adapter.parent.glob("adapter_*"))),
        "settings": {name: part.model_dump(mode="json") for name, part in card.items()},
        "code": fingerprint("train_adapter"),
        "made": dag.origin.made(
            "train_adapter", [subset, pool, model_file], model=model
        ),
        "seed": seed,
        "versions": versions(),
    }
    write_json(report, {**found, **about})

"""Embed every candidate's text, or every reward question, as a vector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    encoder: Annotated[str, typer.Argument(help="Model card of the encoder.")],
    text: Annotated[str, typer.Argument(help="question | conversation | reward")],
    pooling: Annotated[str, typer.Argument(help="first | last | mean | own")],
    pool: Annotated[str, typer.Option(help="Table 'pool'; reward: 'questions'.")],
    model_file: Annotated[str, typer.Option(help="Record of the encoder.")],
    output: Annotated[str, typer.Option(help="Table 'embeddings' (out).")],
) -> None:
    from tmap import dag
    from tmap.artifacts import files, tables
    from tmap.artifacts.provenance import fingerprint, versions
    from tmap.embeddings import embed
    from tmap.embeddings import encoder as engine
    from tmap.engines.weights import settle

    names = {"encoder": encoder, "text": text, "pooling": pooling}
    card = dag.params.embed_pool(**names)
    record = files.read_document("model", model_file)
    code = fingerprint("embed_pool")
    place = card["place"]
    kept = Path(output).with_suffix("") / "checkpoints"
    who = [record["revision"], place.model_dump(), *settle(place), versions(), code]
    model = embed.Kept(engine.load(record, place), who, kept)
    if text == "reward":
        rows = embed.as_rows(tables.read("questions", pool))
    else:
        rows = tables.read("pool", pool)
    tables.write(
        "embeddings",
        embed.embed(rows, model, card["text"], card["pooling"]),
        output,
        code=code,
        made=dag.origin.made("embed_pool", [pool, model_file], **names),
        dataset=dataset,
        encoder=encoder,
        revision=record["revision"],
        text=text,
        pooling=pooling,
    )
    files.forget(kept)

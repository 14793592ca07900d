"""Answer the test questions, zero-shot, with or without an adapter."""

from pathlib import Path
from typing import Annotated

import typer

from tmap import dag
from tmap.artifacts import tables
from tmap.artifacts.files import read_document
from tmap.artifacts.provenance import fingerprint


def run(
    dataset: Annotated[str, typer.Argument(help="dataset card")],
    model: Annotated[str, typer.Argument(help="model card")],
    questions: Annotated[Path, typer.Option(help="questions_test.parquet")],
    model_file: Annotated[Path, typer.Option(help="record of the fetched model")],
    output: Annotated[Path, typer.Option(help="predictions.parquet to write")],
    adapter: Annotated[
        str, typer.Option(help="adapter_model.safetensors; '' for the base model")
    ] = "",
    demos: Annotated[
        str,
        typer.Option(help="subset.parquet to show before every question, best last"),
    ] = "",
    pool: Annotated[str, typer.Option(help="pool.parquet, with --demos")] = "",
) -> None:
    from tmap.engines.deferred import Deferred
    from tmap.evaluation import few_shot
    from tmap.evaluation.evaluate import evaluate
    from tmap.evaluation.marking import Marking
    from tmap.prompts.renderer import Renderer
    from tmap.store.caching_engine import kept_until_done

    card = dag.params.evaluate_adapter(dataset, model)
    names = {"dataset": dataset, "model": model}
    record = read_document("model", model_file)
    engine = Deferred(record, card["engine"], adapter)
    marking = Marking(card["reader"], card["metric"], card["engine"].max_new_tokens)
    renderer = Renderer(engine.tokenizer, card["prompt"])
    asked = tables.read("questions", questions)
    read: list[Path | str] = [adapter, questions, model_file, demos, pool]
    with kept_until_done(engine, record, output.parent / "checkpoints") as lm:
        if demos:
            chosen = tables.read("subset", demos)
            rows = few_shot.rows(tables.read("pool", pool), chosen)
            predictions = few_shot.answer(lm, renderer, asked, rows, marking)
        else:
            predictions = evaluate(lm, renderer, asked, marking)
        tables.write(
            "predictions",
            predictions,
            output,
            code=fingerprint("evaluate_adapter"),
            made=dag.origin.made("evaluate_adapter", read, **names),
            reader=card["reader"],
            metric=card["metric"],
            engine_key=engine.key,
        )

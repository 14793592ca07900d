"""Compare all methods of one dataset and model: intervals, tests, verdicts, plots.

FILES are the predictions.parquet and train.json of every run, and the weights.json and
trace.parquet of every search, in any order.
"""

from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    model: Annotated[str, typer.Argument(help="Model card.")],
    measured: Annotated[list[str], typer.Argument(metavar="FILES", help="After --.")],
    questions: Annotated[str, typer.Option(help="Test questions (parquet).")],
    pool: Annotated[str, typer.Option(help="The pool (parquet).")],
    rejected: Annotated[str, typer.Option(help="Rejected pool rows (parquet).")],
    tiny: Annotated[str, typer.Option(help="The tiny set (parquet).")],
    confirm: Annotated[str, typer.Option(help="The confirm set (parquet).")],
    model_file: Annotated[str, typer.Option(help="Record of the model (JSON).")],
    plan: Annotated[str, typer.Option(help="Looks and primary methods (JSON).")],
    output: Annotated[str, typer.Option(help="metrics.json (out).")],
    accuracy_plot: Annotated[str, typer.Option(help="Accuracy by method (PNG, out).")],
    search_plot: Annotated[str, typer.Option(help="Reward by iteration (PNG, out).")],
    anchors: Annotated[
        str, typer.Option(help="Tiny sets of single methods, if any.")
    ] = "",
) -> None:
    from tmap import dag
    from tmap.artifacts import files, tables
    from tmap.comparison import metrics, plots, runs

    asked = tables.read("questions", questions, ["question_id"])["question_id"]
    finished = runs.load(measured, asked)
    found = metrics.collect(
        finished,
        dataset=dataset,
        model=model,
        pool=tables.metadata(pool),
        rejected=tables.metadata(rejected),
        tiny=tables.metadata(tiny),
        seen={
            question
            for path in (tiny, confirm, *anchors.split())
            for question in tables.read("tiny", path, ["question_id"])["question_id"]
        },
        protocol=tables.metadata(questions)["protocol"],
        record=files.read_document("model", model_file),
        plan=plan,
        **dag.params.collect_metrics(dataset),
    )
    read = [questions, pool, rejected, tiny, confirm, model_file]
    read += [*anchors.split(), *measured]
    found["provenance"]["made"] = dag.origin.made(
        "collect_metrics", read, dataset=dataset
    )
    plots.accuracy(found, accuracy_plot)
    plots.search(finished, search_plot)
    files.write_json(output, found)

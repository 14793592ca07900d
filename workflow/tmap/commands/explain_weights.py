"""Measure how much each indicator adds to the reward of the learned weights."""

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
    weights: Annotated[Path, typer.Option(help="weights.json of the search")],
    ledger: Annotated[Path, typer.Option(help="ledger.jsonl of the search")],
    output: Annotated[Path, typer.Option(help="explain.json to write")],
    indicators: Annotated[list[Path], typer.Argument(help="in the card's order")],
    history: Annotated[str, typer.Option(help="irt, abilities, responses")] = "",
) -> None:
    from tmap.search import explain, prepare
    from tmap.search.ledger import Ledger
    from tmap.selection.weights import read_weights

    names = {"dataset": dataset, "model": model, "method": method}
    card = dag.params.explain_weights(**names)
    past = history.split()
    inputs = prepare.Inputs(
        pool, questions, tiny, confirm, model_file, past, indicators
    )
    task = prepare.prepare(card, inputs, Ledger(ledger))
    learned = read_weights(card["weights"], task.names, str(weights))
    found = explain.explain(
        lambda w: task.evaluate(w).outcome.reward, learned, card["n_orders"]
    )
    read = [pool, questions, tiny, confirm, model_file, weights, *indicators]
    about = {
        "indicators": task.names,
        "code": provenance.fingerprint("explain_weights"),
        "versions": provenance.versions(),
        "made": dag.origin.made("explain_weights", [*read, *map(Path, past)], **names),
    }
    files.write_json(output, {**found, **about})

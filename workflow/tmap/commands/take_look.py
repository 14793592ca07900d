"""Decide whether the primary claim needs more runs.

FILES are the predictions.parquet of random and of the primary methods.
"""

from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    model: Annotated[str, typer.Argument(help="Model card.")],
    answered: Annotated[list[str], typer.Argument(metavar="FILES", help="After --.")],
    plan: Annotated[str, typer.Option(help="Looks and primary methods (JSON).")],
    output: Annotated[str, typer.Option(help="What was decided (JSON, out).")],
) -> None:
    from tmap import dag
    from tmap.artifacts import files, provenance
    from tmap.comparison import runs, verdicts

    found = verdicts.at_look(
        runs.load_answers(answered), plan, **dag.params.take_look(dataset)
    )
    about = {
        "dataset": dataset,
        "model": model,
        "code": provenance.fingerprint("take_look"),
        "versions": provenance.versions(),
        "made": dag.origin.made("take_look", answered, dataset=dataset),
    }
    files.write_json(output, {**found, **about})

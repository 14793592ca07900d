"""Write the reward questions with full answers, the targets of gradients."""

from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    questions: Annotated[str, typer.Option(help="Reward questions (parquet).")],
    confirm: Annotated[str, typer.Option(help="Table 'tiny' of those left out.")],
    output: Annotated[str, typer.Option(help="Table 'targets' (out).")],
) -> None:
    from tmap import dag
    from tmap.artifacts import provenance, tables
    from tmap.data import targets

    card = dag.params.fetch_targets(dataset)
    asked = tables.read("questions", questions)
    held_out = set(tables.read("tiny", confirm)["question_id"])
    read = [*dag.data.files_of(card["source"]), questions, confirm]
    tables.write(
        "targets",
        targets.read(card["source"], card["reader"], asked, held_out),
        output,
        code=provenance.fingerprint("fetch_targets"),
        made=dag.origin.made("fetch_targets", read, dataset=dataset),
    )

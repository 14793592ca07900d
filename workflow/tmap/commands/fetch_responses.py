"""Store other models' past answers to the reward questions (the history)."""

from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    questions: Annotated[str, typer.Option(help="Reward questions (parquet).")],
    output: Annotated[str, typer.Option(help="The history (parquet, out).")],
) -> None:
    from tmap import dag
    from tmap.artifacts import tables
    from tmap.artifacts.provenance import fingerprint
    from tmap.data import responses
    from tmap.errors import TmapError

    source = dag.params.fetch_responses(dataset)["source"]
    if source is None:
        raise TmapError(
            f"Dataset card '{dataset}' names no history. Add `responses:` to it, or "
            "continue without: the tiny set is then chosen from question embeddings."
        )
    found = responses.read(source, tables.read("questions", questions))
    tables.write(
        "responses",
        found.responses,
        output,
        code=fingerprint("fetch_responses"),
        made=dag.origin.made(
            "fetch_responses",
            [*dag.data.files_of(source), questions],
            dataset=dataset,
        ),
        **found.notes,
    )

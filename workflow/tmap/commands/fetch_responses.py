"""Store who answered which reward question before, without the target models."""

from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    questions: Annotated[str, typer.Option(help="Reward questions (parquet).")],
    output: Annotated[str, typer.Option(help="The history (parquet, out).")],
) -> None:
    from tmap import origin, settings, tables
    from tmap.errors import TmapError
    from tmap.provenance import fingerprint
    from tmap.sources import responses

    source = settings.fetch_responses(dataset)["source"]
    if source is None:
        raise TmapError(
            f"Dataset card '{dataset}' names no history. Add `responses:` to it, or go "
            "on without: the tiny set is then chosen from question embeddings."
        )
    found = responses.read(source, tables.read("questions", questions))
    tables.write(
        "responses",
        found.responses,
        output,
        code=fingerprint("fetch_responses"),
        made=origin.made("fetch_responses", [source.path, questions], dataset=dataset),
        **found.notes,
    )

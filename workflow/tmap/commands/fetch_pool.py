"""Read an instruction pool; record rejected rows with the reason for each."""

from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    ngrams: Annotated[str, typer.Option(help="Hashed benchmark n-grams (parquet).")],
    output: Annotated[str, typer.Option(help="The pool (parquet, out).")],
    rejected: Annotated[str, typer.Option(help="Rejected rows (parquet, out).")],
) -> None:
    from tmap import dag
    from tmap.artifacts import tables
    from tmap.artifacts.provenance import fingerprint
    from tmap.data import pool

    card = dag.params.fetch_pool(dataset)
    found = pool.read(
        **card,
        question_ngrams=tables.read("question_ngrams", ngrams),
    )
    code = fingerprint("fetch_pool")
    sources = [*dag.data.files_of(card["source"]), ngrams]
    about = {
        "made": dag.origin.made("fetch_pool", sources, dataset=dataset),
        **found.notes,
    }
    tables.write("pool", found.kept, output, code=code, **about)
    tables.write("pool_rejected", found.rejected, rejected, code=code, **about)

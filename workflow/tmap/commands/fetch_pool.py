"""Read an instruction pool; keep the good rows, and the others with their reasons."""

from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    ngrams: Annotated[str, typer.Option(help="Hashed benchmark n-grams (parquet).")],
    output: Annotated[str, typer.Option(help="The pool (parquet, out).")],
    rejected: Annotated[str, typer.Option(help="Rejected rows (parquet, out).")],
) -> None:
    from tmap import settings, tables
    from tmap.provenance import fingerprint
    from tmap.sources import pool

    found = pool.read(
        **settings.fetch_pool(dataset),
        question_ngrams=tables.read("question_ngrams", ngrams),
    )
    code = fingerprint("fetch_pool")
    tables.write("pool", found.kept, output, code=code, **found.notes)
    tables.write("pool_rejected", found.rejected, rejected, code=code, **found.notes)

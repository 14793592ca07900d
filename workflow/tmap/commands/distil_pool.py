"""Let a teacher write the reasoning to each known answer; check its last line."""

from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card with `distil:`.")],
    pool: Annotated[str, typer.Option(help="The pool as fetched (parquet).")],
    output: Annotated[str, typer.Option(help="The distilled pool (parquet, out).")],
    rejected: Annotated[str, typer.Option(help="Rejected rows (parquet, out).")],
    model_file: Annotated[str, typer.Option(help="Record of a local teacher.")] = "",
) -> None:
    from tmap import dag, judges
    from tmap.artifacts import files, tables
    from tmap.artifacts.provenance import fingerprint
    from tmap.data import distil

    card = dag.params.distil_pool(dataset)
    record = files.read_document("model", model_file) if model_file else None
    found = distil.distil(
        tables.read("pool", pool),
        judges.load(card["judge"], record, card["engine"]),
        card["reader"],
    )
    code = fingerprint("distil_pool")
    about = tables.notes(pool) | found.notes
    about["teacher"] = card["judge"].model_dump(mode="json")
    about["made"] = dag.origin.made("distil_pool", [pool, model_file], dataset=dataset)
    tables.write("pool", found.kept, output, code=code, **about)
    tables.write("pool_rejected", found.rejected, rejected, code=code, **about)

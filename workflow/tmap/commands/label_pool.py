"""Label the rows of a generated pool: clean, or the fault that was planted.

The labels are for method `oracle` and for people who judge a selection. No search reads
them.
"""

from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    pool: Annotated[str, typer.Option(help="The pool (parquet).")],
    output: Annotated[str, typer.Option(help="The labels (parquet, out).")],
) -> None:
    from tmap import dag
    from tmap.artifacts import tables
    from tmap.artifacts.provenance import fingerprint
    from tmap.data import labels

    found = labels.read(
        **dag.params.label_pool(dataset),
        sample_ids=tables.read("pool", pool, ["sample_id"])["sample_id"],
    )
    code = fingerprint("label_pool")
    made = dag.origin.made("label_pool", [pool], dataset=dataset)
    tables.write("pool_labels", found, output, code=code, made=made)

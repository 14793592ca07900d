"""Measure one job's share of the gradients and keep it in the store.

The rule gradients then finds everything there and puts it together.
"""

from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    proxy: Annotated[str, typer.Argument(help="Model card of the proxy.")],
    share: Annotated[str, typer.Argument(help="K/N: job K, from 0, of N.")],
    pool: Annotated[str, typer.Option(help="Table 'pool'.")],
    model_file: Annotated[str, typer.Option(help="Record of the proxy.")],
    output: Annotated[str, typer.Option(help="Record of what was done (JSON, out).")],
    warm: Annotated[
        str, typer.Option(help="Checkpoints of a warm-up; '' if none.")
    ] = "",
) -> None:
    from tmap import dag
    from tmap.artifacts import files, tables
    from tmap.gradients import measure
    from tmap.gradients.proxy import Proxy
    from tmap.prompts.conversation import turns_of
    from tmap.store import shards
    from tmap.store.vectors import VectorStore

    card = dag.params.measure_gradients(dataset, proxy)
    model = Proxy(files.read_document("model", model_file), **card, warm=warm)
    rows = tables.read("pool", pool)
    chats = [turns_of(row) for row in rows.to_dict("records")]
    given = measure.encode(model, chats)
    store, part = VectorStore("gradients"), shards.parse(share)
    measure.measure(model, given, adam=True, store=store, share=part)
    files.write_json(output, {"proxy": proxy, "share": share})

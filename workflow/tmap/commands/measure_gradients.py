"""Measure one job's share of the gradients, into the store.

The rule gradients then finds everything there, and puts it together.
"""

from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    proxy: Annotated[str, typer.Argument(help="Model card of the proxy.")],
    share: Annotated[str, typer.Argument(help="K/N: job K, from 0, of N.")],
    pool: Annotated[str, typer.Option(help="Table 'pool'.")],
    model_file: Annotated[str, typer.Option(help="Record of the proxy.")],
    output: Annotated[str, typer.Option(help="What was done, as JSON (out).")],
    warm: Annotated[
        str, typer.Option(help="Checkpoints of a warm-up; '' if none.")
    ] = "",
) -> None:
    from tmap import files, gradients, settings, shares, tables
    from tmap.proxy import Proxy
    from tmap.samples import turns_of
    from tmap.vector_store import VectorStore

    card = settings.measure_gradients(dataset, proxy)
    model = Proxy(files.read_json(model_file), **card, warm=warm)
    rows = tables.read("pool", pool)
    chats = [turns_of(row) for row in rows.to_dict("records")]
    given = gradients.encode(model, chats)
    store, part = VectorStore("gradients"), shares.parse(share)
    gradients.measure(model, given, adam=True, store=store, share=part)
    files.write_json(output, {"proxy": proxy, "share": share})

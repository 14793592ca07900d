"""Measure a proxy's gradient for every candidate and every target question."""

from pathlib import Path
from typing import Annotated, Any

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    proxy: Annotated[str, typer.Argument(help="Model card of the proxy.")],
    pool: Annotated[str, typer.Option(help="Table 'pool'.")],
    targets: Annotated[str, typer.Option(help="Table 'targets'.")],
    model_file: Annotated[str, typer.Option(help="Record of the proxy.")],
    output: Annotated[
        Path,
        typer.Option(help="Folder (out): candidates and questions, .parquet, .npy."),
    ],
    warm: Annotated[
        str, typer.Option(help="Checkpoints of a warm-up, or an adapter; '' for none.")
    ] = "",
) -> None:
    from tmap import dag
    from tmap.artifacts import files, provenance, tables
    from tmap.gradients import measure
    from tmap.gradients.proxy import Proxy
    from tmap.prompts.conversation import turns_of
    from tmap.store.vectors import VectorStore

    names = {"dataset": dataset, "proxy": proxy}
    card = dag.params.gradients(**names)
    model = Proxy(files.read_document("model", model_file), **card, warm=warm)
    # The order in which the columns read them.
    rows = tables.read("pool", pool).sort_values("text_hash", kind="stable")
    asked = tables.read("targets", targets)
    pairs = zip(asked["question"], asked["answer"], strict=True)
    aims = [[("user", question), ("assistant", answer)] for question, answer in pairs]
    chats = [turns_of(row) for row in rows.to_dict("records")]
    about: dict[str, Any] = {
        "code": provenance.fingerprint("gradients"),
        "made": dag.origin.made(
            "gradients", [pool, targets, model_file, warm], **names
        ),
        "rates": model.rates(),
    }
    store = VectorStore("gradients")
    for name, ids, talks, adam in (
        ("candidates", rows["sample_id"], chats, True),
        ("questions", asked["question_id"], aims, False),
    ):
        given = measure.encode(model, talks)
        keys = measure.measure(model, given, adam=adam, store=store)
        dim = model.projection.dim
        found = measure.gather(given, list(ids), keys, dim, store)
        found.write(output / f"{name}.npy")
        tables.write("gradients", found.table, output / f"{name}.parquet", **about)

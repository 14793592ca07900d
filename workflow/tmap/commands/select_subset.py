"""Take the top M samples of a pool by weighted score, or M at random."""

from pathlib import Path
from typing import Annotated

import typer

from tmap import dag
from tmap.artifacts import provenance, tables


def run(
    dataset: Annotated[str, typer.Argument(help="dataset card")],
    method: Annotated[str, typer.Argument(help="method card")],
    pool: Annotated[Path, typer.Option(help="pool.parquet")],
    output: Annotated[Path, typer.Option(help="subset.parquet to write")],
    seed: Annotated[int, typer.Option(help="of a random subset")] = 0,
    weights: Annotated[str, typer.Option(help="weights.json of a learned method")] = "",
    labels: Annotated[str, typer.Option(help="pool_labels.parquet of an oracle")] = "",
    embeddings: Annotated[str, typer.Option(help="for a diversity filter")] = "",
    part: Annotated[str, typer.Option(help="f0.1, n16, k3, or '' for all")] = "",
    indicators: Annotated[
        list[Path] | None, typer.Argument(help="indicator tables, in the card's order")
    ] = None,
) -> None:
    from tmap.selection import features, filters, subset, variants
    from tmap.selection.weights import weights_of

    card = dag.params.select_subset(dataset=dataset, method=method)
    candidates = tables.read("pool", pool, ["sample_id", "text_hash"])
    loaded, vector, clean = None, None, None
    if card["weights"] == "oracle":
        clean = subset.clean_rows(candidates, labels)
    elif card["weights"] != "random":
        loaded = features.load(
            candidates["sample_id"],
            indicators or [],
            normalise=card["normalise"],
            max_unscored=card["max_unscored"],
        )
        vector = weights_of(card, loaded.names, weights, seed, part)
    how = filters.load(card["filter"], candidates, indicators or [], embeddings)
    product = card["weights"] == "product"
    fraction = variants.fraction(part, card["fraction"], len(candidates))
    given = (loaded, vector, fraction, seed, clean, how, product)
    read: list[Path | str] = [pool, weights, labels, embeddings, *(indicators or [])]
    tables.write(
        "subset",
        subset.choose(candidates, *given),
        output,
        code=provenance.fingerprint("select_subset"),
        seed=seed,
        made=dag.origin.made("select_subset", read, dataset=dataset, method=method),
        indicators=card["indicators"],
        fraction=fraction,
        weights=None if vector is None else vector.tolist(),
        warnings=([] if loaded is None else list(loaded.warnings)) + how.warnings,
        filter={**card["filter"], "dropped": how.dropped},
    )

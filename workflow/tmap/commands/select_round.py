"""Take the best of a round's candidates; keep those of earlier rounds."""

from pathlib import Path
from typing import Annotated, Any

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="dataset card")],
    method: Annotated[str, typer.Argument(help="method card with `rounds:`")],
    pools: Annotated[
        str, typer.Option(help="candidates of all rounds so far, this round's last")
    ],
    output: Annotated[Path, typer.Option(help="subset.parquet to write")],
    chosen: Annotated[Path, typer.Option(help="its rows (table 'pool') to write")],
    earlier: Annotated[
        str, typer.Option(help="previous round's subset and its rows; '' if none")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="of a random subset")] = 0,
    indicators: Annotated[
        list[Path] | None, typer.Argument(help="indicator tables, in the card's order")
    ] = None,
) -> None:
    from tmap import dag
    from tmap.artifacts import provenance, tables
    from tmap.selection import rounds

    names = {"dataset": dataset, "method": method}
    card = dag.params.select_round(**names)
    before = rounds.Chosen.read(earlier.split())
    candidates = tables.read("pool", pools.split()[-1])
    found = rounds.select(candidates, indicators or [], card, seed, before)
    read: list[str | Path] = [*pools.split(), *earlier.split(), *(indicators or [])]
    code = provenance.fingerprint("select_round")
    made = dag.origin.made("select_round", read, **names)
    about: dict[str, Any] = {"code": code, "made": made}
    notes = {"indicators": card["indicators"], "fraction": card["fraction"]}
    notes |= {"weights": found.weights, "warnings": found.warnings, "filter": {}}
    tables.write("subset", found.subset, output, seed=seed, **about, **notes)
    written = {
        "source": f"judge card '{card['generator']}', candidates written in rounds",
        "revision": f"card version {card['generator_version']}",
        "licence": "unknown",
        "n_candidates": sum(tables.metadata(p)["rows"]["total"] for p in pools.split()),
    }
    tables.write("pool", found.rows, chosen, **about, **written)

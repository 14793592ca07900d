"""Train a proxy's LoRA weights on a random share of a pool."""

from pathlib import Path
from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    proxy: Annotated[str, typer.Argument(help="Model card of the proxy.")],
    pool: Annotated[Path, typer.Option(help="Table 'pool'.")],
    model_file: Annotated[Path, typer.Option(help="Record of the proxy.")],
    output: Annotated[Path, typer.Option(help="Checkpoints (safetensors, out).")],
    report: Annotated[Path, typer.Option(help="What happened (JSON, out).")],
) -> None:
    from tmap import dag
    from tmap.artifacts import files, provenance, tables
    from tmap.gradients import warmup
    from tmap.prompts.conversation import turns_of
    from tmap.selection import ranking

    names = {"dataset": dataset, "proxy": proxy}
    card = dag.params.warm_up_proxy(**names)
    rows = tables.read("pool", pool)
    n = ranking.n_selected(card["share"], len(rows))
    ties = ranking.tie_rank(rows["text_hash"], rows["sample_id"])
    drawn = rows.iloc[ranking.random_rows(ties, n, card["seed"])]
    found = warmup.warm_up(
        files.read_document("model", model_file),
        card["prompt"],
        card["place"],
        card["train"],
        [turns_of(r) for r in drawn.sort_values("sample_id").to_dict("records")],
        seed=card["seed"],
        output=output,
        scratch=output.parent / "checkpoints",
    )
    about = {
        "sample_ids": sorted(drawn["sample_id"]),
        "code": provenance.fingerprint("warm_up_proxy"),
        "made": dag.origin.made("warm_up_proxy", [pool, model_file], **names),
        "versions": provenance.versions(),
    }
    files.write_json(report, {**found, **about})

"""Check whether the few-shot reward ranks subsets as fine-tuning does.

FILES are the predictions.parquet of every sentinel and training seed, the seeds of one
sentinel together. There are none if sentinels.json has no sentinels.
"""

from pathlib import Path
from typing import Annotated

import typer

from tmap import dag
from tmap.artifacts import files, provenance, tables


def run(
    dataset: Annotated[str, typer.Argument(help="dataset card")],
    method: Annotated[str, typer.Argument(help="method card")],
    sentinels: Annotated[Path, typer.Option(help="sentinels.json")],
    asked: Annotated[
        Path, typer.Option(help="tiny.parquet or groups.parquet of the search")
    ],
    output: Annotated[Path, typer.Option(help="certificate.json to write")],
    measured: Annotated[
        list[Path] | None, typer.Argument(metavar="FILES", help="After --.")
    ] = None,
) -> None:
    from tmap.search import certificate

    card = dag.params.certify_proxy(method)
    if dag.methods.asking_groups([method]):
        each = tables.read("groups", asked, ["question_ids"])["question_ids"]
        seen = {question for ids in each for question in ids}
    else:
        seen = set(tables.read("tiny", asked, ["question_id"])["question_id"])
    measured = measured or []
    frames = [tables.read("predictions", path) for path in measured]
    n = card["n_seeds"]
    found = certificate.certify(
        files.read_document("sentinels", sentinels),
        [frames[i : i + n] for i in range(0, len(frames), n)],
        seen,
        method,
        card["safe"],
    )
    about = {
        "dataset": dataset,
        "code": provenance.fingerprint("certify_proxy"),
        "versions": provenance.versions(),
        "made": dag.origin.made(
            "certify_proxy", [sentinels, asked, *measured], method=method
        ),
    }
    files.write_json(output, {**found, **about})

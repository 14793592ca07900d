"""Choose the tiny and the confirm question sets (paper eq. 5, appendix C.1).

If the dataset has a history, name its tables after `--`: irt, abilities, responses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="name of a dataset card")],
    questions: Annotated[Path, typer.Option(help="questions_reward.parquet")],
    tiny: Annotated[Path, typer.Option(help="tiny.parquet to write")],
    confirm: Annotated[Path, typer.Option(help="confirm.parquet to write")],
    n_anchors: Annotated[str, typer.Option(help="in place of the card's S")] = "",
    vectors: Annotated[str, typer.Option(help="of the questions, if any")] = "",
    history: Annotated[
        list[Path] | None, typer.Argument(help="irt, abilities, responses; or none")
    ] = None,
) -> None:
    from tmap import dag
    from tmap.artifacts import tables
    from tmap.artifacts.provenance import fingerprint
    from tmap.embeddings import embed
    from tmap.errors import TmapError
    from tmap.tiny import choose as library

    if len(history or []) not in (0, 3):
        raise TmapError(
            f"choose-tiny got {len(history or [])} history files. Name irt.parquet, "
            "abilities.parquet and responses.parquet after `--`, or none of them."
        )
    names = {"dataset": dataset} | ({"n_anchors": n_anchors} if n_anchors else {})
    card = dag.params.choose_tiny(**names)["tiny"]
    asked = tables.read("questions", questions)
    irt, _, responses = history or (None, None, None)
    sets = library.choose(
        asked,
        tables.read("irt", irt) if irt else None,
        tables.metadata(irt) if irt else None,
        tables.read("responses", responses) if responses else None,
        n_anchors=card.n_anchors,
        n_confirm=card.n_confirm,
        estimator=card.estimator,
        seed=card.seed,
        vectors=embed.rows_of(vectors, asked["question_id"]) if vectors else None,
    )
    inputs = [questions, vectors or None, *(history or [])]
    made = dag.origin.made("choose_tiny", inputs, **names)
    about = {"code": fingerprint("choose_tiny"), "seed": card.seed, "made": made}
    tables.write("tiny", sets.tiny, tiny, **about, **sets.tiny_notes)
    tables.write("tiny", sets.confirm, confirm, **about, **sets.confirm_notes)

"""Read a benchmark, check it, and split it into reward and test questions."""

from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    reward: Annotated[str, typer.Option(help="Reward questions (parquet, out).")],
    test: Annotated[str, typer.Option(help="Test questions (parquet, out).")],
    ngrams: Annotated[str, typer.Option(help="Hashed n-grams of all (parquet, out).")],
) -> None:
    from tmap import dag
    from tmap.artifacts import tables
    from tmap.artifacts.provenance import fingerprint
    from tmap.data import questions

    card = dag.params.fetch_questions(dataset)
    found = questions.read(**card)
    code = fingerprint("fetch_questions")
    sources = dag.data.files_of(card["source"])
    made = dag.origin.made("fetch_questions", sources, dataset=dataset)
    about = {"made": made, **found.notes}
    tables.write("questions", found.reward, reward, code=code, **about)
    tables.write("questions", found.test, test, code=code, **about)
    tables.write("question_ngrams", found.ngrams, ngrams, code=code, **about)

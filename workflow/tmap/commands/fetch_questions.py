"""Read a benchmark, check it, and split it into reward and test questions."""

from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    reward: Annotated[str, typer.Option(help="Reward questions (parquet, out).")],
    test: Annotated[str, typer.Option(help="Test questions (parquet, out).")],
    ngrams: Annotated[str, typer.Option(help="Hashed n-grams of all (parquet, out).")],
) -> None:
    from tmap import settings, tables
    from tmap.provenance import fingerprint
    from tmap.sources import questions

    found = questions.read(**settings.fetch_questions(dataset))
    code = fingerprint("fetch_questions")
    tables.write("questions", found.reward, reward, code=code, **found.notes)
    tables.write("questions", found.test, test, code=code, **found.notes)
    tables.write("question_ngrams", found.ngrams, ngrams, code=code, **found.notes)

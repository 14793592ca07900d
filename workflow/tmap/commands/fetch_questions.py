"""Read a benchmark, check it, and split it into reward and test questions."""

from typing import Annotated

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    reward: Annotated[str, typer.Option(help="Reward questions (parquet, out).")],
    test: Annotated[str, typer.Option(help="Test questions (parquet, out).")],
    ngrams: Annotated[str, typer.Option(help="Hashed n-grams of all (parquet, out).")],
) -> None:
    from tmap import origin, settings, tables
    from tmap.provenance import fingerprint
    from tmap.sources import questions

    card = settings.fetch_questions(dataset)
    found = questions.read(**card)
    code = fingerprint("fetch_questions")
    made = origin.made("fetch_questions", [card["source"].path], dataset=dataset)
    about = {"made": made, **found.notes}
    tables.write("questions", found.reward, reward, code=code, **about)
    tables.write("questions", found.test, test, code=code, **about)
    tables.write("question_ngrams", found.ngrams, ngrams, code=code, **about)

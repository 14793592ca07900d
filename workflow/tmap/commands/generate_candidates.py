"""Let a generator write candidates from examples; keep the well-formed ones."""

from typing import Annotated, Any

import typer


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset card.")],
    method: Annotated[str, typer.Argument(help="Method card with `rounds:`.")],
    number: Annotated[int, typer.Argument(help="Round, from 1.")],
    targets: Annotated[str, typer.Option(help="Table 'targets'.")],
    ngrams: Annotated[str, typer.Option(help="Hashed benchmark n-grams (parquet).")],
    output: Annotated[str, typer.Option(help="Candidates (table 'pool', out).")],
    rejected: Annotated[str, typer.Option(help="The others, with reasons (out).")],
    model_file: Annotated[
        str, typer.Option(help="Record of a local generator; '' for a server.")
    ] = "",
    earlier: Annotated[
        str, typer.Option(help="Candidates of the rounds before; '' if none.")
    ] = "",
) -> None:
    from tmap import dag, judges
    from tmap.artifacts import files, provenance, tables
    from tmap.data import generate
    from tmap.data.overlap import OverlapIndex

    names = {"dataset": dataset, "method": method}
    card = dag.params.generate_candidates(**names)
    record = files.read_document("model", model_file) if model_file else None
    known = [tables.read("pool", path, ["text_hash"]) for path in earlier.split()]
    asked = tables.read("targets", targets)
    index = tables.read("question_ngrams", ngrams)
    requests = generate.examples(
        asked, card["n_candidates"], card["n_shots"], card["seed"], number
    )
    found = generate.generate(
        judges.load(card["judge"], record, card.get("engine")),
        requests,
        reader=card["reader"],
        overlap=OverlapIndex(index, card["ngram"], card["share"]),
        seen={digest for frame in known for digest in frame["text_hash"]},
        number=number,
        source=f"round {number} of method {method}",
    )
    read = [targets, ngrams, model_file, *earlier.split()]
    code = provenance.fingerprint("generate_candidates")
    made = dag.origin.made("generate_candidates", read, **names)
    about: dict[str, Any] = {
        "code": code,
        "made": made,
        "rejected": found.reasons,
        "licence": "unknown",
    }
    tables.write("pool", found.kept, output, **about)
    tables.write("pool_rejected", found.rejected, rejected, **about)

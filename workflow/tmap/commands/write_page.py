"""Write one page that shows a result: verdict, methods, search, samples, questions.

FILES are those of runs and searches, subset.parquet and values.parquet of every method,
and the indicator tables that the methods weigh, in any order.
"""

from pathlib import Path
from typing import Annotated

import typer


def run(
    model: Annotated[str, typer.Argument(help="Model card.")],
    named: Annotated[list[str], typer.Argument(metavar="FILES", help="After --.")],
    metrics: Annotated[Path, typer.Option(help="metrics.json.")],
    questions: Annotated[Path, typer.Option(help="Test questions (parquet).")],
    pool: Annotated[Path, typer.Option(help="The pool (parquet).")],
    rejected: Annotated[Path, typer.Option(help="Rejected pool rows (parquet).")],
    model_file: Annotated[Path, typer.Option(help="Record of the model (JSON).")],
    output: Annotated[Path, typer.Option(help="report.html (out).")],
) -> None:
    from tmap import dag
    from tmap.artifacts import files, provenance
    from tmap.comparison import report
    from tmap.engines.weights import load_tokenizer
    from tmap.page import document, html
    from tmap.prompts.renderer import Renderer

    card = dag.params.write_page(model)
    record = files.read_document("model", model_file)
    limit = min(card["max_length"], record["max_positions"] or card["max_length"])
    content = document.build(
        report.read(metrics),
        document.Files(pool, rejected, questions, named),
        Renderer(load_tokenizer(record), card["prompt"]),
        limit,
    )
    read: list[str | Path] = [metrics, questions, pool, rejected, model_file]
    about = {
        "code": provenance.fingerprint("write_page"),
        "versions": provenance.versions(),
        "made": dag.origin.made("write_page", [*read, *named], model=model),
    }
    files.write_text(output, html.render(content) + dag.origin.comment(about))

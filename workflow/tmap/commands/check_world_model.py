"""Measure a model of the embedded world; describe it in its folder if it passes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer


def run(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Model in Transformers format.")
    ],
    questions: Annotated[int, typer.Option(min=20, help="Problems to ask.")] = 200,
) -> None:
    from tmap.embedded import gate, model_card

    numbers = gate.measure(folder, questions)
    print(json.dumps(dataclasses.asdict(numbers), indent=2))
    gate.check(numbers, str(folder))
    model_card.write(folder, numbers, questions)

"""Training on rows packed behind their common beginning, against padded rows.

    python benchmarks/packed_rows.py --model smollm2 --cards config/real \
        --pool results/arc_half_rule/pool.parquet --rows 48

Prints JSON: processor seconds of the trainer's steps and of a short training, packed and
padded in turns in one process, the tokens that each computes, and the largest difference
between their losses. The model must be fetched (`results/models/MODEL.json`).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from tmap import cards
from tmap.artifacts import tables
from tmap.engines.weights import load_tokenizer, load_weights
from tmap.prompts.conversation import turns_of
from tmap.prompts.renderer import Renderer
from tmap.training.batches import Batches, packed_size
from tmap.training.rows import Row, encode
from tmap.training.short import ShortTraining
from tmap.training.train import make_trainer


def trainer_run(record: dict[str, Any], card: Any, rows: Any, packs: bool) -> Any:
    """Seconds and losses of one epoch of the trainer."""
    with tempfile.TemporaryDirectory() as folder:
        weights = load_weights(record, card.engine)
        how = card.train.model_copy(update={"epochs": 1.0})
        made = make_trainer(weights, load_tokenizer(record), rows, how, 0, Path(folder))
        made.data_collator.takes = made.data_collator.takes and packs
        start = time.process_time()
        made.train()
        seconds = time.process_time() - start
    losses = [entry["loss"] for entry in made.state.log_history if "loss" in entry]
    return seconds, losses


def short_run(learner: ShortTraining, rows: Any, packs: bool) -> Any:
    """Seconds and losses of a short training on the rows."""
    learner._batches.takes = None if packs else False
    start = time.process_time()
    losses = learner.train(rows.rows, learner.settings.learning_rate, 1.0)
    return time.process_time() - start, losses


def tokens(rows: list[Row], size: int) -> dict[str, int]:
    """Tokens that a model computes for the rows in their order."""
    parts = [rows[i : i + size] for i in range(0, len(rows), size)]
    longest = [max(len(row.input_ids) for row in part) for part in parts]
    return {
        "padded": sum(len(part) * n for part, n in zip(parts, longest, strict=True)),
        "packed": sum(map(packed_size, parts)),
    }


def compared(run: Any, rounds: int) -> dict[str, Any]:
    """Both ways in turns, and their ratio."""
    seconds: dict[str, list[float]] = {"packed": [], "padded": []}
    losses = {}
    for _ in range(rounds):
        for name, found in seconds.items():
            taken, losses[name] = run(name == "packed")
            found.append(taken)
    pairs = zip(losses["packed"], losses["padded"], strict=True)
    return {
        "seconds": seconds,
        "padded_over_packed": median(seconds["padded"]) / median(seconds["packed"]),
        "largest_difference_of_a_loss": max(abs(a - b) for a, b in pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="tiny", help="model card")
    parser.add_argument("--pool", type=Path, default=Path("results/arith/pool.parquet"))
    parser.add_argument("--cards", action="append", default=[], help="card folder")
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    cards.use_folders(given.cards)
    card = cards.load("models", given.model)
    record = json.loads(Path(f"results/models/{given.model}.json").read_text("utf-8"))
    pool = tables.read("pool", given.pool).head(given.rows)
    chats = [turns_of(row) for row in pool.to_dict("records")]
    renderer = Renderer(load_tokenizer(record), card.prompt)
    rows = encode(renderer, chats, card.train.max_length, "max_length")
    size = card.train.micro_batch_size
    learner = ShortTraining(record, card.engine, card.train, 0)
    report = {
        "model": given.model,
        "rows": len(rows.rows),
        "takes_packed_rows": Batches.of(learner.model, rows.rows, size).takes,
        "tokens": tokens(rows.rows, size),
        "trainer": compared(
            lambda packs: trainer_run(record, card, rows, packs), given.rounds
        ),
        "short_training": compared(
            lambda packs: short_run(learner, rows, packs), given.rounds
        ),
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

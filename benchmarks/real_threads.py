"""Tokens per second of a real model: training and scoring, by threads and precision.

Prints JSON. Rows are ARC-Easy questions with their answers, in micro-batches as the model
card sets them. Settings take turns, `--rounds` times, so that other work on the machine
slows all alike; each is measured by the clock and by the processor time that it used.

    python benchmarks/real_threads.py --record results/models/smollm2.json \
        --rows ../shared/data/real/arc_easy_train.parquet
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

SETTINGS = [(1, "float32"), (2, "float32"), (1, "bfloat16"), (2, "bfloat16")]


def rows_of(path: str, n: int) -> list[tuple[str, str]]:
    """Question and right option of the first n rows."""
    import pandas as pd

    found = []
    for row in pd.read_parquet(path).head(n).to_dict("records"):
        right = list(row["labels"]).index(row["answerKey"])
        found.append((row["question"], row["choices"][right]))
    return found


def clocked(step: Any, tokens: int) -> dict[str, float]:
    wall, used = time.perf_counter(), time.process_time()
    step()
    wall, used = time.perf_counter() - wall, time.process_time() - used
    return {"per_second": tokens / wall, "per_processor_second": tokens / used}


def measured(record: dict[str, Any], rows: list[tuple[str, str]], dtype: str) -> Any:
    """Tokens per second of one optimiser step, and of scoring the same rows."""
    import torch
    from peft import LoraConfig, get_peft_model

    from tmap.cards.model import EngineSection, PromptSection
    from tmap.engines.weights import load_tokenizer, load_weights
    from tmap.prompts.renderer import Renderer

    place = EngineSection(dtype=dtype, device="cpu")
    renderer = Renderer(load_tokenizer(record), PromptSection())
    encoded = [renderer.training([("user", q), ("assistant", a)]) for q, a in rows]
    width = max(len(row.ids) for row in encoded)
    tokens = sum(len(row.ids) for row in encoded)
    ids = torch.tensor([row.ids + [0] * (width - len(row.ids)) for row in encoded])
    seen = torch.tensor(
        [[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in encoded]
    )
    labels = torch.tensor(
        [
            [i if m else -100 for i, m in zip(row.ids, row.loss_mask, strict=True)]
            + [-100] * (width - len(row.ids))
            for row in encoded
        ]
    )
    how = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear")
    model = get_peft_model(load_weights(record, place).model, how)
    optimiser = torch.optim.AdamW(
        [part for part in model.parameters() if part.requires_grad], lr=1e-4
    )

    def train() -> None:
        loss = model(input_ids=ids, attention_mask=seen, labels=labels).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    def score() -> None:
        with torch.inference_mode():
            model(input_ids=ids, attention_mask=seen)

    train()
    score()
    return {
        "training": clocked(train, tokens),
        "scoring": clocked(score, tokens),
        "tokens": tokens,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", required=True)
    parser.add_argument("--rows", required=True)
    parser.add_argument("--n-rows", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", help="dtype: measure in this process")
    given = parser.parse_args()
    if given.one:
        record = json.loads(Path(given.record).read_text(encoding="utf-8"))
        rows = rows_of(given.rows, given.n_rows)
        print(json.dumps(measured(record, rows, given.one)))
        return
    found: dict[str, list[Any]] = {}
    for _ in range(given.rounds):
        for threads, dtype in SETTINGS:
            ended = subprocess.run(
                [sys.executable, *sys.argv, "--one", dtype],
                # Passive: a thread that waits for another uses no processor time.
                env=os.environ
                | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"},
                check=True,
                capture_output=True,
                text=True,
            )
            found.setdefault(f"{threads} threads, {dtype}", []).append(
                json.loads(ended.stdout.splitlines()[-1])
            )
            print(threads, dtype, found, file=sys.stderr)
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    summary = {
        name: {
            work: {
                key: round(median(r[work][key] for r in runs), 1)
                for key in runs[0][work]
            }
            for work in ("training", "scoring")
        }
        for name, runs in found.items()
    }
    report = {
        "cores": os.cpu_count(),
        "bfloat16_in_hardware": "avx512_bf16" in flags or "amx_bf16" in flags,
        "tokens_per_step": next(iter(found.values()))[0]["tokens"],
        "median_of": given.rounds,
        "tokens_per_second": summary,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

"""How time and memory grow with the pool: columns of text and of a model, and top M.

    python benchmarks/scale.py --rows 10000,100000,1000000 --features-10m

Prints JSON. Each stage runs in a process of its own on a synthetic pool (answers of some
300 characters); `rows_per_second` is of processor time, `peak_mb` the largest resident
memory. `model` scores perplexity and `shard` measures an eighth of it, both with a model
that knows the answers at once, so that prompts, keys and the store are what is seen.
`top_m` joins and normalises K columns, takes 30 % of the rows and writes the subset.
`growth` is the exponent b of time ~ rows^b by least squares over the sizes, 1.0 being
linear; `mb_per_million` the slope of the peak over the two largest sizes. `--only` names
one stage; `--features-10m` adds 10 million rows to top_m, which needs no texts.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from tmap.artifacts import schemas, tables
from tmap.cards.model import PromptSection
from tmap.indicators.scoring import losses
from tmap.indicators.scoring.columns import measure_table, score_table
from tmap.prompts.renderer import Renderer
from tmap.selection import features, subset
from tmap.store.caching_engine import CachingEngine
from tmap.store.measurements import Store
from tmap.store.shards import WHOLE, Share

TEXT, MODEL = ("output_length", "reason_steps"), ("model", "shard")
STAGES = (*TEXT, *MODEL, "top_m")


class Bytes:
    """A tokenizer: every fourth byte of a text is a token."""

    bos_token_id, eos_token_id, added_tokens_decoder = 256, 257, {}

    def encode(self, text: str, **_: Any) -> list[int]:
        return list(text.encode()[::4])


class Stub:
    """A language model that takes no time: a token costs what its id says."""

    key, context, n_layers, batch_size = "stub", None, 1, 8
    tokenizer = Bytes()

    def answer_nll(
        self, prompts: Sequence[Any], answers: Sequence[Any]
    ) -> tuple[np.ndarray, np.ndarray]:
        total = np.array([sum(ids) / 100 for ids in answers])
        return total, np.array([len(ids) for ids in answers])


def stub_scorer(place: Path, share: Share = WHOLE) -> losses.Scorer:
    """A scorer of the stub with its store at `place`."""
    about = {"revision": "0" * 40, "model": "stub"}
    kept = CachingEngine(Stub(), {}, about, lambda *who: Store(*who, place), share)
    renderer = Renderer(Stub.tokenizer, PromptSection(template="plain"))
    return losses.Scorer(kept, renderer, None)


def make_pool(path: Path, n: int, *, with_text: bool) -> None:
    """A pool of `n` rows, written in parts."""
    line = "First there are 12 of them, and {i} more come: that makes {i} + 12.\n"
    schema = schemas.SCHEMAS["pool"].arrow()
    about = {"schema": "pool", "schema_version": schemas.SCHEMAS["pool"].version}
    with pq.ParquetWriter(
        path, schema.with_metadata({"tmap": json.dumps(about)})
    ) as out:
        for start in range(0, n, tables.ROW_GROUP):
            ids = range(start, min(n, start + tables.ROW_GROUP))
            texts = [line.format(i=i) * (2 + i % 6) if with_text else "" for i in ids]
            rows = {
                "sample_id": [f"s{i:08d}" for i in ids],
                "instruction": [text[:60] for text in texts],
                "input": [""] * len(ids),
                "response": texts,
                "turns": [None] * len(ids),
                "source": ["synthetic"] * len(ids),
                "text_hash": [f"{i * 2654435761 % 2**64:016x}" for i in ids],
            }
            out.write_table(pa.table(rows, schema=schema))


def make_columns(folder: Path, n: int, k: int) -> None:
    """`k` indicator tables of random scores."""
    ids = pd.Series([f"s{i:08d}" for i in range(n)], dtype="str")
    status = pd.Series(["ok"] * n, dtype="str")
    for j in range(k):
        score = np.random.default_rng(j).random(n)
        frame = pd.DataFrame({"sample_id": ids, "score": score, "status": status})
        tables.write("indicator", frame, folder / f"c{j:02d}.parquet", code="bench")


def run_stage(stage: str, folder: Path) -> int:
    """Do what the command of this stage does; number of rows."""
    pool = folder / "pool.parquet"
    if stage in TEXT:
        frame = score_table(pool, stage, None, {})
        tables.write("indicator", frame, folder / f"{stage}.parquet", code="bench")
        return len(frame)
    if stage == "shard":
        part = stub_scorer(folder / "shard", Share(1, 8))
        measure_table(pool, "perplexity", part, {})
        return pq.read_metadata(pool).num_rows
    if stage == "model":
        lm = stub_scorer(folder / "store")
        frame = score_table(pool, "perplexity", lm, {})
        tables.write("indicator", frame, folder / "ppl.parquet", code="bench")
        return len(frame)
    rows = tables.read("pool", pool, ["sample_id", "text_hash"])
    columns = sorted(folder.glob("c*.parquet"))
    loaded = features.load(
        rows["sample_id"], columns, normalise="minmax", max_unscored=0.0
    )
    chosen = subset.choose(rows, loaded, np.ones(len(columns)), 0.3, seed=0)
    tables.write("subset", chosen, folder / "subset.parquet", code="bench")
    return len(rows)


def measure(stage: str, folder: Path) -> dict[str, float]:
    """Run one stage in a process of its own."""
    command = [sys.executable, __file__, "--stage", stage, "--folder", str(folder)]
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(done.stdout)
    print(f"{stage}: {found}", file=sys.stderr)
    return found


def report(stage: str, folder: Path) -> dict[str, float]:
    """Seconds of processor time, rows per second and peak memory of this process."""
    start = time.process_time()
    n = run_stage(stage, folder)
    seconds = time.process_time() - start
    # Not ru_maxrss: it begins with the size of the parent.
    status = Path("/proc/self/status").read_text()
    peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024
    return {
        "rows": n,
        "seconds": round(seconds, 3),
        "rows_per_second": round(n / seconds),
        "peak_mb": round(peak),
    }


def growth(found: list[dict[str, float]]) -> dict[str, float | None]:
    """Exponent of time, and slope of memory."""
    if len(found) < 2:
        return {"growth": None, "mb_per_million": None}
    rows = np.log([one["rows"] for one in found])
    seconds = np.log([one["seconds"] for one in found])
    before, last = found[-2:]
    slope = (last["peak_mb"] - before["peak_mb"]) / (last["rows"] - before["rows"])
    return {
        "growth": round(float(np.polyfit(rows, seconds, 1)[0]), 3),
        "mb_per_million": round(1e6 * slope),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="10000,100000,1000000")
    parser.add_argument("--columns", type=int, default=12, help="K of top_m")
    parser.add_argument("--only", choices=STAGES)
    parser.add_argument("--features-10m", action="store_true", help="top_m, 10M rows")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stage:
        print(json.dumps(report(args.stage, args.folder)))
        return
    stages = [args.only] if args.only else list(STAGES)
    sizes = [(n, stages) for n in sorted(int(n) for n in args.rows.split(","))]
    if args.features_10m:
        sizes.append((10_000_000, ["top_m"]))
    found: dict[str, list[dict[str, float]]] = {stage: [] for stage in stages}
    for n, wanted in sizes:
        with tempfile.TemporaryDirectory() as folder:
            make_pool(Path(folder) / "pool.parquet", n, with_text=wanted != ["top_m"])
            if "top_m" in wanted:
                make_columns(Path(folder), n, args.columns)
            for stage in wanted:
                found.setdefault(stage, []).append(measure(stage, Path(folder)))
    result: dict[str, Any] = {
        stage: {"sizes": sizes, **growth(sizes)} for stage, sizes in found.items()
    }
    print(json.dumps({"columns": args.columns, "stages": result}, indent=2))


if __name__ == "__main__":
    main()

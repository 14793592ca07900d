"""Memory and time of selection by optimal transport at 50,000 candidates.

    python benchmarks/transport_selection.py            # 50,000 x 8,192; --quick: 5,000

Random gradients of this size are written to disk as rule `gradients` writes them, and
indicator `evoselect` weighs them: similarities to the target questions and p'Kp are
computed block by block, and K (50,000 x 50,000) is never formed. JSON goes to stdout:
seconds per part, peak memory of the process (resident, in MB), the size of the features
on disk and in float32, that of K, and the objective before and after.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tmap import indicators
from tmap.artifacts import tables
from tmap.gradients import similarity

CHUNK = 1000


def write_vectors(path: Path, n: int, dim: int, seed: int) -> None:
    """Random float16 vectors of length 1 around a common direction, (1, n, dim)."""
    rng = np.random.default_rng(seed)
    common = np.random.default_rng(0).standard_normal(dim)
    with open(path, "wb") as file:
        about = {"descr": "<f2", "fortran_order": False, "shape": (1, n, dim)}
        np.lib.format.write_array_header_1_0(file, about)
        for start in range(0, n, CHUNK):
            rows = rng.standard_normal((min(CHUNK, n - start), dim), dtype=np.float32)
            rows += common * rng.uniform(0, 1, (len(rows), 1))
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            file.write(rows.astype("<f2").tobytes())


def write_table(path: Path, names: list[str]) -> None:
    columns = {"id": names, "norm": [[1.0]] * len(names), "n_tokens": 1}
    frame = pd.DataFrame({**columns, "status": "ok"})
    tables.write("gradients", frame, path, code="benchmark", rates=[1.0])


def peak_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def run(n: int, questions: int, dim: int, steps: int, folder: Path) -> dict[str, Any]:
    names = ("c.parquet", "c.npy", "q.parquet", "q.npy", "t.parquet")
    files = [folder / name for name in names]
    ids, asked = [f"s{i}" for i in range(n)], [f"q{i}" for i in range(questions)]
    write_vectors(files[1], n, dim, 1)
    write_vectors(files[3], questions, dim, 2)
    write_table(files[0], ids)
    write_table(files[2], asked)
    about = {"question_id": asked, "question": "", "answer": "", "subtask": ""}
    tables.write("targets", pd.DataFrame(about), files[4], code="benchmark")
    before = peak_mb()
    pool = pd.DataFrame({"sample_id": ids})
    features = similarity.read(files)
    start = time.monotonic()
    indicators.get("less")(pool, features)
    influence = time.monotonic() - start
    start = time.monotonic()
    found = indicators.get("evoselect")(pool, features, steps=steps)
    return {
        "candidates": n,
        "questions": questions,
        "dim": dim,
        "steps": len(found.notes["objective"]) - 1,
        "objective": [found.notes["objective"][0], found.notes["objective"][-1]],
        "seconds_less": round(influence, 1),
        "seconds_evoselect": round(time.monotonic() - start, 1),
        "peak_memory_mb": peak_mb(),
        "peak_memory_before_mb": before,
        "features_on_disk_mb": round(files[1].stat().st_size / 2**20, 1),
        "features_float32_mb": round(4 * n * dim / 2**20, 1),
        "kernel_float32_mb": round(4 * n * n / 2**20, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=50_000)
    parser.add_argument("--questions", type=int, default=330, help="GSM8K's: 330")
    parser.add_argument("--dim", type=int, default=8192)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument(
        "--quick", action="store_true", help="5,000 candidates, 5 steps"
    )
    args = parser.parse_args()
    n, steps = (5000, 5) if args.quick else (args.candidates, args.steps)
    with tempfile.TemporaryDirectory() as folder:
        found = run(n, args.questions, args.dim, steps, Path(folder))
    json.dump(found, sys.stdout, indent=1)


if __name__ == "__main__":
    main()

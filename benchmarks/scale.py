"""How time and memory grow with the pool, stage by stage.

    python benchmarks/scale.py --rows 10000,100000,1000000 --features-10m

Prints JSON. Each stage runs in a process of its own on a synthetic pool (answers of some
300 characters); `rows_per_second` is of processor time, `peak_mb` the largest resident
memory. The stages, in the order of the data:

* `fetch`: the pool is read from JSON lines and checked against one question;
* `output_length`, `reason_steps`: columns of text; `model` scores perplexity and `shard`
  measures an eighth of it, both with a model that knows the answers at once, so that
  prompts, keys and the store are what is seen;
* `embed`: texts become vectors of `--width` numbers, by an encoder that takes no time;
* `nearest`, `diverse`: the nearest other row of each (MIWV), and DEITA's rule until 30 % of
  the rows are kept, a third of which resembles another one (`tmap.embeddings.index`;
  above 200,000 rows with faiss);
* `search`: columns are joined and normalised, the search is identified, and 20 weight
  vectors deal their demonstrations; `gain`: one round's test whether to go on, of a search
  by groups;
* `top_m` joins and normalises K columns, takes 30 % of the rows and writes the subset;
  `export` writes it as Alpaca lines.

`growth` is the exponent b of time ~ rows^b by least squares over the sizes, 1.0 being
linear, and `last_growth` the same over the two largest sizes; `mb_per_million` the slope of
the peak there. `--only` names stages; `--features-10m` adds 10 million rows to top_m, which
needs no texts.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from tmap.artifacts import schemas, tables
from tmap.cards.dataset import PoolSource
from tmap.cards.method import SearchSection
from tmap.cards.model import PromptSection
from tmap.data import pool as pools
from tmap.embeddings import embed, index
from tmap.groups import group_model
from tmap.indicators.scoring import losses
from tmap.indicators.scoring.columns import measure_table, score_table
from tmap.prompts.renderer import Renderer
from tmap.search.demonstrations import Candidates
from tmap.selection import export, features, ranking, subset
from tmap.store.caching_engine import CachingEngine
from tmap.store.measurements import Store
from tmap.store.shards import WHOLE, Share

TEXT, MODEL = ("output_length", "reason_steps"), ("model", "shard")
VECTORS, COLUMNS = ("nearest", "diverse"), ("search", "gain", "top_m", "export")
STAGES = ("fetch", *TEXT, *MODEL, "embed", *VECTORS, *COLUMNS)


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


def make_vectors(n: int, width: int, seed: int = 0) -> np.ndarray:
    """(n, width) float32: 200 topics of 32 dimensions; a third resembles others."""
    rng = np.random.default_rng(seed)
    topics, turn = rng.normal(size=(200, 32)), rng.normal(size=(32, width))
    place = topics[rng.integers(0, 200, n)] + 0.7 * rng.normal(size=(n, 32))
    near = rng.random(n) < 1 / 3
    place[near] = place[rng.integers(0, n, int(near.sum()))]
    place += 0.1 * rng.normal(size=place.shape)
    return np.tanh(place @ turn / 6).astype(np.float32)


class Encoder:
    """Vectors at once, whatever the texts."""

    def __init__(self, width: int) -> None:
        self.vectors = make_vectors(1024, width)

    def encode(
        self, texts: Sequence[str], pooling: str
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n = len(texts)
        found = self.vectors[np.arange(n) % len(self.vectors)]
        return found, np.full(n, 9), np.full(n, "ok", dtype=object)


def make_embeddings(path: Path, n: int, width: int) -> None:
    """Table 'embeddings' of `n` rows."""
    made = make_vectors(n, width)
    ids = [f"s{i:08d}" for i in range(n)]
    frame = pd.DataFrame({"sample_id": ids, "embedding": list(made)})
    frame = frame.assign(n_tokens=9, status="ok")
    tables.write("embeddings", frame, path, code="bench")


def make_lines(pool: Path, path: Path) -> None:
    """The pool as JSON lines, as others publish one."""
    with open(path, "w", encoding="utf-8") as file:
        for rows in tables.batches("pool", pool):
            rows = rows.rename(columns={"response": "output"})
            wanted = rows[["instruction", "input", "output"]]
            wanted.to_json(file, orient="records", lines=True)


def fetch(folder: Path) -> int:
    """As `tmap fetch-pool`."""
    asked = {"question_id": ["q"], "n_words": [13], "hashes": [[1]]}
    source = PoolSource(path=str(folder / "pool.jsonl"))
    found = pools.read("bench", source, pd.DataFrame(asked))
    tables.write("pool", found.kept, folder / "fetched.parquet", code="bench")
    return len(found.kept)


def vectors_of(folder: Path) -> np.ndarray:
    """The vectors as a command reads them."""
    ids = tables.read("pool", folder / "pool.parquet", ["sample_id"])["sample_id"]
    return embed.rows_of(folder / "embeddings.parquet", ids)


def compare(stage: str, folder: Path) -> int:
    """Nearest other rows, or the greedy rule."""
    rows = vectors_of(folder)
    if stage == "nearest":
        _, how = index.nearest_other(rows)
    else:
        _, how = index.diverse(rows, 0.9, round(0.3 * len(rows)))
    print(f"{stage}: {how}", file=sys.stderr)
    return len(rows)


def with_columns(stage: str, folder: Path) -> int:
    """What ranks rows by K columns: search, gain, top_m, export."""
    pool = folder / "pool.parquet"
    rows = tables.read("pool", pool, ["sample_id", "text_hash"])
    if stage == "export":
        chosen = tables.read("subset", folder / "subset.parquet")
        best = export.in_order(tables.rows("pool", pool, chosen["sample_id"]), chosen)
        (folder / "subset.jsonl").write_text(export.alpaca_lines(best))
        return len(rows)
    columns = sorted(folder.glob("c*.parquet"))
    loaded = features.load(
        rows["sample_id"], columns, normalise="minmax", max_unscored=0.0
    )
    if stage == "top_m":
        chosen = subset.choose(rows, loaded, np.ones(len(columns)), 0.3, seed=0)
        tables.write("subset", chosen, folder / "subset.parquet", code="bench")
        return len(rows)
    rng, m = np.random.default_rng(0), round(0.3 * len(rows))
    how = SearchSection(exemplars="spread")
    seen = Candidates(rows, [], loaded, how, m, np.ones(len(rows), dtype=bool))
    if stage == "search":
        seen.key((0.0, 1.0), 0, "reward", [])
        for weights in rng.random((20, len(columns))):
            seen.ids(seen.groups(weights))
        return len(rows)
    x = loaded.matrix[rng.integers(0, len(rows), (288, 3))].mean(axis=1)
    found = group_model.fit(group_model.Data(x, rng.random(288)), False, 0.0)
    drawn = found.draws(200, False, rng)

    def select(weights: np.ndarray) -> np.ndarray:
        return ranking.top(ranking.scores(loaded.matrix, weights), seen.ties, m)

    group_model.regret(found, drawn, loaded.matrix, select)
    return len(rows)


def run_stage(stage: str, folder: Path) -> int:
    """Do what the command of this stage does; number of rows."""
    pool = folder / "pool.parquet"
    if stage == "fetch":
        return fetch(folder)
    if stage in VECTORS:
        return compare(stage, folder)
    if stage in COLUMNS:
        return with_columns(stage, folder)
    if stage == "embed":
        width = int((folder / "width").read_text())
        found = embed.embed(
            tables.read("pool", pool), Encoder(width), "conversation", "mean"
        )
        tables.write("embeddings", found, folder / "made.parquet", code="bench")
        return len(found)
    if stage in TEXT:
        frame = score_table(pool, stage, None, {})
        tables.write("indicator", frame, folder / f"{stage}.parquet", code="bench")
        return len(frame)
    if stage == "shard":
        part = stub_scorer(folder / "shard", Share(1, 8))
        measure_table(pool, "perplexity", part, {})
        return pq.read_metadata(pool).num_rows
    lm = stub_scorer(folder / "store")
    frame = score_table(pool, "perplexity", lm, {})
    tables.write("indicator", frame, folder / "ppl.parquet", code="bench")
    return len(frame)


def make(folder: Path, n: int, wanted: Sequence[str], columns: int, width: int) -> None:
    """The files that these stages read."""
    pool = folder / "pool.parquet"
    make_pool(pool, n, with_text=set(wanted) != {"top_m"})
    if set(wanted) & set(COLUMNS):
        make_columns(folder, n, columns)
    if set(wanted) & set(VECTORS):
        make_embeddings(folder / "embeddings.parquet", n, width)
    (folder / "width").write_text(str(width))
    if "fetch" in wanted:
        make_lines(pool, folder / "pool.jsonl")


def apart(work: Callable[..., Any], *given: Any) -> Any:
    """What it returns in a process of its own, which begins with the imports done."""
    with ProcessPoolExecutor(1, get_context("fork")) as process:
        return process.submit(work, *given).result()


def measure(stage: str, folder: Path) -> dict[str, float]:
    """Run one stage in a process of its own."""
    found: dict[str, float] = apart(report, stage, folder)
    print(f"{stage}: {found}", file=sys.stderr)
    return found


def report(stage: str, folder: Path) -> dict[str, float]:
    """Seconds of processor time, rows per second and peak memory of this process."""
    start = time.process_time()
    n = run_stage(stage, folder)
    seconds = time.process_time() - start
    # Not ru_maxrss: it begins with the largest size that the parent ever had.
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
        return {"growth": None, "last_growth": None, "mb_per_million": None}
    rows = np.log([one["rows"] for one in found])
    seconds = np.log([one["seconds"] for one in found])
    before, last = found[-2:]
    slope = (last["peak_mb"] - before["peak_mb"]) / (last["rows"] - before["rows"])
    return {
        "growth": round(float(np.polyfit(rows, seconds, 1)[0]), 3),
        "last_growth": round(float(np.polyfit(rows[-2:], seconds[-2:], 1)[0]), 3),
        "mb_per_million": round(1e6 * slope),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="10000,100000,1000000")
    parser.add_argument("--columns", type=int, default=12, help="K of top_m")
    parser.add_argument("--width", type=int, default=256, help="of vectors")
    parser.add_argument("--only", default="", help="stages, separated by commas")
    parser.add_argument("--features-10m", action="store_true", help="top_m, 10M rows")
    args = parser.parse_args()
    only = args.only.split(",") if args.only else STAGES
    stages = [stage for stage in STAGES if stage in only]
    sizes = [(n, stages) for n in sorted(int(n) for n in args.rows.split(","))]
    if args.features_10m:
        sizes.append((10_000_000, ["top_m"]))
    found: dict[str, list[dict[str, float]]] = {stage: [] for stage in stages}
    for n, wanted in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            apart(make, folder, n, wanted, args.columns, args.width)
            for stage in wanted:
                found.setdefault(stage, []).append(measure(stage, folder))
    result: dict[str, Any] = {
        stage: {"sizes": sizes, **growth(sizes)} for stage, sizes in found.items()
    }
    about = {"columns": args.columns, "width": args.width}
    print(json.dumps({**about, "stages": result}, indent=2))


if __name__ == "__main__":
    main()

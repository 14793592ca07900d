"""Seconds for a large pool: text indicators on Alpaca-shaped rows, DEITA's diversity rule.

Prints JSON. `text_indicators_seconds`: the indicators that look at text alone, as cards
have them by default, over 52,002 rows (`by_option`: each option); `diversity_seconds`: the
greedy rule over 50,000 vectors of 1,024 numbers, and `nearest_other_seconds` what MIWV asks
of them. Wall time of one thread; rows and vectors are made from a seed.

    OMP_NUM_THREADS=1 python benchmarks/large_pools.py

`--graph` prints something else: both questions for `--vectors` rows in 200 topics, by all
pairs and by the graph that larger pools get, in processor seconds; `recall` is the share of
all rows for which the graph finds a neighbour as similar, and `kept_otherwise` the share of
rows that only one of them keeps. `flat_seconds` is faiss's own exact index.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from tmap import indicators
from tmap.embeddings import index, neighbours
from tmap.engines import load_tokenizer
from tmap.indicators.scoring import columns

WORDS = ("the weight of a red apple is given in grams so we then add both sums and "
         "therefore compare first second because it follows that").split()  # fmt: skip
OPTIONS: dict[str, list[dict[str, str]]] = {
    "output_length": [{"count": kind} for kind in ("characters", "words", "tokens")],
    "reason_steps": [{"rule": "lines"}, {"rule": "connectives"}],
}


def a_pool(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rows like Alpaca's: short questions, 40 % with an input, answers near 270 letters."""
    sizes = np.clip(rng.lognormal(3.6, 0.9, n), 1, 800).astype(int)
    drawn = rng.integers(0, len(WORDS), int(sizes.sum()) + 40)
    starts = rng.integers(0, len(drawn) - 800, (n, 2))

    def text(start: int, size: int) -> str:
        words = [WORDS[i] for i in drawn[start : start + size]]
        return "\n".join(" ".join(words[i : i + 12]) for i in range(0, size, 12))

    return pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(n)],
            "instruction": [text(start, 10) for start in starts[:, 0]],
            "input": [text(a, 15) if a % 5 < 2 else "" for a in starts[:, 0]],
            "response": [
                text(start, size)
                for start, size in zip(starts[:, 1], sizes, strict=True)
            ],
            "turns": None,
        }
    )


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def text_indicators(n: int, rng: np.random.Generator) -> dict[str, Any]:
    """Seconds by indicator and option, and together."""
    pool = a_pool(n, rng)
    place = Path(__file__).resolve().parents[1] / "resources/models/tiny"
    tokenizer = load_tokenizer({"path": str(place), "trust_remote_code": False})
    found = {}
    for name in indicators.names():
        if indicators.get(name).looks_at != "text":
            continue
        for options in OPTIONS.get(name, [{}]):
            label = " ".join([name, *options.values()])

            def score(name: str = name, how: dict[str, str] = options) -> pd.DataFrame:
                return columns.score(pool, name, tokenizer, how)

            found[label], _ = seconds(score)
    usual = [
        " ".join([name, *map(str, indicators.get(name).options.values())][:2])
        for name in OPTIONS
    ]
    return {
        "text_indicators_seconds": sum(found[label] for label in usual),
        "by_option": found,
        "mean_characters": float(pool["response"].str.len().mean()),
    }


def diversity(n: int, width: int, rng: np.random.Generator) -> dict[str, Any]:
    """The greedy rule where about a third of the rows resembles another one."""
    centres = rng.normal(size=(n * 2 // 3, width)).astype(np.float32)
    near = rng.integers(0, len(centres), n)
    noise = rng.normal(scale=0.3, size=(n, width)).astype(np.float32)
    rows = neighbours.unit(centres[near] + noise)
    rule, kept = seconds(lambda: neighbours.diverse(rows, 0.9, n))
    nearest, _ = seconds(lambda: neighbours.nearest_other(rows))
    return {
        "diversity_seconds": rule,
        "kept": len(kept),
        "nearest_other_seconds": nearest,
    }


def processor(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return round(time.process_time() - start, 2), result


def through_a_graph(n: int, width: int) -> dict[str, Any]:
    """All pairs beside the graph, and what the graph misses."""
    import faiss
    from scale import make_vectors

    rows, every = neighbours.unit(make_vectors(n, width)), np.arange(n)
    exact, truth = processor(lambda: neighbours.nearest_other(rows))
    rule, kept = processor(lambda: neighbours.diverse(rows, 0.9, n))
    index.EXACT = 0
    graph, (found, how) = processor(lambda: index.nearest_other(rows))
    ruled, (others, also) = processor(lambda: index.diverse(rows, 0.9, n))
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexFlatIP(width)
    flat.add(rows)
    searched, (near, _) = processor(lambda: flat.search(rows, 2))
    best = index.similarity(rows, every, truth)
    as_similar = index.similarity(rows, every, found) >= best - 2 * neighbours.TIE
    assert np.allclose(near[:, 1], best, atol=1e-5)  # both are exact
    return {
        "nearest_other": {
            "all_pairs_seconds": exact,
            "graph_seconds": graph,
            "flat_seconds": searched,
            "recall": float(as_similar.mean()),
            "similarity_lost": float(
                (best - index.similarity(rows, every, found)).mean()
            ),
            "how": how,
        },
        "diverse": {
            "all_pairs_seconds": rule,
            "graph_seconds": ruled,
            "kept": len(kept),
            "kept_otherwise": len(np.setxor1d(kept, others)) / n,
            "how": also,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sizes = {"rows": 52_002, "vectors": 50_000, "width": 1024, "seed": 0}
    for name, value in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--quick", action="store_true", help="seconds")
    parser.add_argument("--graph", action="store_true", help="all pairs and a graph")
    args = parser.parse_args()
    if args.quick:
        vars(args).update({"rows": 5000, "vectors": 5000, "width": 256})
    if args.graph:
        found = through_a_graph(args.vectors, args.width)
        print(json.dumps({**found, "arguments": vars(args)}, indent=1))
        return
    rng = np.random.default_rng(args.seed)
    text = text_indicators(args.rows, rng)
    found = text | diversity(args.vectors, args.width, rng)
    print(json.dumps({**found, "arguments": vars(args)}, indent=1))


if __name__ == "__main__":
    main()

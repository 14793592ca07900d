"""Pools in parts: the same tables as in one piece, and a plan that takes seconds."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from clones import Clone
from judging import FORM, store_at
from project import ROOT
from tmap.artifacts import tables
from tmap.cards.model import PromptSection
from tmap.indicators.scoring import columns, losses
from tmap.judges import Judge
from tmap.judges.local import Local
from tmap.prompts.renderer import Renderer
from tmap.selection import features, ranking, subset
from tmap.store.caching_engine import CachingEngine
from tmap.store.shards import Share

N = 23
TURNS = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a\nb"}]


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """Table 'pool' of 23 rows in parts of 5: path and frame."""
    monkeypatch.setattr(tables, "BATCH", 5)
    frame = pd.DataFrame(
        {
            "sample_id": [f"s{i * 7 % N:02d}" for i in range(N)],
            "instruction": ["What?"] * N,
            "input": [""] * N,
            "response": ["", *("line\n" * (i // 2) + str(i) for i in range(1, N))],
            "turns": [TURNS if i == 11 else None for i in range(N)],
            "source": ["test"] * N,
            "text_hash": [f"{i % 3:016x}" for i in range(N)],
        }
    )
    path = tmp_path / "pool.parquet"
    tables.write("pool", frame, path, code="test")
    return path, frame


def test_a_table_is_read_in_parts_that_make_up_the_whole(pool):
    path, _ = pool
    parts = list(tables.batches("pool", path))
    assert [len(part) for part in parts] == [5, 5, 5, 5, 3]
    whole = tables.read("pool", path)
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)


def test_rows_by_id_come_in_the_order_of_the_table(pool):
    path, frame = pool
    found = tables.rows("pool", path, ["s03", "s07", "s21", "absent"])
    wanted = frame[frame["sample_id"].isin(["s03", "s07", "s21"])]
    assert found["sample_id"].tolist() == wanted["sample_id"].tolist()
    assert found["response"].tolist() == wanted["response"].tolist()
    assert tables.rows("pool", path, []).empty


@pytest.mark.parametrize("name", ["output_length", "reason_steps"])
def test_text_measured_in_parts_is_measured_alike(pool, name, monkeypatch):
    path, _ = pool
    whole = columns.score(tables.read("pool", path), name, None, {})
    monkeypatch.setattr(tables, "read", None)  # not at once
    parts = columns.score_table(path, name, None, {})
    pd.testing.assert_frame_equal(parts, whole)
    assert set(parts["status"]) == {"ok", "empty"}


def test_columns_in_the_pools_order_and_in_another_are_the_same(pool, tmp_path):
    path, frame = pool
    ids = tables.read("pool", path, ["sample_id"])["sample_id"]
    rng = np.random.default_rng(0)
    score = pd.DataFrame(
        {"sample_id": frame["sample_id"], "score": rng.random(N), "status": "ok"}
    )
    files = []
    for name, rows in (("a", score), ("b", score.sample(frac=1, random_state=1))):
        files.append(tmp_path / f"{name}.parquet")
        tables.write("indicator", rows, files[-1], code="test")
    found = features.load(ids, files, normalise="minmax", max_unscored=0)
    assert_array_equal(found.matrix[:, 0], found.matrix[:, 1])
    low, high = score["score"].min(), score["score"].max()
    assert_array_equal(found.matrix[:, 0], (score["score"] - low) / (high - low))


def test_contributions_belong_to_the_chosen_rows(pool):
    path, _ = pool
    rows = tables.read("pool", path, ["sample_id", "text_hash"])
    matrix = np.random.default_rng(1).random((N, 3))
    weights = np.array([1.0, 0.5, 0.25])
    loaded = features.Features(["a", "b", "c"], matrix, [], {})
    chosen = subset.choose(rows, loaded, weights, 0.3, seed=0)
    number = {name: i for i, name in enumerate(rows["sample_id"])}
    for row in chosen.itertuples():
        expected = matrix[number[row.sample_id]] * weights
        assert row.contributions.tolist() == expected.tolist()


def test_ties_are_ranked_as_python_sorts_unicode():
    hashes = ["b", "a", "a", "a"]
    ids = ["x", "\U0001f600", "é", "z"]
    order = sorted(range(4), key=lambda i: (hashes[i], ids[i]))
    assert np.argsort(ranking.tie_rank(hashes, ids)).tolist() == order


def test_the_benchmark_measures_each_stage():
    stages = ["fetch", "output_length", "reason_steps", "model", "shard", "embed"]
    stages += ["nearest", "diverse", "search", "gain", "top_m", "export"]
    small = ["--rows", "50,500", "--columns", "2", "--width", "8"]
    done = subprocess.run(
        [sys.executable, "benchmarks/scale.py", *small],
        cwd=ROOT,
        check=True,
        text=True,
        capture_output=True,
    )
    found = json.loads(done.stdout)["stages"]
    assert list(found) == stages
    for stage in found.values():
        assert [size["rows"] for size in stage["sizes"]] == [50, 500]
        assert all(size["peak_mb"] > 10 for size in stage["sizes"])
        assert np.isfinite(stage["growth"])


class Words:
    """An engine whose losses depend on the batch that a row comes in, and its place."""

    key, context, n_layers, batch_size = "words", None, 1, 2

    def __init__(self, tokenizer):
        self.tokenizer, self.batches = tokenizer, []

    def answer_nll(self, prompts, answers):
        self.batches.append(
            [(list(p), list(a)) for p, a in zip(prompts, answers, strict=True)]
        )
        here = sum(len(p) + len(a) for p, a in self.batches[-1])
        total = np.array([sum(a) / (here + i) for i, a in enumerate(answers)])
        total[[a[-1] % 5 == 0 for a in answers]] = np.nan  # some fail
        return total, np.array(
            [len(a) - (not p) for p, a in zip(prompts, answers, strict=True)]
        )

    def digit_logits(self, prompts, digits):
        self.batches.append([list(prompt) for prompt in prompts])
        first = [len(self.batches[-1]) + len(p) + i for i, p in enumerate(prompts)]
        return -np.array(first)[:, None] / 100 * np.arange(1, 7)

    def generate(self, prefixes, questions, **how):
        self.batches.append([list(question) for question in questions])
        size = len(questions)
        said = (f"{(len(q) + i + size) % 6}" for i, q in enumerate(questions))
        return [[self.tokenizer.encode(text) for text in said]]


class Letters:
    """A tokenizer: a letter is a token."""

    bos_token_id, eos_token_id, added_tokens_decoder = 7000, 7001, {}

    def encode(self, text, **_):
        return list(map(ord, text))

    def decode(self, ids, **_):
        return "".join(map(chr, ids))


def instruments(name, folder, share=Share()):
    """(instrument of the indicator, its engine)"""
    lm = Words(Letters())
    record = {"revision": "0" * 40, "model": "words"}
    kept = CachingEngine(lm, {}, record, store_at(folder), share)
    if name in ("ifd", "perplexity"):
        prompts = Renderer(lm.tokenizer, PromptSection(template="plain"))
        return losses.Scorer(kept, prompts, 80), lm
    return Judge(FORM, Local(kept, "completion", FORM, max_positions=80)), lm


def in_parts_of(rows, name, path, folder, monkeypatch, share=Share()):
    monkeypatch.setattr(tables, "BATCH", rows)
    scorer, lm = instruments(name, folder, share)
    if share.of > 1:
        return columns.measure_table(path, name, scorer, {}), lm.batches
    return columns.score_table(path, name, scorer, {}), lm.batches


by_model = pytest.mark.parametrize(
    "name", ["perplexity", "ifd", "alpagasus", "deita_quality"]
)


@by_model
def test_a_model_scores_parts_as_it_scores_the_whole(name, pool, tmp_path, monkeypatch):
    path, frame = pool
    monkeypatch.setattr("tmap.store.caching_engine.PIECE", 4)
    scorer, lm = instruments(name, tmp_path / "whole")
    whole = columns.score(frame, name, scorer, {})
    assert len(set(whole["status"])) >= 2
    assert whole["score"].nunique() > 3
    for rows in (1, 5, N, 100):
        folder = tmp_path / str(rows)
        parts, batches = in_parts_of(rows, name, path, folder, monkeypatch)
        pd.testing.assert_frame_equal(parts, whole, check_exact=True)
        assert parts.attrs["notes"] == whole.attrs["notes"]
        assert batches == lm.batches
        again, asked = in_parts_of(3, name, path, folder, monkeypatch)
        pd.testing.assert_frame_equal(again, whole, check_exact=True)
        assert len(asked) <= sum(whole["status"] == "failed")  # nothing else is asked


@by_model
def test_shares_of_parts_are_together_the_whole(name, pool, tmp_path, monkeypatch):
    path, frame = pool
    monkeypatch.setattr("tmap.store.caching_engine.PIECE", 4)
    scorer, lm = instruments(name, tmp_path / "whole")
    whole = columns.score(frame, name, scorer, {})
    seen = []
    for shard in (1, 0, 2):
        share = (path, tmp_path / "shares", monkeypatch, Share(shard, 3))
        seen += in_parts_of(5, name, *share)[1]
    assert sorted(seen) == sorted(lm.batches)
    found, _ = in_parts_of(5, name, path, tmp_path / "shares", monkeypatch)
    pd.testing.assert_frame_equal(found, whole, check_exact=True)


PEAK = """
import re, sys
from pathlib import Path
sys.path[:0] = ["benchmarks", "tests/support"]
import scale
from tmap.artifacts import tables
from tmap.search.demonstrations import Texts
tables.BATCH = 500
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
stage, folder = sys.argv[1], Path(sys.argv[2])
if stage == "search":
    texts = Texts(tables.batches("pool", folder / "pool.parquet"))
    assert texts[len(texts) - 1].answer
else:
    scale.run_stage(stage, folder)
print(peak() * 1024)
"""


#: Freed memory is returned at once, so the peak is what was held.
FREED = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}


@pytest.fixture(scope="module")
def long_texts(tmp_path_factory):
    """{rows: (folder of a pool with answers of 4,000 characters, bytes of text)}"""
    found = {}
    for n in (1_000, 12_000):
        folder = tmp_path_factory.mktemp(f"long{n}")
        words = [f"{i} apples and {i * i} pears are {i + i * i}. " for i in range(n)]
        frame = pd.DataFrame(
            {
                "sample_id": [f"s{i:05d}" for i in range(n)],
                "instruction": words,
                "input": "",
                "response": [text * (4000 // len(text)) for text in words],
                "turns": None,
                "source": "test",
                "text_hash": [f"{i:016x}" for i in range(n)],
            }
        )
        tables.write("pool", frame, folder / "pool.parquet", code="test")
        found[n] = folder, int(frame["response"].str.len().sum())
    return found


@pytest.mark.parametrize("stage", ["output_length", "model", "shard", "search"])
def test_memory_does_not_grow_with_the_texts(stage, long_texts):
    """The peak grows by less than 0.4 of the text; all rows at once take twice the text."""
    peaks = []
    for folder, _ in long_texts.values():
        done = subprocess.run(
            [sys.executable, "-c", PEAK, stage, str(folder)],
            cwd=ROOT,
            env={**os.environ, **FREED},
            check=True,
            text=True,
            capture_output=True,
        )
        peaks.append(int(done.stdout))
    (_, less), (_, more) = long_texts.values()
    assert peaks[1] - peaks[0] < 0.4 * (more - less)


@pytest.mark.workflow
def test_four_tasks_four_models_fifteen_methods_are_planned(tmp_path):
    clone = Clone.make(tmp_path / "clone")
    cards = clone.path / "mine/methods"
    cards.mkdir(parents=True)
    more = [f"tmap_{i}" for i in range(11)]
    for i, name in enumerate(more):
        (cards / f"{name}.yaml").write_text(
            f"extends: tmap\nsearch: {{n_groups: {i + 1}}}\n"
        )
    config = {
        "cards": ["mine"],
        "methods": ["base", "random", "uniform", "tmap", *more],
        "seeds": 3,
        "targets": [
            f"results/{dataset}/{model}/metrics.json"
            for dataset in ("gsm8k", "arc_c", "musr", "gpqa")
            for model in ("llama3", "mistral", "llama2_13b", "qwen2_5")
        ],
    }
    (clone.path / "mine/config.json").write_text(json.dumps(config))
    plan = ["snakemake", "-n", "--quiet", "rules", "--profile", "profiles/local"]
    out = clone.run(*plan, "--configfile", "mine/config.json")
    counts = dict(line.split() for line in out.splitlines() if len(line.split()) == 2)
    assert counts["collect_metrics"] == "16"
    assert counts["search_weights"] == str(16 * 12)  # one search per learned method
    # base once; random and learned and uniform with three training seeds each
    assert counts["evaluate_adapter"] == str(16 * (1 + 14 * 3))

"""Several processes that each hold the model: the answers of one, in float32."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from copy import copy
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from tmap import engines
from tmap.cards.model import EngineSection, ModelCard
from tmap.engines import workers
from tmap.engines.workers import Workers
from tmap.errors import TmapError


def ids(*lengths: int, seed: int = 0) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(5, 300, n).tolist() for n in lengths]


@pytest.fixture(scope="module")
def pair(tiny_llama):
    """(one process, two processes) of the same weights."""
    one = engines.load(tiny_llama, EngineSection(batch_size=4))
    return one, engines.load(tiny_llama, EngineSection(batch_size=4, data_parallel=2))


@pytest.mark.parametrize("lengths", [(40, 3, 12, 7), (9, 14), (20,), (5, 1, 30)])
def test_answers_are_those_of_one_process(pair, lengths):
    """Four and two groups are dealt by group, one and three by question."""
    prefixes, questions = ids(*lengths), ids(1, 9, 4, 17, 2, seed=1)
    found = []
    for lm in pair:
        before = copy(lm.spent)
        answers = lm.generate(prefixes, questions, max_new_tokens=12, stop=("e",))
        found.append((answers, lm.spent.since(before).new_tokens))
    assert found[0] == found[1]
    assert [len(group) for group in found[1][0]] == [5] * len(prefixes)
    assert pair[1].spent.prompt_tokens and pair[1].spent.decode_seconds > 0


@pytest.mark.parametrize("lengths", [(12, 30), (25,)])
def test_options_are_those_of_one_process(pair, lengths):
    questions, options = ids(3, 8, 5, seed=2), [ids(2, 4), ids(1, 3, 2), ids(5)]
    one, two = (lm.option_nll(ids(*lengths), questions, options) for lm in pair)
    for ours, theirs in zip(one, two, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert b == pytest.approx(a, abs=1e-4)


def test_measurements_of_rows_are_those_of_one_process(pair):
    prompts, answers = ids(5, 0, 9, 14, 2), ids(3, 4, 1, 6, 8, seed=3)
    one, two = (lm.answer_nll(prompts, answers) for lm in pair)
    np.testing.assert_allclose(two[0], one[0], atol=1e-4)
    assert two[1].tolist() == one[1].tolist()
    one, two = (lm.digit_logits(ids(4, 7, 3), [10, 11]) for lm in pair)
    np.testing.assert_allclose(two, one, atol=1e-4)
    one, two = (lm.attention(ids(6, 9, 4), ids(3, 2, 5), 1) for lm in pair)
    for ours, theirs in zip(one, two, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-5)


def test_a_single_row_and_no_row_are_answered(pair):
    several = pair[1]
    assert several.generate(ids(5), [[7, 8]], max_new_tokens=3)[0][0]
    assert several.generate([], [[7]], max_new_tokens=3) == []
    assert several.answer_nll([], [])[0].shape == (0,)


def test_the_rows_of_all_processes_are_the_batch(pair):
    several = pair[1]
    assert several.batch_size == 8
    several.batch_size = 5  # what a ledger began with
    assert several.batch_size == 4
    several.generate(ids(5), ids(3, 4), max_new_tokens=2)
    assert several.batch_size == 4
    several.batch_size = 8


def test_the_key_says_how_many_share(pair):
    one, several = (lm.key.split("|") for lm in pair)
    differ = [(a, b) for a, b in zip(one, several, strict=True) if a != b]
    assert differ == [("batch4", "batch4x2")]
    assert (pair[1].context, pair[1].n_layers) == (pair[0].context, pair[0].n_layers)


def test_a_fault_in_a_process_is_told_in_its_words(pair):
    with pytest.raises(TmapError, match="leaves no room in the model's context"):
        pair[1].generate(ids(3, 10_000), ids(3, 4), max_new_tokens=2)
    assert pair[1].generate(ids(3, 4), ids(3), max_new_tokens=2)  # and it continues


def test_a_process_that_is_killed_ends_the_job_in_a_sentence(tiny_llama):
    lm = Workers(tiny_llama, EngineSection(data_parallel=2), None, "key")
    victim, other = lm._processes
    os.kill(victim.pid, signal.SIGKILL)
    with pytest.raises(TmapError, match=r"ended \(exit code -9: killed.* continues"):
        lm.generate(ids(3, 4), ids(3), max_new_tokens=2)
    other.join(20)
    assert not other.is_alive()


def test_a_model_that_does_not_load_is_told_once(tiny_llama):
    record = {**tiny_llama, "path": str(Path(tiny_llama["path"]) / "absent")}
    record["source"] = "nowhere"
    with pytest.raises(TmapError):
        engines.load(record, EngineSection(data_parallel=2))


def test_each_process_has_a_gpu_of_those_that_the_job_sees(monkeypatch):
    monkeypatch.setattr(workers, "settle", lambda engine: ("cuda", "bfloat16"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5,7")
    engine = EngineSection(data_parallel=2)
    named = [place["CUDA_VISIBLE_DEVICES"] for place in workers._places(engine)]
    assert named == ["2", "5"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(TmapError, match="data_parallel: 2, but this job sees 1 GPU;"):
        workers._places(engine)


def test_an_engine_that_spreads_otherwise_cannot_be_shared_out_too():
    with pytest.raises(ValidationError, match="device_map spreads one model"):
        EngineSection(data_parallel=2, device_map="auto")
    server = {"url": "http://127.0.0.1:1/v1", "model": "m"}
    with pytest.raises(ValidationError, match="a server has processes of its own"):
        EngineSection(name="server", server=server, data_parallel=2)


@pytest.mark.parametrize(("n", "gpu", "asked"), [(1, 1, 1), (4, 1, 4), (4, 0, 0)])
def test_searches_ask_for_a_gpu_per_process(n, gpu, asked):
    engine = {"data_parallel": n}
    card = ModelCard(source={"path": "x"}, engine=engine, resources={"gpu": gpu})
    assert (card.gpus_to_answer(), card.gpus_to_train()) == (asked, gpu)


JOB = """
import json, os, signal, sys
from tmap.cards.model import EngineSection
from tmap.engines.workers import Workers
lm = Workers(json.loads(sys.argv[1]), EngineSection(data_parallel=2), None, "key")
print(*(process.pid for process in lm._processes), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_whose_parent_is_gone_ends(tiny_llama):
    """Killed with -9, a job leaves no process on its GPUs."""
    job = [sys.executable, "-c", JOB, json.dumps(tiny_llama)]
    # A process left behind would keep its output open, and be waited for.
    done = subprocess.run(job, text=True, stdout=subprocess.PIPE, timeout=240)
    assert done.returncode == -signal.SIGKILL
    left = [Path(f"/proc/{pid}/stat") for pid in done.stdout.split()]
    assert len(left) == 2
    end = time.monotonic() + 30
    while any(map(is_running, left)):
        assert time.monotonic() < end
        time.sleep(0.1)


def is_running(stat):
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False

"""kill -9 at any point of the search: the same trace as if nothing had happened."""

import json
import os
import signal
import subprocess
import time

import pandas as pd
import pytest

from clones import Clone
from tmap.artifacts import tables

pytestmark = pytest.mark.workflow

#: The model chooses an option, so that rewards vary even with random weights.
ROOM = "results/demo_mc/random_llama/tmap/s0"
TRACE = f"{ROOM}/trace.parquet"

#: Put on PYTHONPATH: dies with its process group inside the n-th write to the ledger,
#: with half of the line on disk.
TRAP = """
import os, signal
n = int(os.environ.get("DIE_IN_LEDGER_WRITE", "0"))
write = os.write

def trap(file, data):
    global n
    if n and bytes(data[:8]) == b'{"type":':
        n -= 1
        if n == 0:
            write(file, data[: len(data) // 2])
            os.killpg(0, signal.SIGKILL)
    return write(file, data)

if n:
    os.write = trap
"""


@pytest.fixture(scope="module")
def clone(finished_clone) -> Clone:
    return finished_clone


@pytest.fixture(scope="module")
def uninterrupted(clone) -> pd.DataFrame:
    trace = resume(clone)
    assert trace["reward"].nunique() > 3
    return trace


def forget_the_search(clone: Clone) -> None:
    for name in ("trace.parquet", "timings.parquet", "weights.json", "ledger.jsonl"):
        (clone.path / ROOM / name).unlink(missing_ok=True)


def start(clone: Clone, **env: str) -> subprocess.Popen:
    """Snakemake with its jobs in a process group of their own."""
    command = ["snakemake", "--profile", "profiles/local", "--cores", "2"]
    command += ["--configfile", "world/config.yaml", "--", TRACE]
    return subprocess.Popen(
        command,
        cwd=clone.path,
        env=clone.env | env,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def lines(clone: Clone) -> int:
    path = clone.path / ROOM / "ledger.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def resume(clone: Clone) -> pd.DataFrame:
    clone.snakemake("--unlock", "--", TRACE)  # what a killed Snakemake leaves behind
    clone.snakemake("--", TRACE)
    return tables.read("trace", clone.path / TRACE)


def no_answer_was_asked_twice(clone: Clone) -> bool:
    text = (clone.path / ROOM / "ledger.jsonl").read_text()
    records = [json.loads(line) for line in text.splitlines()]
    keys = [r["key"] for r in records if r["type"] == "answers"]
    return len(keys) == len(set(keys)) > 0


@pytest.mark.parametrize("n_lines", [3, 12])
def test_a_kill_between_evaluations_changes_nothing(clone, uninterrupted, n_lines):
    forget_the_search(clone)
    process = start(clone)
    deadline = time.monotonic() + 300
    while lines(clone) < n_lines and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert n_lines <= lines(clone)
    assert not (clone.path / TRACE).exists()
    pd.testing.assert_frame_equal(resume(clone), uninterrupted, check_exact=True)
    assert no_answer_was_asked_twice(clone)


def test_a_kill_in_the_middle_of_a_ledger_write_changes_nothing(
    clone, uninterrupted, tmp_path
):
    forget_the_search(clone)
    (tmp_path / "sitecustomize.py").write_text(TRAP)
    path = f"{tmp_path}:{clone.env['PYTHONPATH']}"
    start(clone, PYTHONPATH=path, DIE_IN_LEDGER_WRITE="7").wait(timeout=300)
    ledger = (clone.path / ROOM / "ledger.jsonl").read_bytes()
    assert not ledger.endswith(b"\n")
    pd.testing.assert_frame_equal(resume(clone), uninterrupted, check_exact=True)
    assert no_answer_was_asked_twice(clone)

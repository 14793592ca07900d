"""The profile on a real Slurm, and what clusters do to jobs. These tests run last."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest

import cluster
from cluster import TARGET, finish, job_of, start, until
from tmap.jobs import attempts

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(cluster.missing()), reason=cluster.missing() or "-"),
]
ROOM = "results/demo/random_llama/tmap/s0"
TRACE = f"{ROOM}/trace.parquet"
SEARCH_LOG = "results/logs/search_weights/demo/random_llama/tmap/s0.log"
IFD = "results/demo/indicators/ifd.parquet"
PERPLEXITY = "results/demo/random_llama/indicators/perplexity.parquet"


#: Shards that share an allocation, as the profile offers it.
GROUPED = (
    *("--groups", "measure_shard=shards", "--group-components", "shards=2"),
    *("--set-resource-scopes", "gpu=local", "mem_mb=local"),
    *("--resources", "gpu=1", "mem_mb=4000"),
)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A cluster; an earlier one had daemons with these process ids."""
    left = tmp_path_factory.mktemp("left")
    subprocess.run([cluster.SCRIPT, "up", left], check=True, timeout=60)
    daemons = [int(path.read_text()) for path in (left / "run").glob("*.pid")]
    with cluster.running(tmp_path_factory.mktemp("slurm")):
        yield daemons


@pytest.fixture(scope="module")
def built(slurm, tmp_path_factory):
    """The target built by one machine, while the cluster builds it, too."""
    here = cluster.small_world(tmp_path_factory.mktemp("local") / "clone")
    there = cluster.small_world(tmp_path_factory.mktemp("remote") / "clone")
    process = start(there, TARGET, WITNESS=str(there.path / "seen"))
    try:
        here.snakemake("--", TARGET, cores=1)
    finally:
        finish(there, process)
    return here, there


@pytest.fixture(scope="module")
def local(built):
    return built[0]


@pytest.fixture(scope="module")
def remote(built):
    return built[1]


@pytest.fixture(scope="module")
def sharded(slurm, tmp_path_factory):
    """A clone in which two jobs share the measuring of columns; nothing is built yet."""
    clone = cluster.small_world(tmp_path_factory.mktemp("sharded") / "clone")
    with open(clone.path / "world/cards/datasets/demo.yaml", "a") as card:
        card.write("shards: 2\n")
    return clone


def forget(clone, *names):
    for name in names:
        (clone.path / name).unlink(missing_ok=True)


def forget_the_search(clone):
    names = ("trace.parquet", "timings.parquet", "weights.json", "ledger.jsonl")
    forget(clone, *(f"{ROOM}/{name}" for name in names))


def answers(clone):
    path = clone.path / ROOM / "ledger.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def nothing_was_asked_twice(clone):
    keys = [r["key"] for r in answers(clone) if r["type"] == "answers"]
    return len(keys) == len(set(keys)) > 0


def stored(store):
    """(key, reply) of every row in a store."""
    parts = [pd.read_parquet(path) for path in store.rglob("part-*.parquet")]
    rows = pd.concat(parts)
    return list(zip(rows["key"], rows["reply"], strict=True))


def attempts_at(clone, log):
    return json.loads((clone.path / attempts.record_of(log)).read_text())


def kept_something(clone, log):
    is_there = (clone.path / attempts.record_of(log)).exists()
    return is_there and attempts_at(clone, log)[0]["kept"]


def same_data(one, other, name):
    return (one.path / name).read_bytes() == (other.path / name).read_bytes()


def is_alive(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # not yet waited for by its parent


def test_a_cluster_that_a_killed_run_left_goes_when_the_next_comes(slurm):
    assert len(slurm) == 5
    assert not any(map(is_alive, slurm))


def test_the_cluster_builds_what_one_machine_builds(local, remote):
    tables_there = [
        path.relative_to(local.path)
        for path in (local.path / "results").rglob("*.parquet")
        if path.name != "timings.parquet" and "store" not in path.parts
    ]
    assert len(tables_there) > 10  # the store's parts are named by the clock
    assert [n for n in tables_there if not same_data(local, remote, n)] == []
    assert same_data(local, remote, TARGET)


def test_jobs_with_a_model_see_their_gpu(remote):
    seen = {tuple(line.split()) for line in (remote.path / "seen").open()}
    assert {name for name, _ in seen} == {
        "score-indicator",
        "search-weights",
        "search-groups",
        "train-adapter",
        "evaluate-adapter",
    }
    assert {gpus for _, gpus in seen} <= {"0", "1"}


def test_a_node_that_goes_down_costs_the_search_nothing_but_time(local, remote):
    forget_the_search(remote)
    process = start(remote, TRACE, SLOW_LEDGER="0.5")
    until(lambda: len(answers(remote)) > 4)
    _, node = job_of("search_weights")
    subprocess.run(
        ["scontrol", "update", f"nodename={node}", "state=down", "reason=test"],
        check=True,
    )
    try:
        finish(remote, process)
    finally:  # fails if the node has reported back by itself
        subprocess.run(["scontrol", "update", f"nodename={node}", "state=resume"])
    assert same_data(local, remote, TRACE)
    assert nothing_was_asked_twice(remote)
    lost, *_ = attempts_at(remote, SEARCH_LOG)
    assert lost["kept"] and lost["end"] is None


def test_a_cancelled_scoring_job_is_submitted_again(local, remote):
    forget(remote, IFD)
    process = start(remote, IFD)
    number, _ = until(
        lambda: job_of("score_indicator")[0] and job_of("score_indicator")
    )
    subprocess.run(["scancel", number], check=True)
    finish(remote, process)
    assert same_data(local, remote, IFD)


def test_a_search_over_its_time_goes_on_until_it_is_done(local, remote, tmp_path):
    """First Slurm ends it (it hangs), then its own clock, then it is done."""
    forget_the_search(remote)
    # The command line replaces all of the profile's, so the partition is named too.
    options = ("--set-resources", "search_weights:runtime=2")
    options += ("search_weights:slurm_partition=gpu",)
    # The clock gives an attempt 90 s: enough to load and write twice on a busy
    # machine, and too little for the 21 lines of this ledger on any.
    slow = {"SLOW_LEDGER": "5", "HANG_ONCE": str(tmp_path / "hung")}
    process = start(remote, TRACE, *options, **slow)
    finish(remote, process, seconds=1800)
    ends = [one["end"] for one in attempts_at(remote, SEARCH_LOG)]
    assert ends[0] is None and ends[-1] is None and len(ends) > 2
    assert all(end.startswith("Time is up: ") for end in ends[1:-1])
    assert same_data(local, remote, TRACE)
    assert nothing_was_asked_twice(remote)


def test_a_second_run_of_the_same_target_is_told_of_the_lock(local, remote):
    forget_the_search(remote)
    process = start(remote, TRACE, SLOW_LEDGER="2")
    until(lambda: answers(remote))
    other = subprocess.run(
        cluster.command(TRACE),
        cwd=remote.path,
        env=remote.env,
        text=True,
        capture_output=True,
        timeout=120,
    )
    assert other.returncode and "LockException" in other.stdout + other.stderr
    finish(remote, process)
    assert same_data(local, remote, TRACE)
    assert nothing_was_asked_twice(remote)


def test_a_cancelled_shard_is_measured_by_its_second_attempt(local, sharded):
    process = start(sharded, IFD, SLOW_PARTS="3")
    log = "results/logs/measure_shard/demo/ifd/1-of-2.log"
    until(lambda: kept_something(sharded, log))
    number, _ = job_of("measure_shard_wildcards_demo_ifd_1")
    subprocess.run(["scancel", number], check=True)
    finish(sharded, process)
    first, *later = attempts_at(sharded, log)
    assert first["kept"] and first["end"] is None and later
    assert same_data(local, sharded, IFD)
    keys = [key for key, _ in stored(sharded.path / "results/store")]
    assert len(keys) == len(set(keys)) > 0


def test_two_runs_of_different_targets_share_a_store(local, remote, sharded, tmp_path):
    forget(remote, PERPLEXITY)
    forget(sharded, IFD)
    store = {"TMAP_STORE": str(tmp_path / "store")}
    runs = [
        (remote, start(remote, PERPLEXITY, **store)),
        (sharded, start(sharded, IFD, *GROUPED, **store)),
    ]
    *_, said = [finish(clone, process) for clone, process in runs]
    assert same_data(local, remote, PERPLEXITY)
    assert same_data(local, sharded, IFD)
    found = stored(tmp_path / "store")
    # Both may have measured the same thing at the same time; then they agree.
    assert len(dict(found)) == len(set(found)) > 0
    assert "group_shards_measure_shard" in said  # one job of Slurm for both shards

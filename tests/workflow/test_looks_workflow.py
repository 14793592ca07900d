"""Runs are added look by look until the primary claim is decided: the checkpoints.

On the finished small world, with looks of one and two runs: two runs allow no verdict, so
every look is taken. `tests/comparison/test_claims.py` tests when a claim is decided.
"""

import json
import shutil

import pytest

from clones import TARGET, Clone, jobs, rules_of

pytestmark = pytest.mark.workflow

CONFIG = """
methods: [random, uniform]
verdict:
  primary: [uniform]
  sequential: true
  method: [1, 2]
  random: [1, 2]
  spend: [0.5, 0.5]
"""
ROOM = "results/demo/random_llama"


@pytest.fixture(scope="module")
def planned(finished_clone, tmp_path_factory):
    own = tmp_path_factory.mktemp("looks") / "clone"
    shutil.copytree(finished_clone.path, own, symlinks=True)
    config = own / "world/config.yaml"
    lines = config.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("methods:")]
    config.write_text("\n".join(kept) + CONFIG)
    return Clone.at(own)


def test_looks_are_taken_one_by_one_and_only_then_more_runs_are_made(planned):
    before = planned.snakemake("-n", "--", TARGET)
    assert "checkpoint take_look:" in before
    assert "train_adapter" not in rules_of(jobs(before))

    planned.snakemake("--", TARGET)

    look = json.loads((planned.path / ROOM / "looks/0.json").read_text())
    assert not look["decided"] and look["runs"] == {"random": 1, "uniform": 1}
    assert not (planned.path / ROOM / "looks/1.json").exists()  # the last look
    metrics = json.loads((planned.path / TARGET).read_text())
    assert {n: m["n_seeds"] for n, m in metrics["methods"].items()} == {
        "random": 2,
        "uniform": 2,
    }
    assert metrics["statistics"]["plan"]["looks"] == [[1, 1, 0.5], [2, 2, 0.5]]


def test_a_run_that_was_stopped_goes_on_from_the_look_that_it_had_taken(planned):
    (planned.path / TARGET).unlink()
    last = planned.path / ROOM / "uniform/s0/t1/predictions.parquet"
    last.unlink()
    out = planned.snakemake("-n", "--", TARGET)
    assert rules_of(jobs(out)) >= {"evaluate_adapter", "collect_metrics"}
    assert "take_look:" not in out
    assert "train_adapter" not in rules_of(jobs(out))

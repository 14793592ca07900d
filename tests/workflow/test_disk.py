"""What stays on disk: `keep:` in the config, and make targets that print sizes first."""

import os
import re
import shutil
import subprocess

import pytest

from clones import Clone
from project import ROOT

RUN = "results/toy/small/random/s0/t0"
PLACES = {
    "store": "results/store",
    "checkpoints": f"{RUN}/checkpoints",
    "adapters": f"{RUN}/adapter",
}


@pytest.fixture
def make(tmp_path):
    """Run a target of the Makefile in a folder with a store, checkpoints and an adapter."""
    for place in PLACES.values():
        (tmp_path / place / "0123").mkdir(parents=True)
        (tmp_path / place / "0123" / "file").write_bytes(b"x" * 50_000)
    (tmp_path / RUN / "train.json").write_text("{}")
    env = {key: text for key, text in os.environ.items() if key != "TMAP_STORE"}

    def run(*words, answer=""):
        done = subprocess.run(
            ["make", "--no-print-directory", "-f", str(ROOT / "Makefile"), *words],
            cwd=tmp_path,
            env=env,
            input=answer,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout

    run.there = lambda: {name for name in PLACES if (tmp_path / PLACES[name]).exists()}
    return run


def test_du_names_the_size_of_each_kind_of_ballast(make):
    _, said = make("du")

    for name in PLACES:
        (kilobytes,) = re.findall(rf"^([0-9.]+)K\t{name} \(1 folders\)$", said, re.M)
        assert 50 <= float(kilobytes) <= 80


@pytest.mark.parametrize("name", PLACES)
def test_clean_says_what_it_removes_and_leaves_the_rest(make, name):
    status, said = make(f"clean-{name}", "YES=1")

    assert status == 0
    assert re.search(rf"^[0-9.]+K\t{re.escape(PLACES[name])}$", said, re.M)
    assert make.there() == set(PLACES) - {name}


@pytest.mark.parametrize(
    ("answer", "removed"), [("y\n", True), ("n\n", False), ("", False)]
)
def test_without_yes_it_asks_after_the_sizes(make, answer, removed):
    status, said = make("clean-adapters", answer=answer)

    assert "adapters (1 folders)" in said
    assert (status == 0) == removed
    assert ("adapters" not in make.there()) == removed


def test_nothing_to_remove_is_said_and_not_asked(make):
    make("clean-store", "YES=1")

    status, said = make("clean-store")

    assert (status, said.strip()) == (0, "0\tstore (0 folders)")


@pytest.mark.workflow
def test_what_is_kept_follows_the_config_and_re_runs_nothing(finished_clone, tmp_path):
    shutil.copytree(finished_clone.path, tmp_path / "copy")
    clone = Clone(tmp_path / "copy", finished_clone.env)
    room = "results/demo/random_llama/random/s1/t1"
    target = f"{room}/predictions.parquet"
    config = clone.path / "world/config.yaml"
    kept = config.read_text()
    config.write_text(kept + "keep: {checkpoints: true, adapters: false}\n")

    clone.snakemake("--", target)

    assert {p.name for p in (clone.path / room).iterdir() if any_file(p)} == {
        "checkpoints",
        "predictions.parquet",
        "train.json",
    }
    assert clone.plan(target=target) == set()
    config.write_text(kept)
    assert clone.plan(target=target) == set()
    status = ("tmap", "status", target, "--configfile", "world/config.yaml")
    assert "are current" in clone.run(*status)


def any_file(path):
    return path.is_file() or any(p.is_file() for p in path.rglob("*"))

"""The commands `collect-metrics` and `show-metrics`, run like their rule runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import finished_runs
import tmap
from tmap.artifacts import schemas, tables
from tmap.artifacts.files import read_json, write_json

CARD = """
task: generation
pool: {path: pool.jsonl}
questions: {path: questions.jsonl}
metric: flexible
overlap: {warn_above: 0.02}
"""
INPUTS = {
    "questions": "results/toy/questions_test.parquet",
    "pool": "results/toy/pool.parquet",
    "rejected": "results/toy/pool_rejected.parquet",
    "tiny": "results/toy/tiny.parquet",
    "confirm": "results/toy/tiny.parquet",
    "model-file": "results/models/small.json",
    "accuracy-plot": "accuracy.png",
    "search-plot": "search.png",
}


def command(room, *arguments, **env):
    """Run `tmap ARGUMENTS` in the folder `room`; return what it printed."""
    library = str(Path(tmap.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "tmap", *arguments],
        cwd=room,
        env=os.environ | {"PYTHONPATH": library, "TMAP_CARDS": "cards"} | env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def collect(room, output, **env):
    inputs = INPUTS | {"output": output}
    inputs["plan"] = json.dumps(finished_runs.PLAN)
    options = [text for name, path in inputs.items() for text in (f"--{name}", path)]
    measured = read_json(room / "measured.json")
    command(room, "collect-metrics", "toy", "small", *options, "--", *measured, **env)


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A working directory in which the command has run once."""
    room = tmp_path_factory.mktemp("room")
    (room / "cards" / "datasets").mkdir(parents=True)
    (room / "cards" / "datasets" / "toy.yaml").write_text(CARD)
    asked = {"question_id": finished_runs.question_ids(40), "question": "?"}
    asked |= {"choices": None, "permutation": None, "gold": "1", "row": 0}
    about = {"code": "q", "protocol": "heldout"}
    tables.write("questions", pd.DataFrame(asked), room / INPUTS["questions"], **about)
    for kind in ("pool", "pool_rejected", "tiny"):
        frame = pd.DataFrame(columns=list(schemas.SCHEMAS[kind].columns))
        path = room / f"results/toy/{kind}.parquet"
        tables.write(kind, frame, path, code="p", overlap_share=0.03)
    write_json(room / INPUTS["model-file"], {"model": "small", "revision": "r1"})
    write_json(room / "measured.json", finished_runs.table(room, n=40))
    collect(room, "metrics.json")
    return room


def test_the_command_writes_metrics_and_figures_from_the_cards_values(room):
    found = read_json(room / "metrics.json")
    assert list(found["methods"]) == ["base", "random", "uniform", "tmap"]
    assert (found["metric"], found["n_questions"]) == ("flexible", 40)
    assert "over 2.0%" in found["warnings"][0]
    assert (room / "accuracy.png").stat().st_size > 5_000
    assert (room / "search.png").stat().st_size > 5_000


def test_the_same_files_give_the_same_bytes_under_another_hash_seed(room):
    collect(room, "again.json", PYTHONHASHSEED="7", OMP_NUM_THREADS="2")
    first = (room / "metrics.json").read_bytes()
    assert (room / "again.json").read_bytes() == first


def test_show_metrics_prints_the_table_and_its_markdown(room):
    shown = command(room, "show-metrics", "metrics.json")
    assert "against random" in shown and "tmap " in shown
    page = command(room, "show-metrics", "metrics.json", "--markdown")
    assert "| tmap | " in page

"""Two rounds of generate, select, train on the embedded world, killed and resumed."""

import os
import signal
import subprocess
import time

import pytest
import yaml

from clones import Clone
from tmap.artifacts import tables
from tmap.selection.ranking import n_selected

pytestmark = pytest.mark.workflow

ROOM = "results/arith/tiny/evoselect_rounds/s0"
TARGETS = [f"{ROOM}/t0/predictions.parquet", f"{ROOM}/README.md"]
COMMAND = ["snakemake", "--profile", "profiles/local", "--cores", "1"]
COMMAND += ["--configfile", "small.yaml", "--", *TARGETS]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone with cards for rounds of 16 candidates, killed after the first selection."""
    made = Clone.make(tmp_path_factory.mktemp("rounds") / "clone")
    own = {
        "small/datasets/arith.yaml": {
            "extends": "arith",
            "gradients": {"dim": 256, "share": 0},
        },
        "small/methods/evoselect_rounds.yaml": {
            "extends": "evoselect_rounds",
            "rounds": {"n_candidates": 16},
        },
        "small.yaml": {"cards": ["config/embedded", "small"], "methods": ["base"]},
    }
    for name, values in own.items():
        path = made.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(values))
    return made


def stamps(clone):
    return {
        path: path.stat().st_mtime_ns for path in (clone.path / ROOM).rglob("*.parquet")
    }


def replies(clone):
    parts = (clone.path / "results/store/texts").rglob("*.parquet")
    return [key for part in parts for key in tables.read("measurements", part)["key"]]


def test_a_kill_between_rounds_repeats_nothing_that_was_finished(clone):
    process = subprocess.Popen(
        COMMAND,
        cwd=clone.path,
        env=clone.env,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 600
    while not (clone.path / ROOM / "r1/chosen.parquet").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = stamps(clone)
    assert not (clone.path / TARGETS[0]).exists()
    clone.run(*COMMAND[:-3], "--unlock", "--", *TARGETS)
    clone.run(*COMMAND)

    # What was being written when it died may be made again; nothing before it may.
    last = ("subset.parquet", "chosen.parquet")
    whole = {p: t for p, t in finished.items() if p.name not in last}
    assert {p.name for p in whole} >= {"pool.parquet", "evoselect.parquet"}
    assert whole.items() <= stamps(clone).items()
    asked = replies(clone)
    assert len(asked) == len(set(asked)) > 16


def test_no_question_that_confirms_a_search_is_a_target(clone):
    room = clone.path / "results/arith"
    reward = tables.read("questions", room / "questions_reward.parquet")
    confirm = tables.read("tiny", room / "confirm.parquet")["question_id"]
    found = set(tables.read("targets", room / "targets.parquet")["question_id"])
    assert len(confirm) and found == set(reward["question_id"]) - set(confirm)


def test_both_rounds_are_chosen_from_and_trained_on(clone):
    room = clone.path / ROOM
    written = [tables.read("pool", room / f"r{n}/pool.parquet") for n in (1, 2)]
    first = tables.read("subset", room / "r1/subset.parquet")
    subset = tables.read("subset", room / "subset.parquet")
    sizes = [n_selected(0.2, len(pool)) for pool in written]
    assert len(first) == sizes[0] and len(subset) == sum(sizes)
    assert subset["sample_id"][: sizes[0]].tolist() == first["sample_id"].tolist()
    assert set(subset["sample_id"][sizes[0] :]) <= set(written[1]["sample_id"])
    assert not set(written[0]["text_hash"]) & set(written[1]["text_hash"])
    made = tables.metadata(room / "r2/gradients/candidates.parquet")["made"]
    assert any("r1/t0/adapter" in name for name in made["inputs"])
    assert len(tables.read("predictions", clone.path / TARGETS[0])) == 300
    messages = (room / "subset.messages.jsonl").read_text().splitlines()
    assert len(messages) == len(subset)

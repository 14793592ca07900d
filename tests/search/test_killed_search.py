"""kill -9 while answers are written: the search resumes and asks nothing twice."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd

import killed_search


def answers(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    found = [line for line in lines if line["type"] == "answers"]
    assert len({line["key"] for line in found}) == len(found)
    return found


def test_a_search_that_is_killed_while_it_writes_ends_as_if_it_had_not_been(
    tiny_llama, tmp_path
):
    folder = str(tiny_llama["path"])
    whole = killed_search.run(tmp_path / "whole.jsonl", folder)
    given = answers(tmp_path / "whole.jsonl")
    assert len({line["new_tokens"] for line in given}) > 1

    killed = tmp_path / "killed.jsonl"
    program = [sys.executable, killed_search.__file__, str(killed), folder, "20"]
    path = f"{Path(killed_search.loop.__file__).parents[2]}"
    end = subprocess.run(program, env=os.environ | {"PYTHONPATH": path}, check=False)
    assert end.returncode == -signal.SIGKILL
    kept = answers(killed)
    assert 0 < len(kept) < len(given)

    resumed = killed_search.run(killed, folder)
    pd.testing.assert_frame_equal(resumed.trace, whole.trace, check_exact=True)
    assert answers(killed) == given
    assert answers(killed)[: len(kept)] == kept
    hits = resumed.timings["ledger_hits"] - whole.timings["ledger_hits"]
    assert hits.sum() == len(kept)

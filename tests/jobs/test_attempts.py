"""Attempts: stop in time, resume, get more memory after a lack, give up with a reason."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tmap.errors import TmapError
from tmap.jobs import attempts
from tmap.jobs.attempts import OUT_OF_MEMORY, Attempt, Clock
from tmap.search import loop
from tmap.search.ledger import Ledger
from tmap.store.measurements import Entry, Store
from toy_search import SETTINGS, evaluate


@pytest.fixture
def now(monkeypatch):
    """A clock that the test sets, in seconds."""

    class Time:
        seconds = 1000.0

    monkeypatch.setattr(attempts.time, "monotonic", lambda: Time.seconds)
    return Time


@pytest.fixture
def record(tmp_path):
    return tmp_path / "job.attempts.json"


@pytest.fixture
def current(monkeypatch):
    """Make an attempt this process's own."""

    def take(attempt):
        monkeypatch.setattr(attempts, "_current", attempt)
        return attempt

    return take


@pytest.fixture(autouse=True)
def run(monkeypatch):
    monkeypatch.setenv(attempts.RUN, "this run")


def write(record, *ends, run="this run"):
    """A record of attempts: (kept, end) each."""
    rows = [
        {"run": run, "number": i, "process": f"node{i}", "kept": kept, "end": end}
        for i, (kept, end) in enumerate(ends, start=1)
    ]
    record.write_text(json.dumps(rows))


# The clock


@pytest.mark.parametrize(
    ("minutes", "margin"), [(0.5, 15), (1, 30), (10, 30), (60, 180), (720, 300)]
)
def test_the_margin_is_a_twentieth_within_limits(minutes, margin):
    assert Clock(minutes, 0).margin == margin


def test_time_is_short_when_another_such_step_would_touch_the_margin(now):
    clock = Clock(10, now.seconds)  # ends at 1000 + 600 - 30 = 1570
    now.seconds = 1200
    assert not clock.is_short()  # loading took 200 s, which is not a step
    now.seconds = 1300
    assert not clock.is_short()  # 1300 + 100
    now.seconds = 1435
    assert not clock.is_short()  # 1435 + 135 = 1570
    now.seconds = 1436
    assert clock.is_short()


def test_a_first_step_is_always_kept_before_time_is_up(now, record, current):
    current(Attempt(record, 1, 1))
    now.seconds += 100
    with pytest.raises(TmapError, match="Time is up: the job may take 1 minutes"):
        attempts.kept()
    assert attempts.history(record)[0]["kept"] is True


@pytest.mark.parametrize(
    ("began", "counted"), [(None, 0), (40, 40), (-5, 0), (9000, attempts.START_UP)]
)
def test_the_clock_runs_from_the_beginning_of_the_job(
    record, now, monkeypatch, began, counted
):
    monkeypatch.setattr(attempts.time, "time", lambda: 1e9)
    monkeypatch.delenv(attempts.JOB_START, raising=False)
    if began is not None:
        monkeypatch.setenv(attempts.JOB_START, str(1e9 - began))
    # 10 minutes from 1000 s, less what has passed and a margin of 30 s
    assert Attempt(record, 1, 10).clock.end == 1000 - counted + 600 - 30


# Whether to try again


@pytest.mark.parametrize("number", [1, 2])  # the first may be lost before it begins
def test_another_run_begins_anew(record, number):
    write(record, (False, "A fault."), run="an earlier run")
    Attempt(record, number, 60)
    (one,) = json.loads(record.read_text())
    assert (one["number"], one["kept"], one["end"]) == (number, False, None)


@pytest.mark.parametrize(
    "ends",
    [
        [(True, "Time is up.")],
        [(True, "A fault.")],
        [(True, None)],
        [(False, None)],  # a node may fail at once
        [(False, OUT_OF_MEMORY)],
        [(False, None), (True, None), (False, None)],
        [(False, OUT_OF_MEMORY)] * 4,  # 2, 4, 8, and now 16 times as much
        [(False, OUT_OF_MEMORY), (False, None)],
        [(False, None), (False, OUT_OF_MEMORY)],
    ],
)
def test_it_goes_on_while_there_is_hope(record, ends):
    write(record, *ends)
    Attempt(record, len(ends) + 1, 60)
    assert len(attempts.history(record)) == len(ends) + 1


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        (
            [(False, "No such card.")],
            "attempt 1 made no progress. It reported: No such card.",
        ),
        ([(True, "A."), (False, "B.")], "attempt 2 made no progress. It reported: B."),
        ([(False, None), (False, None)], "2 in a row ended without a message"),
        ([(False, None), (False, None)], "out of memory, or their node failed"),
        ([(False, OUT_OF_MEMORY)] * 5, "raise `resources: mem_mb`"),
    ],
)
def test_it_ends_at_once_after_one_that_kept_nothing(record, ends, words):
    write(record, *ends)
    for number in (len(ends) + 1, len(ends) + 2):  # and so do all that follow
        with pytest.raises(TmapError, match="was not started") as fault:
            Attempt(record, number, 60)
        assert words in str(fault.value)
        assert len(attempts.history(record)) == len(ends)


def test_a_spent_budget_is_not_spent_again_by_the_next_attempt(record, current):
    current(Attempt(record, 1, 60)).kept()
    attempts.ended("The judge's budget is spent: 5 of 5 requests.", final=True)
    for number in (2, 3):
        with pytest.raises(
            TmapError, match="attempt 1 reported a final error: The judge"
        ):
            Attempt(record, number, 60)
    assert len(json.loads(record.read_text())) == 1


def test_an_attempt_taken_for_dead_stops_when_the_next_has_begun(record):
    first = Attempt(record, 1, 60)
    first._me["process"] = "another node"
    rows = attempts.history(record)
    record.write_text(json.dumps([rows[0] | {"process": "another node"}]))
    first.kept()
    second = Attempt(record, 2, 60)
    with pytest.raises(TmapError, match="took this one for dead"):
        first.kept()
    first.ended("last words of the first")
    second.kept()
    assert [one["end"] for one in attempts.history(record)] == [None, None]


def test_another_process_of_the_same_attempt_notes_what_it_keeps(
    record, current, monkeypatch
):
    current(first := Attempt(record, 3, 60))
    monkeypatch.setenv(*next(iter(attempts.share().items())))
    attempts.join()
    second = attempts._current
    assert second is not first
    assert (second.clock.end, second.clock.margin) == (first.clock.end, 180)
    attempts.kept()
    assert attempts.history(record)[0]["kept"] is True


# Memory


def test_memory_grows_only_after_it_ran_out(tmp_path):
    log = str(tmp_path / "job.log")
    record = attempts.record_of(log)
    assert attempts.memory(8000, log, 2) == 8000
    write(record, (True, "Time is up."), (True, None), (False, "A fault."))
    assert attempts.memory(8000, log, 4) == 8000
    write(record, (True, "Time is up."), (True, OUT_OF_MEMORY))
    assert attempts.memory(8000, log, 3) == 16000
    write(record, (True, OUT_OF_MEMORY), (True, OUT_OF_MEMORY))
    assert attempts.memory(8000, log, 3) == 32000
    assert attempts.memory(8000, log, 1) == 8000  # a new run asks as the card says


def test_memory_doubles_four_times_and_not_for_an_attempt_without_hope(tmp_path):
    log = str(tmp_path / "job.log")
    record = attempts.record_of(log)
    for starved, asked in [(1, 16), (2, 32), (3, 64), (4, 128), (5, 8), (6, 8)]:
        write(record, *[(False, OUT_OF_MEMORY)] * starved)
        assert attempts.memory(8000, log, starved + 1) == 1000 * asked
    write(record, *[(True, OUT_OF_MEMORY)] * 7)  # each kept something
    assert attempts.memory(8000, log, 8) == 128_000
    write(record, (False, OUT_OF_MEMORY), (False, "A fault."))
    assert attempts.memory(8000, log, 3) == 8000


CHILD = """
import os, signal, sys
from pathlib import Path
from tmap.jobs import attempts
attempts.begin(Path(sys.argv[1]), 1, 60)
attempts.kept()
print("the child's words", flush=True)
{end}
"""


@pytest.mark.parametrize(
    ("end", "code", "noted"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, OUT_OF_MEMORY),
        ("os.kill(os.getpid(), signal.SIGTERM)", 143, None),
        ("sys.exit(3)", 3, None),
        ("", 0, None),
    ],
)
def test_a_process_killed_by_the_system_ran_out_of_memory(record, end, code, noted):
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(end=end), record],
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    assert done.stdout == "the child's words\n"
    assert ("error: " in done.stderr) == (noted is not None)
    (one,) = attempts.history(record)
    assert (one["kept"], one["end"]) == (True, noted)


def test_a_job_that_is_told_to_end_ends_its_command(record):
    script = CHILD.format(end="import time; time.sleep(60)")
    process = subprocess.Popen(
        [sys.executable, "-c", script, record],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout.readline()
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(20) == -signal.SIGTERM
    assert process.stdout.read() == b""  # the child is gone: the pipe is closed


# What is kept


def test_each_line_of_a_ledger_and_part_of_a_store_counts(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(attempts, "kept", lambda: seen.append(1))
    Ledger(tmp_path / "ledger.jsonl").append({"type": "search", "search": "k"})
    assert len(seen) == 1
    store = Store("digits", {"model": "who"}, tmp_path / "store")
    store.put([])
    assert len(seen) == 1
    store.put([Entry(store.key([1]), [1], [0.0] * 6)])
    assert len(seen) == 2


def test_a_search_in_many_attempts_walks_the_path_of_one(
    tmp_path, record, now, current
):
    whole = loop.run(evaluate, 2, (0, 1), SETTINGS, 0, Ledger(tmp_path / "a"), "k")
    asked = []

    def slow(weights):
        now.seconds += 25
        asked.append(tuple(weights))
        return evaluate(weights)

    for number in range(1, 20):
        current(Attempt(record, number, 2))  # 120 s, stops 30 s before
        now.seconds += 20  # loading
        try:
            found = loop.run(slow, 2, (0, 1), SETTINGS, 0, Ledger(tmp_path / "b"), "k")
            break
        except TmapError as fault:
            assert "Time is up" in str(fault)
            attempts.ended(str(fault))
    assert 1 < number < 9
    assert found.trace.to_json() == whole.trace.to_json()


# A damaged record


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", "[{}]", '{"a": 1}', "null", '[{"run": "this run"}]']
)
def test_a_damaged_record_blocks_no_attempt(record, content, caplog):
    record.write_text(content)

    Attempt(record, 2, 60).kept()

    (one,) = attempts.history(record)
    assert (one["number"], one["kept"]) == (2, True)
    assert "is damaged" in caplog.text


def test_a_record_that_is_removed_meanwhile_is_no_other_attempt(record):
    attempt = Attempt(record, 1, 60)
    record.unlink()

    attempt.kept()
    attempt.ended("words")

    (one,) = attempts.history(record)
    assert (one["kept"], one["end"]) == (True, "words")

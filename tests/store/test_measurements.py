"""The store: every measurement once, complete or not at all."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
import tempfile

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from project import ROOT
from tmap.artifacts import tables
from tmap.errors import TmapError
from tmap.store import parts as store_parts
from tmap.store.measurements import Entry, Store

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


GPT, LLAMA = {"engine": "gpt"}, {"engine": "llama"}


def entries(store, *numbers):
    return [Entry(store.key(n), {"q": n}, n) for n in numbers]


def keys(store, *numbers):
    return [store.key(n) for n in numbers]


def found(folder, *numbers, who=GPT):
    """What a job reads that starts now."""
    store = Store("digits", who, folder)
    return list(store.get(keys(store, *numbers)).values())


def listed(folder):
    return sorted(folder.rglob("part-*.parquet"))


@given(
    st.lists(st.tuples(JSON, JSON), max_size=5, unique_by=lambda pair: repr(pair[0]))
)
@settings(max_examples=30, deadline=None)
def test_what_is_put_is_what_another_process_gets(pairs):
    with tempfile.TemporaryDirectory() as root:
        store = Store("digits", GPT, root)
        said = {store.key(request): reply for request, reply in pairs}
        store.put([Entry(name, {"q": name}, reply) for name, reply in said.items()])

        assert Store("digits", GPT, root).get(said) == said
        assert Store("replies", GPT, root).get(said) == {}


def test_a_key_says_who_and_what(tmp_path):
    gpt, llama = Store("digits", GPT, tmp_path), Store("digits", LLAMA, tmp_path)
    one, other = gpt.key("Why?"), gpt.key("How?")

    assert len(one) == 40
    assert one[:8] == other[:8] != llama.key("Why?")[:8]
    assert one[8:] != llama.key("Why?")[8:]


def test_the_name_of_a_card_is_for_people_only(tmp_path):
    one = Store("digits", {**GPT, "card": "mine"}, tmp_path)
    other = Store("digits", {**GPT, "card": "yours"}, tmp_path)
    one.put(entries(one, 1))

    assert other.get([other.key(1)]) == {other.key(1): 1}


def test_a_judge_has_one_shelf_and_one_part_per_put(tmp_path):
    store = Store("digits", GPT, tmp_path)
    store.put(entries(store, *range(50)))
    store.put(entries(store, *range(50, 60)))

    parts = listed(tmp_path)

    assert len(parts) == 2
    assert {part.parent.name for part in parts} == {store.key(0)[:2]}
    assert tables.read("measurements", parts[0]).shape[1] == 3


def test_small_parts_become_one_every_thousand_rows(tmp_path):
    store = Store("digits", GPT, tmp_path)
    counts = []
    for n in range(0, 2400, 100):
        store.put(entries(store, *range(n, n + 100)))
        counts.append(len(listed(tmp_path)))

    assert counts[:11] == [*range(1, 10), 1, 2]
    assert counts[-1] == 2 + 4
    assert found(tmp_path, *range(2400)) == list(range(2400))


def test_small_parts_become_one_every_minute(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("tmap.store.measurements.time.monotonic", lambda: now[0])
    store = Store("digits", GPT, tmp_path)
    for second in (0, 30, 59, 61):
        now[0] = float(second)
        store.put(entries(store, second))
        assert len(listed(tmp_path)) == {0: 1, 30: 2, 59: 3, 61: 1}[second]

    assert found(tmp_path, 0, 30, 59, 61) == [0, 30, 59, 61]


def test_compaction_makes_one_part_of_all_also_of_those_left_behind(tmp_path):
    for n in range(5):
        killed = Store("digits", GPT, tmp_path)
        killed.put(entries(killed, n, n + 1))
    store = Store("digits", GPT, tmp_path)

    store.compact()

    (part,) = listed(tmp_path)
    assert len(tables.read("measurements", part)) == 6
    assert found(tmp_path, *range(6)) == list(range(6))
    store.compact()
    assert listed(tmp_path) == [part]


def test_large_parts_are_not_written_again(tmp_path, monkeypatch):
    monkeypatch.setattr("tmap.store.measurements.SMALL", 1)
    for n in range(2):
        store = Store("digits", GPT, tmp_path)
        store.put(entries(store, n))
    before = listed(tmp_path)

    Store("digits", GPT, tmp_path).compact()

    assert listed(tmp_path) == before


def test_a_part_that_another_job_merges_while_it_is_read_is_found_again(
    tmp_path, monkeypatch
):
    store = Store("digits", GPT, tmp_path)
    store.put(entries(store, 1))
    store.put(entries(store, 2))
    read, calls = store_parts.read, []

    def merged_meanwhile(path, *columns):
        calls.append(path)
        if len(calls) == 1:
            Store("digits", GPT, tmp_path).compact()
        return read(path, *columns)

    monkeypatch.setattr(store_parts, "read", merged_meanwhile)
    monkeypatch.setattr("tmap.store.measurements.PAUSE", 0)
    reader = Store("digits", GPT, tmp_path)
    assert reader.get(keys(reader, 1, 2)) == dict(
        zip(keys(reader, 1, 2), (1, 2), strict=False)
    )


AT_ONCE = """
import sys
from tmap.store import measurements as store
store.ROWS = 7
job, root = int(sys.argv[1]), sys.argv[2]
shelf = store.Store("digits", {"engine": "gpt"}, root)
for n in range(job, 240, 3):
    shelf.put([store.Entry(shelf.key(n), None, n)])
    if n % 11 == 0:
        shelf.compact()
    assert len(shelf.get([shelf.key(m) for m in range(job, n + 1, 3)])) == n // 3 + 1
shelf.compact()
"""


def test_jobs_that_write_read_and_merge_at_once_lose_nothing(tmp_path):
    env = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    command = [sys.executable, "-c", AT_ONCE]
    jobs = [
        subprocess.Popen([*command, str(job), str(tmp_path)], env=env)
        for job in range(3)
    ]

    assert [job.wait() for job in jobs] == [0, 0, 0]
    assert found(tmp_path, *range(240)) == list(range(240))


def test_parts_written_later_are_seen_by_a_store_that_is_open(tmp_path):
    reader, writer = (Store("digits", GPT, tmp_path) for _ in range(2))
    assert reader.get([reader.key(1)]) == {}

    writer.put(entries(writer, 1))

    assert reader.get([reader.key(1)]) == {reader.key(1): 1}


@pytest.mark.parametrize("compact", [False, True])
def test_the_first_reply_to_a_request_stays(tmp_path, compact):
    store = Store("digits", GPT, tmp_path)
    store.put([Entry(store.key(1), None, "first")])
    store.put([Entry(store.key(1), None, "second")])
    if compact:
        store.compact()

    other = Store("digits", GPT, tmp_path)
    assert other.get([store.key(1)]) == {store.key(1): "first"}


def test_torn_and_broken_files_are_passed_over(tmp_path, caplog):
    store = Store("digits", GPT, tmp_path)
    store.put(entries(store, 7))
    (part,) = listed(tmp_path)
    torn = part.read_bytes()[:100]
    part.with_name(f".{part.name}.1.tmp").write_bytes(torn)
    broken = part.with_name("part-00000000000000000000-torn.parquet")
    broken.write_bytes(torn)

    with caplog.at_level(logging.WARNING, logger="tmap"):
        assert found(tmp_path, 7) == [7]

    assert caplog.text.count("is not readable") == 1
    store.put(entries(store, 8))
    store.compact()
    assert broken.exists()
    assert found(tmp_path, 7, 8) == [7, 8]


KILLED = """
import os, signal, sys
from tmap.store.measurements import Entry, Store
import pyarrow.parquet as pq
store = Store("digits", {"engine": "gpt"}, sys.argv[1])
for n in range(3):
    store.put([Entry(store.key(n), None, n)])
write = pq.ParquetWriter.write_table
def torn(writer, table, **how):
    write(writer, table, **how)
    os.kill(os.getpid(), signal.SIGKILL)
pq.ParquetWriter.write_table = torn
store.put([Entry(store.key(3), None, 3)])
"""


def test_a_kill_in_the_middle_of_a_write_leaves_what_was_there(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")},
    )
    assert done.returncode == -signal.SIGKILL

    assert found(tmp_path, *range(4)) == [0, 1, 2]
    store = Store("digits", GPT, tmp_path)
    store.put(entries(store, 3))
    store.compact()
    assert found(tmp_path, *range(4)) == [0, 1, 2, 3]


def test_an_environment_variable_moves_the_root(tmp_path, monkeypatch):
    monkeypatch.setenv("TMAP_STORE", str(tmp_path / "elsewhere"))

    store = Store("digits", GPT)
    store.put(entries(store, 1))

    assert (tmp_path / "elsewhere/digits").is_dir()


def test_nan_is_not_stored(tmp_path):
    store = Store("digits", GPT, tmp_path)

    with pytest.raises(ValueError, match="JSON"):
        store.put([Entry(store.key(1), None, float("nan"))])


def test_a_part_gives_requests_and_replies_and_says_who_was_asked(tmp_path):
    store = Store("replies", {**GPT, "card": "mine"}, tmp_path)
    store.put([Entry(store.key(1), {"prompt": "\0é"}, {"text": "4"})])
    (path,) = listed(tmp_path)

    part = store_parts.read(path)

    assert part.rows["request"].tolist() == ['{"prompt":"\\u0000\\u00e9"}']
    assert part.rows["reply"].tolist() == ['{"text":"4"}']
    assert part.asked == {store.key(1)[:8]: {**GPT, "card": "mine"}}


def test_a_part_whose_handle_is_stale_has_vanished(tmp_path, monkeypatch):
    store = Store("digits", GPT, tmp_path)
    store.put(entries(store, 1))
    (path,) = listed(tmp_path)

    def stale(*args, **how):
        raise OSError(errno.ESTALE, "Stale file handle")

    for name in ("read_metadata", "read_table"):
        with monkeypatch.context() as patch:
            patch.setattr(tables.pq, name, stale)
            with pytest.raises(store_parts.Vanished):
                store_parts.read(path)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("nll", [1.5, 3], [1.5]),
        ("nll", [1.5, 3], {"nll": 1.5}),
        ("texts", [1, 2], ["1"]),
        ("options", [[0.5], [1.5, 2.0]], [["x"]]),
        ("replies", {"text": "4"}, {"text": 4}),
        ("tokens", {"tokens": [["4", -0.1]]}, ["4"]),
    ],
)
def test_a_reply_of_another_form_is_a_sentence(tmp_path, kind, good, bad):
    store = Store(kind, GPT, tmp_path)
    store.put([Entry(store.key(1), None, good), Entry(store.key(2), None, bad)])

    assert store.get([store.key(1)]) == {store.key(1): good}
    with pytest.raises(TmapError, match=f"is no reply of kind '{kind}'"):
        store.get([store.key(2)])


def test_a_reply_that_is_no_json_is_asked_for_again(tmp_path, caplog):
    store = Store("digits", GPT, tmp_path)
    rows = [(store.key(1), "null", "[1, "), (store.key(2), "null", "[2]")]
    frame = pd.DataFrame(rows, columns=store_parts.COLUMNS)
    store_parts.write(store.folder, store_parts.Part(frame, {}))

    assert store.get([store.key(1), store.key(2)]) == {store.key(2): [2]}
    assert "is no JSON" in caplog.text

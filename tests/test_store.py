"""The store: every measurement once, whole or not at all."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import ROOT
from tmap import tables
from tmap.store import Entry, Store, key, read_part

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.text("0123456789abcdef", min_size=40, max_size=40), JSON, max_size=5
    )
)
@settings(max_examples=30, deadline=None)
def test_what_is_put_is_what_another_process_gets(replies):
    with tempfile.TemporaryDirectory() as root:
        Store("digits", root).put([Entry(k, {"q": k}, v) for k, v in replies.items()])

        assert Store("digits", root).get(replies) == replies
        assert Store("replies", root).get(replies) == {}


def test_a_key_says_who_and_what(tmp_path):
    one, other = key("gpt", "Why?"), key("gpt", "How?")

    assert len(one) == 40
    assert one[:8] == other[:8] != key("llama", "Why?")[:8]
    assert one[8:] != key("llama", "Why?")[8:]


def test_a_judge_has_one_shelf_and_one_part_per_put(tmp_path):
    store = Store("digits", tmp_path)
    store.put([Entry(key("gpt", n), None, n) for n in range(50)])
    store.put([Entry(key("gpt", n), None, n) for n in range(50, 60)])

    parts = list(tmp_path.rglob("*.parquet"))

    assert len(parts) == 2
    assert {part.parent.name for part in parts} == {key("gpt", 0)[:2]}
    assert tables.read("measurements", parts[0]).shape[1] == 3


def test_parts_written_later_are_seen_by_a_store_that_is_open(tmp_path):
    reader, writer = Store("digits", tmp_path), Store("digits", tmp_path)
    assert reader.get([key("a", 1)]) == {}

    writer.put([Entry(key("a", 1), None, [1.5])])

    assert reader.get([key("a", 1)]) == {key("a", 1): [1.5]}


def test_the_first_reply_to_a_request_stays(tmp_path):
    store = Store("replies", tmp_path)
    store.put([Entry(key("a", 1), None, "first")])
    store.put([Entry(key("a", 1), None, "second")])

    assert Store("replies", tmp_path).get([key("a", 1)]) == {key("a", 1): "first"}


def test_torn_and_broken_files_are_passed_over(tmp_path, caplog):
    name = key("a", 1)
    store = Store("digits", tmp_path)
    store.put([Entry(name, None, 7)])
    (part,) = tmp_path.rglob("part-*.parquet")
    torn = part.read_bytes()[:100]
    part.with_name(f".{part.name}.1.tmp").write_bytes(torn)
    part.with_name("part-00000000000000000000-torn.parquet").write_bytes(torn)

    with caplog.at_level(logging.WARNING, logger="tmap"):
        found = Store("digits", tmp_path).get([name])

    assert found == {name: 7}
    assert caplog.text.count("is not readable") == 1


KILLED = """
import os, signal, sys
from tmap.store import Entry, Store, key
import pyarrow.parquet as pq
store, write = Store("digits", sys.argv[1]), pq.write_table
for n in range(3):
    store.put([Entry(key("a", n), None, n)])
def torn(table, path, **how):
    write(table, path)
    os.truncate(path, 50)
    os.kill(os.getpid(), signal.SIGKILL)
pq.write_table = torn
store.put([Entry(key("a", 3), None, 3)])
"""


def test_a_kill_in_the_middle_of_a_write_leaves_what_was_there(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")},
    )
    assert done.returncode == -signal.SIGKILL
    keys = [key("a", n) for n in range(4)]

    store = Store("digits", tmp_path)

    assert store.get(keys) == dict(zip(keys, range(3), strict=False))
    store.put([Entry(keys[3], None, 3)])
    assert store.get(keys)[keys[3]] == 3


def test_an_environment_variable_moves_the_root(tmp_path, monkeypatch):
    monkeypatch.setenv("TMAP_STORE", str(tmp_path / "elsewhere"))

    Store("digits").put([Entry(key("a", 1), None, 1)])

    assert (tmp_path / "elsewhere/digits").is_dir()


def test_nan_is_not_stored(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        Store("digits", tmp_path).put([Entry(key("a", 1), None, float("nan"))])


def test_a_part_gives_requests_and_replies(tmp_path):
    Store("replies", tmp_path).put(
        [Entry(key("a", 1), {"prompt": "\0é"}, {"text": "4"})]
    )
    (part,) = tmp_path.rglob("part-*.parquet")

    assert read_part(part) == [('{"prompt":"\\u0000\\u00e9"}', '{"text":"4"}')]

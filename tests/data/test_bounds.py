"""A small file may not grow without limit when it is read."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tmap.data.sources import bounds, files
from tmap.errors import TmapError

ROW = json.dumps({"question": "q", "answer": "a"}).encode() + b"\n"


def rows(path):
    return list(files.reader(path, str(path))(path, str(path)))


def zstd(data):
    return pa.compress(data, codec="zstd", asbytes=True)


@pytest.mark.parametrize(
    ("ending", "pack"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", zstd),
    ],
)
@pytest.mark.parametrize("content", [ROW * 60_000, b"[" + b" " * 2_000_000 + b"]"])
def test_a_bomb_is_refused_while_it_is_unpacked(
    tmp_path, monkeypatch, ending, pack, content
):
    monkeypatch.setattr(bounds, "FREE", 2**20)
    name = "rows.json" if content[:1] == b"[" else "rows.jsonl"
    path = tmp_path / (name + ending)
    path.write_bytes(pack(content))

    with pytest.raises(TmapError, match="over 200 times its size"):
        rows(path)


def test_a_compressed_file_that_grows_little_is_read(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(ROW * 500))

    assert len(rows(path)) == 500


def test_a_line_that_is_too_long_is_one_broken_row(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "LINE", 100)
    path = tmp_path / "rows.jsonl"
    long = json.dumps({"question": "q" * 500, "answer": "a"}).encode()
    path.write_bytes(ROW + long + b"\n" + ROW + long)

    found = rows(path)

    assert [row.number for row in found] == [0, 1, 2, 3]
    assert [row.fault is None for row in found] == [True, False, True, False]
    assert found[1].fault.startswith("a line longer than")


def test_a_line_of_exactly_the_limit_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "LINE", len(ROW))
    path = tmp_path / "rows.jsonl"
    path.write_bytes(ROW * 3)

    assert [row.fault for row in rows(path)] == [None] * 3


@pytest.mark.parametrize(
    "text", ['a,b\n1,"' + "x" * 500 + '"\n', 'a,b\n1,"' + "x\n" * 300]
)
def test_a_cell_of_a_table_has_a_limit(tmp_path, monkeypatch, text):
    monkeypatch.setattr(bounds, "LINE", 100)
    path = tmp_path / "rows.csv"
    path.write_text(text)
    before = csv.field_size_limit()

    with pytest.raises(TmapError, match=r"longer than|field larger than"):
        rows(path)
    assert csv.field_size_limit() == before  # other readers of the process keep theirs


def test_a_json_document_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "DOCUMENT", 10)
    path = tmp_path / "rows.json"
    path.write_text('[{"question": "q"}]')

    with pytest.raises(TmapError, match="one JSON document of more than"):
        rows(path)


def test_a_text_repeated_by_a_dictionary_takes_memory_once(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "LINE", 2**20)
    path = tmp_path / "rows.parquet"
    text = "x" * 2**18
    table = pa.table({"question": pa.array([text] * 2000).dictionary_encode()})
    pq.write_table(table.cast(pa.schema([("question", pa.string())])), path)
    assert path.stat().st_size < 2**20

    reader = files.reader(path, "rows.parquet")(path, "rows.parquet")
    tracemalloc.start()
    n = sum(len(row.value["question"]) for row in reader)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert n == 2000 * 2**18  # 500 MiB of text
    assert peak < 2**24


def test_a_dictionary_that_repeats_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "FREE", 2**20)
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"question": ["x" * 2**14] * 5000}), path)

    with pytest.raises(TmapError, match="over 200 times its size"):
        rows(path)


def test_rows_of_nothing_count_too(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "FREE", 2**16)
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"question": pa.nulls(100_000, pa.string())}), path)

    with pytest.raises(TmapError, match="over 200 times its size"):
        rows(path)


def test_what_dictionaries_hold_is_read_as_it_is(tmp_path):
    path = tmp_path / "rows.parquet"
    values = [
        {"q": "a", "c": ["x", "y"], "n": 1, "t": {"role": "user"}},
        {"q": None, "c": [], "n": None, "t": None},
        {"q": "a", "c": ["x"], "n": 3, "t": {"role": None}},
    ]
    pq.write_table(pa.Table.from_pylist(values), path)

    assert [row.value for row in rows(path)] == values

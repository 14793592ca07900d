"""Pools: files that are not there, not readable, or not instruction data."""

from __future__ import annotations

import gzip
import json
from functools import partial
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from cases import Case, Room
from tmap import cards
from tmap.cards.dataset import PoolSource
from tmap.data import pool
from tmap.data.overlap import question_ngrams

GOOD = {"instruction": "Add 1 and 2.", "output": "3"}
QUESTION = "one two three four five six seven eight nine ten eleven twelve thirteen"


def read(path: str, asked: list[str] | None = None, **source: Any) -> None:
    names = [f"q{i}" for i in range(len(asked or []))]
    grams = question_ngrams(names, asked or [], 13)
    pool.read("mine", PoolSource(path=path, **source), grams)


def of_file(room: Room, name: str, text: str | bytes, **source: Any) -> None:
    read(room.write(name, text), **source)


def of_rows(room: Room, rows: list[Any], **source: Any) -> None:
    read(room.jsonl(rows), **source)


def of_folder(room: Room) -> None:
    (room.path / "pool.jsonl").mkdir()
    read("pool.jsonl")


PAIR = {"question": "Which?", "answer": "B"}


def of_options(names: str, pair: dict[str, str] = PAIR) -> Case:
    """Question and answer next to columns that only questions with options have."""
    form = "qa" if "question" in pair or "prompt" in pair else "alpaca"
    return Case(
        f"options under {names} next to {' and '.join(pair)}",
        partial(of_rows, rows=[{**pair, **dict.fromkeys(names.split(","), "x")}]),
        f"columns of questions with options ({names.replace(',', ', ')})",
        f"`format: auto` does not read it as '{form}'",
        "Set `pool.format: multiple_choice`",
    )


def of_files(room: Room, path: str, *names: str) -> None:
    for name in names:
        (room.path / name).parent.mkdir(parents=True, exist_ok=True)
        (room.path / name).write_bytes(b"")
    read(path)


def of_one_split(room: Room) -> None:
    datasets.DatasetDict({"more": datasets.Dataset.from_list([GOOD])}).save_to_disk(
        str(room.path / "saved")
    )
    read("saved")


def turn(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def disguised(name: str, content: bytes, what: str) -> Case:
    return Case(
        f"{what} named {name}",
        partial(of_file, name=name, text=content),
        f"'{name}' is {what}, but its name ends in",
        "by which it is read",
        "Give it the ending of what it is",
    )


def pointer(name: str) -> Case:
    text = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    return Case(
        f"a pointer of Git LFS named {name}",
        partial(of_file, name=name, text=text),
        f"'{name}' is a pointer of Git LFS",
        "the file's content, which is needed",
        "Run `git lfs pull`",
    )


def address(path: str) -> Case:
    return Case(
        f"an address in place of a path: {path.partition(':')[0]}",
        lambda room: read(path),
        f"begins with '{path.partition('//')[0]}//' is an address",
        "must name a local file",
        "Write `url:` and `sha256:`",
    )


def several_lines(name: str, text: str) -> Case:
    return Case(
        f"JSON over several lines in {name}",
        partial(of_file, name=name, text=text),
        f"'{name}' has JSON over several lines",
        "one object per line",
        "Rename it to .json",
    )


def of_table(room: Room, columns: list[tuple[str, pa.Array]]) -> None:
    names, arrays = zip(*columns, strict=True)
    pq.write_table(pa.Table.from_arrays(arrays, names=names), room.path / "a.parquet")
    read("a.parquet")


def odd_column(what: str, column: pa.Array) -> Case:
    texts = [(name, pa.array([name])) for name in ("instruction", "output")]
    return Case(
        f"a column that Python cannot have: {what}",
        partial(of_table, columns=[*texts, ("when", column)]),
        "'a.parquet' has a value under 'when' that cannot be read",
        "with text in its place",
        "Write it again without that column",
    )


CASES = [
    odd_column("a date far away", pa.array([2**62], pa.timestamp("us"))),
    odd_column("a zone that nobody knows", pa.array([1], pa.timestamp("s", "Foo/Bar"))),
    odd_column(
        "two fields of one name",
        pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]),
    ),
    odd_column(
        "a map with a key twice",
        pa.array([[("a", "b"), ("a", "c")]], pa.map_(pa.string(), pa.string())),
    ),
    Case(
        "two columns of one name in Parquet",
        partial(
            of_table,
            columns=[(name, pa.array(["x"])) for name in ("instruction", "a", "a")],
        ),
        "'a.parquet' has two columns 'a'",
        "its own name",
        "Give each column",
    ),
    Case(
        "a column that is read and unwanted",
        lambda room: cards.validate(
            PoolSource,
            {"path": "x", "columns": {"instruction": "q"}, "ignore": ["q"]},
            "card",
        ),
        "`ignore:` and `columns:` both name 'q'",
        "a column is read or not",
        "remove it from one of them",
    ),
    Case(
        "ids that are none",
        partial(
            of_rows,
            rows=[{**GOOD, "id": value} for value in ([1], 1.5, None)],
            columns={"id": "id"},
        ),
        "line 0: missing id: 'id' is [1]; line 1: missing id: 'id' is 1.5",
        "missing id: no 'id'",
        "Fix `pool.format:` and `pool.columns:`",
    ),
    pointer("a.jsonl"),
    pointer("a.parquet"),
    pointer("a.jsonl.gz"),
    pointer("a.csv"),
    disguised("b.jsonl", gzip.compress(b"{}"), "compressed by gzip"),
    disguised("c.jsonl", b"PAR1xxPAR1", "a Parquet file"),
    disguised("d.parquet", b"ARROW1xx", "an Arrow file"),
    disguised("e.json", b"PK\x03\x04xx", "an archive"),
    disguised("f.jsonl.zst", b"\x1f\x8bxx", "compressed by gzip"),
    disguised("g.jsonl", b"\n<!DOCTYPE html><html>", "a page of HTML"),
    disguised("h.csv", b"<html><body>", "a page of HTML"),
    several_lines("i.jsonl", '[\n {"a": 1}\n]'),
    several_lines("j.ndjson", '{\n "a": 1\n}\n{\n "a": 2\n}'),
    address("https://example.org/pool.jsonl"),
    address("s3://bucket/pool.jsonl"),
    address("hf://datasets/org/name/pool.parquet"),
    Case(
        "a dataset of the hub in place of a path",
        lambda room: read("org/some_data"),
        "No file 'org/some_data'",
        "relative to the working directory",
        "write `hub: org/some_data`",
    ),
    Case(
        "a chat under a name of its own",
        partial(of_rows, rows=[{"dialog": [turn("user", "x")]}]),
        "(dialog) do not look like format 'auto'",
        "(of chats `{messages: ...}`)",
        "Set `pool.format:`",
    ),
    of_options("options,answer_index"),
    of_options("choices"),
    of_options("endings"),
    of_options("A,B,C,D"),
    of_options("option_a,option_b"),
    of_options("distractor1,distractor2,distractor3"),
    of_options("mc1_targets"),
    of_options("answerKey"),
    of_options("Incorrect Answer 1,Incorrect Answer 2"),
    of_options("choices", {"prompt": "Which?", "completion": "B"}),
    of_options("options", {"instruction": "Which?", "output": "B"}),
    Case(
        "a file that is not there",
        lambda room: read("data/pool.jsonl"),
        "No file 'data/pool.jsonl'",
        "relative to the working directory",
        "fix `path:`",
    ),
    Case(
        "an empty folder",
        of_folder,
        "'pool.jsonl' is a folder without data files",
        "a folder of shards",
        "Name a file",
    ),
    Case(
        "a spreadsheet's file",
        partial(of_file, name="a.xlsx", text="PK"),
        "'a.xlsx' is a spreadsheet, which cannot be read",
        "Known: .jsonl, .json, .parquet",
        "convert the file",
    ),
    Case(
        "JSON Lines named JSON",
        partial(of_file, name="a.json", text='{"a": 1}\n{"a": 2}'),
        "'a.json' is not one JSON document",
        "one object per line",
        "rename it to .jsonl",
    ),
    Case(
        "JSON in another encoding",
        partial(of_file, name="b.json", text='[{"a": "é"}]'.encode("utf-16")),
        "'b.json' is not one JSON document ('utf-8' codec",
        "one object per line",
        "Fix it",
    ),
    Case(
        "two lists of rows in one JSON document",
        partial(
            of_file,
            name="a.json",
            text=json.dumps({"version": [1], "data": [GOOD], "test": [GOOD]}),
        ),
        "'a.json' has rows under 'data' and under 'test'",
        "only those under 'data' would be read",
        "Save the list that you mean as a file of its own",
    ),
    Case(
        "one JSON object and no list",
        partial(of_file, name="a.json", text='{"a": 1}'),
        "contains a JSON dict, not a list of rows",
        '{"data": [...]}',
        "Write a list of objects",
    ),
    Case(
        "a torn Parquet file",
        partial(of_file, name="a.parquet", text="PAR1 not really"),
        "is not a readable Parquet file",
        "Parquet",
        "Write it again",
    ),
    Case(
        "no rows",
        partial(of_rows, rows=[]),
        "has no rows",
        "a file with rows",
        "Name a file",
    ),
    Case(
        "no usable row",
        partial(of_rows, rows=[{"instruction": "", "output": "x"}, "{", "[]"]),
        "all 3 were rejected (line 0: empty instruction; line 1: invalid JSON",
        "`pool.format:` and `pool.columns:`",
        "Fix",
    ),
    Case(
        "nothing but the benchmark",
        partial(
            of_rows, rows=[{"instruction": QUESTION, "output": "x"}], asked=[QUESTION]
        ),
        "contains benchmark question: q0",
        "can be used",
        "Fix",
    ),
    Case(
        "columns of no known form",
        partial(of_rows, rows=[{"foo": "x", "bar": "y"}]),
        "(foo, bar) do not look like format 'auto'",
        "`pool.columns: {instruction: ..., response: ...}`",
        "Set `pool.format:`",
    ),
    Case(
        "chats that are no chats",
        partial(of_rows, rows=[GOOD], format="messages"),
        "(instruction, output) do not look like format 'messages'",
        "`pool.columns: {messages: ...}`",
        "Set `pool.format:`",
    ),
    Case(
        "a column that is not there",
        partial(of_rows, rows=[GOOD], columns={"instruction": "ask"}),
        "no column 'ask'",
        "it has instruction, output",
        "Fix `pool.columns:`",
    ),
    Case(
        "ids under a name that no row has",
        partial(of_rows, rows=[GOOD], columns={"id": "key"}),
        "no column 'key'",
        "it has instruction, output",
        "Fix `pool.columns:`",
    ),
    Case(
        "a pattern that nothing matches",
        partial(of_files, path="data/*.parquet"),
        "No file matches 'data/*.parquet'",
        "A pattern names files, relative to the working directory",
        "fix `path:`",
    ),
    Case(
        "a folder of train and test files",
        lambda room: of_files(room, "s", "s/train-0.parquet", "s/test-0.parquet"),
        "files of several splits (test, train)",
        "One is needed",
        "name its files with a pattern, such as 's/train*'",
    ),
    Case(
        "a folder of two kinds of files",
        lambda room: of_files(room, "s", "s/a.parquet", "s/b.csv"),
        "files of several kinds (.csv, .parquet)",
        "One is needed",
        "name those of one kind with a pattern",
    ),
    Case(
        "a folder of folders",
        lambda room: of_files(room, "s", "s/data/a.parquet"),
        "'s' is a folder without data files",
        "It has the folders 's/data'",
        "Name a file, a folder of shards",
    ),
    Case(
        "a saved dataset without the split",
        of_one_split,
        "without the split 'train'",
        "it has more",
        "Fix `split:`",
    ),
    Case(
        "an archive",
        partial(of_file, name="pool.zip", text=b"PK"),
        "'pool.zip' is an archive, which cannot be read",
        "Known: .jsonl",
        "convert the file",
    ),
    Case(
        "half a compressed file",
        partial(of_file, name="a.jsonl.gz", text=gzip.compress(b"{}" * 99)[:-9]),
        "'a.jsonl.gz' is not a whole .gz file",
        "whole",
        "Download it or write it again",
    ),
    Case(
        "a table with a quote that stays open",
        partial(of_file, name="a.csv", text='a,b\n"x,y\n'),
        "'a.csv' is not a readable table",
        "a quote around every cell",
        "Write it again",
    ),
    Case(
        "a table of another encoding",
        partial(of_file, name="a.csv", text="a,b\nä,b".encode("cp1252")),
        "'a.csv' is not UTF-8",
        "UTF-8",
        "Save it as UTF-8",
    ),
    Case(
        "chats with tools",
        partial(of_rows, rows=[{"messages": [turn("user", "u"), turn("tool", "t")]}]),
        "tool call: a turn of 'tool'",
        "only chats without tools are read",
        "Fix `pool.format:`",
    ),
    Case(
        "chats with images",
        partial(of_rows, rows=[{"messages": [turn("user", [{"type": "image"}])]}]),
        "content is list with a part 'image'",
        "only text is read",
        "Fix `pool.format:`",
    ),
    Case(
        "two system texts",
        partial(
            of_rows,
            rows=[
                {
                    "messages": [turn("system", "s"), turn("user", "u")],
                    "system": "other",
                }
            ],
        ),
        "two system texts",
        "one in its column, another as first turn",
        "Fix `pool.format:`",
    ),
    Case(
        "a history of no pairs",
        partial(of_rows, rows=[{**GOOD, "history": [["a"]]}]),
        "unknown history: 'history' is no list of pairs",
        "list of pairs",
        "Fix `pool.format:` and `pool.columns:`",
    ),
]

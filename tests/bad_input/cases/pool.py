"""Pools: files that are not there, not readable, or not instruction data."""

from __future__ import annotations

from functools import partial
from typing import Any

from cases import Case, Room
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


CASES = [
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
]

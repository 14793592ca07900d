"""Results that were damaged, edited, or are another file than the one that is needed."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cases import Case, Room
from tmap.artifacts import files, tables
from tmap.cards.dataset import PoolSource
from tmap.cards.judge import RecordedSection
from tmap.comparison import report
from tmap.data import pool
from tmap.data.overlap import question_ngrams
from tmap.data.sources import bounds
from tmap.engines import adapters
from tmap.gradients import similarity, warmup
from tmap.judges.recorded import Recorded
from tmap.search.ledger import Ledger
from tmap.selection import weights
from tmap.store.measurements import Entry, Store

AGAIN = "Delete it and make it again: snakemake"
MADE = {"rule": "r", "names": {}, "card": {}, "modules": {}, "inputs": {}}
LEARNED = {"indicators": ["a"], "weights": [0.5], "made": MADE}
Do = Callable[[Room], Any]


def document(kind: str, content: str | bytes) -> Do:
    def do(room: Room) -> None:
        files.read_document(kind, room.write(f"results/{kind}.json", content))

    return do


def learned(**change: Any) -> Do:
    def do(room: Room) -> None:
        path = room.write("results/weights.json", json.dumps(LEARNED | change))
        weights.read_weights("learned", ["a"], path)

    return do


def edited(room: Room) -> None:
    files.write_json("results/weights.json", LEARNED)
    path = Path("results/weights.json")
    path.write_text(path.read_text().replace("0.5", "0.9"))
    weights.read_weights("learned", ["a"], str(path))


def table(change: Callable[[Path], Any]) -> Do:
    def do(room: Room) -> None:
        frame = pd.DataFrame({"sample_id": ["a"], "score": [1.5], "status": ["ok"]})
        path = Path("results/ifd.parquet")
        tables.write("indicator", frame, path, code="c")
        change(path)
        tables.read("indicator", path)

    return do


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[40] ^= 4
    path.write_bytes(data)


def retyped(path: Path) -> None:
    old = pq.read_table(path)
    new = old.set_column(1, "score", pa.array(["1.5"]))
    pq.write_table(new.replace_schema_metadata(old.schema.metadata), path)


def without_footer(path: Path) -> None:
    old = pq.read_table(path)
    pq.write_table(old.replace_schema_metadata({"tmap": "{half"}), path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def ledger(line: str) -> Do:
    return lambda room: Ledger(room.write("results/ledger.jsonl", line + "\n"))


def marks(room: Room) -> None:
    line = {"type": "answers", "key": "9f", "correct": "01", "new_tokens": 1}
    Ledger(room.jsonl([line], "ledger.jsonl")).marks(["9f"], 3)


def array(content: bytes | np.ndarray) -> Do:
    def do(room: Room) -> None:
        path = Path("candidates.npy")
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.save(path, content)
        similarity.mapped(path)

    return do


def adapter(config: str, content: bytes) -> Do:
    def do(room: Room) -> None:
        room.write("adapter/adapter_config.json", config)
        room.write("adapter/adapter_model.safetensors", content)
        adapters.attach(None, Path("adapter"))

    return do


def recorded(line: str | bytes) -> Do:
    def do(room: Room) -> None:
        Recorded(RecordedSection(path=room.write("r.jsonl", line)), "chat")

    return do


def stored(room: Room) -> None:
    store = Store("nll", {"engine": "e"}, "store")
    store.put([Entry(store.key(1), None, "no number")])
    store.get([store.key(1)])


def unkept(room: Room) -> None:
    Store("nll", {"engine": "e"}, room.write("store", "a file")).prepare()


def grows(name: str, content: bytes) -> Do:
    def do(room: Room) -> None:
        room.patch.setattr(bounds, "FREE", 2**16)
        room.patch.setattr(bounds, "LINE", 2**17)
        room.patch.setattr(bounds, "DOCUMENT", 2**10)
        source = PoolSource(path=room.write(name, content))
        pool.read("mine", source, question_ngrams([], [], 13))

    return do


def output(make: Callable[[str], Any]) -> Do:
    def do(room: Room) -> None:
        make("out.json")
        files.write_json("out.json", {})

    return do


def broken(what: str, do: Do, wrong: str, right: str) -> Case:
    return Case(what, do, wrong, right, AGAIN)


SHOWN = {"dataset": "d", "model": "m", "n_questions": 3, "methods": {}, "warnings": []}
ROW = b'{"instruction": "a", "output": "b"}\n'
CASES = [
    broken(
        "torn weights", document("weights", '{"a": ['), "weights.json", "is no JSON"
    ),
    broken("empty record", document("model", ""), "model.json", "is no JSON"),
    broken("binary report", document("train", b"\xff\x00"), "train.json", "is no JSON"),
    broken("deep", document("explain", "[" * 99_999), "explain.json", "too deeply"),
    broken("a list", document("sentinels", "[]"), "a JSON list", "not an object"),
    broken(
        "no verdict", document("certificate", "{}"), "`verdict` is miss", "no certif"
    ),
    broken(
        "text", document("weights", '{"indicators": "a"}'), "has another type", "`ind"
    ),
    broken("edited weights", edited, "weights.json", "edited or damaged after tmap"),
    broken(
        "words as weights", learned(weights=["x"]), "weights.json", "one number as the"
    ),
    broken(
        "too few weights", learned(weights=[]), "cannot be used", "weight of each col"
    ),
    broken(
        "a method of numbers",
        lambda room: report.read(
            room.write("metrics.json", json.dumps(SHOWN | {"methods": {"a": 5}}))
        ),
        "metrics.json",
        "methods are not as tmap writes them",
    ),
    broken("half a table", table(cut), "ifd.parquet", "no readable parquet"),
    broken(
        "a flipped bit", table(flip), "results/ifd.parquet", "readable parquet file"
    ),
    broken("a retyped column", table(retyped), "'score' is string", "not double"),
    broken("torn metadata", table(without_footer), "its metadata", "cannot be read"),
    broken("a folder", table(folder), "ifd.parquet cannot be", "it is a folder"),
    broken("no array", array(b"x" * 50), "candidates.npy", "no whole NumPy array"),
    broken(
        "half an array", array(b"\x93NUMPY"), "candidates.npy cannot", "NumPy array"
    ),
    broken("flat array", array(np.zeros(3, np.float16)), "1 axes", "float16"),
    broken("wide array", array(np.zeros((1, 2, 3))), "3 axes", "of float64"),
    broken(
        "torn adapter config", adapter("{", b""), "adapter_config.json", "is no JSON"
    ),
    broken(
        "adapter config 5", adapter("5", b""), "adapter_config.json", "no JSON object"
    ),
    broken(
        "torn adapter", adapter("{}", b"abc"), "model.safetensors", "no whole safet"
    ),
    broken(
        "no warm-up",
        lambda room: warmup.read(room.write("warmup.safetensors", b"x" * 20)),
        "warmup.safetensors",
        "no whole warm-up",
    ),
    Case(
        "foreign line in a ledger",
        ledger('{"type": "party"}'),
        'line 1 is not a ledger record: b\'{"type": "party"}\'',
        "lose one evaluation",
        "Remove that line",
    ),
    Case(
        "no line of a ledger",
        ledger("[" * 5000),
        "line 1 is not",
        "a ledger record",
        "or the file to lose all",
    ),
    Case("short answers", marks, "key 9f", "3 times 0 or 1", "Remove that line"),
    Case(
        "stored text", stored, "is no reply of kind 'nll'", "measures", "Delete that f"
    ),
    Case("a file as store", unkept, "is a file", "a folder is needed", "another path"),
    Case(
        "a recorded number",
        recorded('{"request": {}, "reply": {"text": 4}}'),
        "row 1: the reply",
        "a text under `text`",
        "Fix the row",
    ),
    Case(
        "a recorded pair",
        recorded('{"request": {}, "reply": {"tokens": [["5", "x"]]}}'),
        "r.jsonl row 1: the reply must",
        "logprob] under `tokens`",
        "Fix the row",
    ),
    Case(
        "a recording in Latin 1",
        recorded('{"request": {}, "reply": {"text": "é"}}'.encode("latin-1")),
        "r.jsonl row 1",
        "must be JSON objects",
        "Fix the row",
    ),
    Case(
        "a gzip bomb",
        grows("p.jsonl.gz", gzip.compress(ROW * 9000)),
        "'p.jsonl.gz' grows to more than",
        "over 200 times its size",
        "check where it comes from",
    ),
    Case(
        "a large document",
        grows("p.json", b"[" + b" " * 2000 + b"]"),
        "'p.json' is one JSON document of more than",
        "one object per line",
        "as .jsonl",
    ),
    Case(
        "a line without end",
        grows("p.csv", b"instruction,output\n" + b"a" * 2**18),
        "'p.csv' has a line longer than",
        "a row must be shorter",
        "Check how the file was written",
    ),
    Case(
        "output to a pipe",
        output(os.mkfifo),
        "'out.json' is a device",
        "a file",
        "Give",
    ),
    Case(
        "output to a folder",
        output(os.mkdir),
        "is a folder",
        "be a file",
        "another path",
    ),
    Case(
        "below /proc",
        lambda room: files.make_folder(Path("/proc/x/y")),
        "'/proc/x' cannot be made",
        "its file system takes none",
        "Give another path",
    ),
]

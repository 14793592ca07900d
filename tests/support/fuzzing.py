"""Every parser of foreign text, and inputs that nobody would write.

`run` mutates seeds and calls parsers with them. A parser may return, or raise `TmapError`
with one sentence; anything else is a crash, and so is taking too long.
"""

from __future__ import annotations

import json
import logging
import os
import random
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tmap import cards
from tmap.artifacts import files, secrets, tables
from tmap.cards import reading
from tmap.cards.dataset import PoolSource, QuestionSource, ResponseSource
from tmap.cards.judge import RecordedSection
from tmap.data import models, options, pool, questions, responses
from tmap.data.overlap import question_ngrams
from tmap.engines import client, complaints
from tmap.errors import TmapError
from tmap.evaluation import readers
from tmap.indicators import alpagasus
from tmap.indicators.scoring import whisper
from tmap.jobs import attempts, failures
from tmap.judges import wire
from tmap.judges.recorded import Recorded
from tmap.operations.planning import estimate, jobs
from tmap.search.ledger import Ledger

#: Seconds that one input may take, where the machine is not busy.
SLOW = 5.0
Parser = Callable[[Path], object]

_PAIR = b'{"instruction": "Add 1 and 2.", "input": "", "output": "1 + 2 = 3"}\n'
_CHAT = (
    b'{"messages": [{"role": "user", "content": "Hi"}, '
    b'{"role": "assistant", "content": "Hello", "weight": 1}]}\n'
)
_SHARE = (
    b'{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": '
    b'"Hello"}], "system": "s"}\n'
)
_ASKED = b'{"id": "a", "question": "How many?", "answer": "4 #### 4"}\n'
_CHOICE = (
    b'{"id": "a", "question": "Which?", "choices": {"text": ["x", "y"], "label": ["A", '
    b'"B"]}, "gold": "A"}\n'
)
_HISTORY = b'{"subject_id": "s", "question_id": "a", "is_correct": true}\n'
_REPLY = (
    b'{"request": {"prompt": "q"}, "reply": {"tokens": [["5", -0.1], ["4", -2.4]]}}\n'
)
_LEDGER = (
    b'{"type": "answers", "key": "9f", "correct": "01", "new_tokens": 8}\n'
    b'{"type": "batch", "engine": "e", "rows": 5}\n'
    b'{"type": "search", "search": "71"}\n'
    b'{"type": "proposal", "search": "71", "iteration": 0, "weights": [1]}\n'
)
_MADE = {"rule": "r", "names": {}, "card": {}, "modules": {}, "inputs": {}}
_SERVED = (
    b'{"choices": [{"message": {"content": "4"}, "logprobs": {"content": [{"top_logprobs":'
    b' [{"token": "4", "logprob": -0.1}]}]}}], "usage": {"total_tokens": 3}}'
)
_SNAKEMAKE = (
    b"Error in rule train_adapter:\n    jobid: 3\n    output: a/b.json\n    log: x.log\n"
    b"rule fit_irt:\n    wildcards: dataset=a, model=b\nFinished jobid: 3 (Rule: x)\n"
)
_ADDRESS = b"https://user:pa55word@host:80/p?token=abc12345#x --api-key sk-123456789012"


def _rows(name: str, data: Callable[[Path], object]) -> Parser:
    """A parser of a file of this name."""

    def parse(path: Path) -> object:
        other = path.with_name(name)
        other.write_bytes(path.read_bytes())
        return data(other)

    return parse


def _pool(path: Path) -> object:
    source = PoolSource(path=str(path))
    return pool.read("mine", source, question_ngrams([], [], 13))


def _questions(path: Path, task: str = "generation") -> object:
    reader = "number" if task == "generation" else "letter"
    how: dict[str, Any] = {"protocol": "paper", "reward_share": 0.5, "ngram": 13}
    source = QuestionSource(path=str(path))
    return questions.read(
        "mine", source, task=task, reader=reader, metric="numeric", **how
    )


def _choices(path: Path) -> object:
    return _questions(path, "multiple_choice")


def _history(path: Path) -> object:
    asked = pd.DataFrame({"question_id": ["a"], "question": ["How many?"]})
    return responses.read(ResponseSource(path=str(path), format="long"), asked)


def _card(kind: str) -> Parser:
    def parse(path: Path) -> object:
        section = {
            "datasets": cards.DatasetCard,
            "models": cards.ModelCard,
            "methods": cards.MethodCard,
            "judges": cards.JudgeCard,
        }[kind]
        return cards.validate(section, reading.read_yaml(path), str(path))

    return parse


def _served(path: Path) -> object:
    try:
        answer = json.loads(path.read_bytes())
    except (ValueError, RecursionError):  # as the client does
        return None
    client._billed(answer)
    return [wire.read(answer, want) for want in ("digits", "text")]


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def _answers(path: Path) -> object:
    text = _text(path)
    reading_ = readers.read_number(text)
    marks = [readers.mark(reading_, "4", m) for m in ("strict", "flexible", "numeric")]
    return (
        marks,
        readers.gold_value(text),
        alpagasus.parse(text),
        whisper.parse(text, 3),
    )


def _header(path: Path) -> object:
    text = _text(path).replace("\r", "").replace("\n", "")[:200]
    ascii_ = text.encode("ascii", "ignore").decode()
    return complaints.advised_pause(
        httpx.Response(429, headers={"retry-after": ascii_})
    )


def _hidden(path: Path) -> object:
    text = _text(path)
    secrets.learn_command(text)
    secrets.learn_address(text)
    found = secrets.hide(text), secrets.published({"url": text, "command": text})
    secrets._learned.clear()
    return found


def _choice_cell(path: Path) -> object:
    try:
        return options._texts(options._unwrap(_text(path)))
    except options.Malformed:
        return None


def _runs(path: Path) -> object:
    return failures.summary([path], ["snakemake"]), jobs.parse(_text(path))


def _config(path: Path) -> object:
    return models._json(path, "config.json")


#: Name -> (parser, seeds).
def targets() -> dict[str, tuple[Parser, list[bytes]]]:
    """Every parser of foreign text, with inputs that it reads."""
    made = _artifacts()
    return {
        "pool.jsonl": (_rows("p.jsonl", _pool), [_PAIR * 2, _CHAT, _SHARE]),
        "pool.json": (
            _rows("p.json", _pool),
            [b"[" + _PAIR + b"]", b'{"data": [' + _CHAT + b"]}"],
        ),
        "pool.csv": (_rows("p.csv", _pool), [b'instruction,output\n"a, b",c\nd,e\n']),
        "pool.tsv": (_rows("p.tsv", _pool), [b"question\tanswer\na\tb\n"]),
        "pool.parquet": (_rows("p.parquet", _pool), [made["foreign"]]),
        "pool.arrow": (_rows("p.arrow", _pool), [made["arrow"]]),
        "pool.jsonl.gz": (_rows("p.jsonl.gz", _pool), [made["gzip"]]),
        "pool.jsonl.zst": (_rows("p.jsonl.zst", _pool), [made["zstd"]]),
        "questions": (_rows("q.jsonl", _questions), [_ASKED]),
        "choices": (_rows("q.jsonl", _choices), [_CHOICE]),
        "choice cell": (_choice_cell, [b"['a', 'b']", b'["a", "b"]']),
        "history": (_rows("h.jsonl", _history), [_HISTORY]),
        "dataset card": (_card("datasets"), made["datasets"]),
        "model card": (_card("models"), made["models"]),
        "method card": (_card("methods"), made["methods"]),
        "judge card": (_card("judges"), made["judges"]),
        "table": (lambda path: tables.read("indicator", path), [made["table"]]),
        "document": (
            lambda path: files.read_document("weights", path),
            [made["document"]],
        ),
        "ledger": (Ledger, [_LEDGER]),
        "attempts": (
            attempts.history,
            [
                b'[{"run": "", "number": 1, "process": "n 1", "kept": true, "end": null}]'
            ],
        ),
        "recording": (
            _rows("r.jsonl", lambda p: Recorded(RecordedSection(path=str(p)), "chat")),
            [_REPLY],
        ),
        "served": (_served, [_SERVED]),
        "retry-after": (_header, [b"12", b"Wed, 21 Oct 2015 07:28:00 GMT"]),
        "answer": (
            _answers,
            [b"3 * 6 = 18, so #### 18", rb"\boxed{1/2} or 1.5e3", b"Score: 4.5/5"],
        ),
        "secret": (_hidden, [_ADDRESS]),
        "logs": (_runs, [_SNAKEMAKE]),
        "config.json": (_config, [b'{"max_position_embeddings": 512}']),
        "safetensors": (models.tensors, [made["weights"]]),
        "counts": (lambda p: estimate.counts("--rows", [_text(p)]), [b"7473", b"a=5"]),
    }


@cache
def _artifacts() -> Any:
    """Seeds that are files."""
    import gzip

    import numpy as np
    from safetensors.numpy import save

    from project import ROOT

    room = Path(tempfile.mkdtemp())
    frame = pd.DataFrame({"sample_id": ["a"], "score": [1.5], "status": ["ok"]})
    tables.write("indicator", frame, room / "t.parquet", code="c")
    weights = {"indicators": ["a"], "weights": [1.0], "made": _MADE}
    files.write_json(room / "w.json", weights)
    foreign = pa.table({"instruction": ["a", "b"], "output": ["c", "d"]})
    pq.write_table(foreign, room / "f.parquet")
    with pa.OSFile(str(room / "f.arrow"), "wb") as out:
        with pa.ipc.new_stream(out, foreign.schema) as sink:
            sink.write_table(foreign)
    found: dict[str, Any] = {
        "table": (room / "t.parquet").read_bytes(),
        "document": (room / "w.json").read_bytes(),
        "foreign": (room / "f.parquet").read_bytes(),
        "arrow": (room / "f.arrow").read_bytes(),
        "gzip": gzip.compress(_PAIR * 3, mtime=0),
        "zstd": pa.compress(_PAIR * 3, codec="zstd", asbytes=True),
        "weights": save({"a": np.zeros(3, np.float32)}),
    }
    for kind in ("datasets", "models", "methods", "judges"):
        shipped = sorted((ROOT / "config" / kind).glob("*.yaml"))
        found[kind] = [path.read_bytes() for path in shipped]
    return found


#: Pieces that have broken parsers.
WORDS = [
    *(
        b"[",
        b"{",
        b"]",
        b"}",
        b'"',
        b"'",
        b"\\",
        b"\n",
        b"\r",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
    ),
    *(
        b"null",
        b"true",
        b"NaN",
        b"Infinity",
        b"-1",
        b"0",
        b"1e999",
        b"9" * 400,
        b"[]",
        b"{}",
    ),
    *(
        b"!!int x",
        b"!!binary x",
        b"&a [*a]",
        b"*a",
        b"<<: ",
        b"2024-13-45",
        b"12:30",
        b"010",
    ),
    *(
        b"\\ud800",
        b"\xed\xa0\x80",
        "\u202e".encode(),
        b"[" * 3000,
        b"(" * 300,
        b"." * 3000,
    ),
    *(
        b": ",
        b"- ",
        b"? ",
        b"|",
        b">",
        b"#",
        b"####",
        b"\\boxed{",
        b"/0",
        b"**",
        b"1,",
        b",",
    ),
    *(
        b"://",
        b"@",
        b"key=",
        b"sk-",
        b"  ",
        b"\t",
        b"label",
        b"text",
        b"gold",
        b"weight",
    ),
]


def mutated(dice: random.Random, seeds: list[bytes]) -> bytes:
    """A seed with one to eight changes."""
    data = bytearray(dice.choice(seeds))
    for _ in range(dice.choice((1, 1, 2, 3, 5, 8))):
        at = dice.randrange(len(data) + 1)
        end = min(len(data), at + dice.choice((1, 2, 4, 16, 64)))
        kind = dice.randrange(7)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << dice.randrange(8)
        elif kind == 1:
            del data[at:end]
        elif kind == 2:
            data[at:at] = data[at:end] * dice.choice((1, 2, 50))
        elif kind == 3:
            data[at:end] = dice.choice(WORDS)
        elif kind == 4:
            other = dice.choice(seeds)
            start = dice.randrange(len(other) + 1)
            data[at:at] = other[start : start + dice.choice((4, 40, 400))]
        elif kind == 5:
            del data[at:]
        else:
            data[at:at] = dice.choice(WORDS)
    return bytes(data[:200_000])


@dataclass
class Report:
    """What a run did.

    Attributes
    ----------
    executions : inputs per parser
    crashes : (parser, kind of error, where, input), the first of each kind and place
    """

    executions: Counter[str] = field(default_factory=Counter)
    crashes: dict[tuple[str, str, str], bytes] = field(default_factory=dict)


def crash(parse: Parser, path: Path) -> tuple[str, str] | None:
    """Kind of error and where it was raised, if this input breaks the parser."""
    start = time.process_time()
    try:
        parse(path)
    except TmapError as fault:
        text = str(fault)
        if "\n" in text or len(text) > 5000:
            return "no single sentence", text[:80]
    except Exception as fault:
        last = traceback.extract_tb(fault.__traceback__)[-1]
        return type(fault).__name__, f"{Path(last.filename).name}:{last.lineno}"
    took = time.process_time() - start
    return ("slow", f"{took:.0f} s") if took > SLOW else None


def run(
    inputs: int | None = None, seconds: float | None = None, seed: int = 0
) -> Report:
    """Give each parser `inputs` inputs, or all of them as many as fit into `seconds`."""
    logging.disable(logging.CRITICAL)
    report, end = Report(), time.monotonic() + (seconds or float("inf"))
    rounds: Iterator[int] = iter(range(inputs if inputs is not None else 2**62))
    dice = {name: random.Random(f"{seed} {name}") for name in targets()}
    with tempfile.TemporaryDirectory() as room:
        path = Path(room) / f"input-{os.getpid()}"
        for _ in rounds:
            for name, (parse, seeds) in targets().items():
                data = mutated(dice[name], seeds)
                path.write_bytes(data)
                report.executions[name] += 1
                if found := crash(parse, path):
                    report.crashes.setdefault((name, *found), data)
            if time.monotonic() > end:
                break
    logging.disable(logging.NOTSET)
    return report

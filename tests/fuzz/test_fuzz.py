"""No parser of foreign text ends in a traceback, whatever it is given.

`python benchmarks/fuzz.py --seconds 3600` looks further; what it finds becomes a case here.
"""

from __future__ import annotations

import random

import pytest

import fuzzing

NAMES = sorted(fuzzing.targets())
#: (parser, input) that crashed once.
FOUND = [
    ("counts", b"1" * 5000),
    ("counts", "٣".encode()),
    ("logs", b"rule fit_irt:\n    wildcards: dataset\n"),
    ("recording", b'{"request": {"prompt": "q"}, "reply": {"tokens": 5}}'),
    ("attempts", b"[{}]"),
    ("attempts", b'{"run": ""}'),
    ("attempts", b"["),
    ("ledger", b'{"type": "party"}\n'),
    ("document", b"[" * 100_000),
    ("served", b"[" * 200_000),
    ("config.json", b"[" * 99_999),
    ("history", b'{"subject_id": "s", "quest\\n_id": "a", "is_correct": true}\n'),
    ("logs", b"Error in rule x:\n    jobid: 3\n    output: " + b"a" * 5000 + b"\n"),
    ("counts", "é=5".encode() * 100),
    ("logs", b"Error in rule x:\n    jobid: 3\n    output: b.json\n    log: x.\0log\n"),
    ("history", b'{"subject_id": "s", "q' + b"." * 6000 + b'": "a"}\n'),
    ("pool.csv", b"question," + b"a" * 6000 + b"\nq,a\n"),
    ("pool.tsv", b"\t".join(b"c%d" % i for i in range(2000)) + b"\n"),
    ("retry-after", b"Wed, 21 Oct 2015 07:2" + b"8" * 150),
    ("retry-after", b"Wed, " + b"2" * 50 + b"1 Oct 2015 07:28:00 GMT"),
]


@pytest.mark.parametrize("name", NAMES)
def test_each_parser_reads_its_seeds(name, tmp_path):
    parse, seeds = fuzzing.targets()[name]
    for seed in seeds:
        (tmp_path / "seed").write_bytes(seed)
        assert fuzzing.crash(parse, tmp_path / "seed") is None


@pytest.mark.parametrize("name", NAMES)
def test_mutated_inputs_end_in_a_value_or_a_sentence(name, tmp_path, caplog):
    caplog.set_level("CRITICAL")
    parse, seeds = fuzzing.targets()[name]
    dice, path = random.Random(f"ci {name}"), tmp_path / "input"
    for _ in range(25):
        data = fuzzing.mutated(dice, seeds)
        path.write_bytes(data)
        assert (name, fuzzing.crash(parse, path), data) == (name, None, data)


@pytest.mark.parametrize(("name", "data"), FOUND)
def test_what_crashed_once_is_a_value_or_a_sentence(name, data, tmp_path):
    (tmp_path / "input").write_bytes(data)

    assert fuzzing.crash(fuzzing.targets()[name][0], tmp_path / "input") is None


def test_a_parser_that_fails_is_noticed(tmp_path):
    def broken(path):
        raise RecursionError(path)

    (tmp_path / "input").write_bytes(b"x")

    kind, where = fuzzing.crash(broken, tmp_path / "input")

    assert kind == "RecursionError"
    assert where.startswith("test_fuzz.py:")

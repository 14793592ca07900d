"""Answers and recordings that are made to break a reader."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib

import pytest

from judging import OK, asker, chat_answer, questions
from tmap.cards.judge import RecordedSection
from tmap.errors import TmapError
from tmap.judges.recorded import Recorded


def test_a_compressed_answer_takes_little_memory(serve, tmp_path, caplog):
    bomb = gzip.compress(b" " * 2**28)
    server = serve(lambda n, body: (200, {"Content-Encoding": "gzip"}, bomb))
    judge = asker(server, tmp_path, concurrency=2)

    tracemalloc.start()
    with pytest.raises(TmapError, match="an answer of more than 16777216 bytes"):
        judge.ask(questions(40), "text")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 6 * 2**24  # two answers at a time, each up to 16 MiB and one copy


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_an_answer_that_is_compressed_nevertheless_is_read(serve, tmp_path, pack):
    answer = pack(json.dumps(chat_answer("3")).encode())
    encoding = "gzip" if pack is gzip.compress else "deflate"
    server = serve(lambda n, body: (200, {"Content-Encoding": encoding}, answer))

    (reply,) = asker(server, tmp_path).ask(questions(1), "text")

    assert reply.raw == {"text": "3"}
    assert server.headers_seen[0]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("headers", "answer", "why"),
    [
        ({}, b"[" * 200_000, "its answer is not JSON"),
        ({}, b"\xff" * 50, "its answer is not JSON"),
        ({"Content-Encoding": "gzip"}, b"no gzip", "compression is broken"),
        ({"Content-Encoding": "br"}, b"x", "compressed as 'br'"),
        ({}, b"1" * 5000, "not"),
    ],
)
def test_an_answer_that_cannot_be_read_is_a_sentence(
    serve, tmp_path, headers, answer, why
):
    server = serve(lambda n, body: (200, headers, answer))

    with pytest.raises(TmapError, match=why):
        asker(server, tmp_path, attempts=1).ask(questions(40), "text")


def test_nothing_is_asked_for_that_cannot_be_kept(serve, tmp_path):
    (tmp_path / "file").write_text("")
    server = serve(lambda n, body: OK)

    with pytest.raises(TmapError, match="is a file, and a folder is needed"):
        asker(server, tmp_path / "file").ask(questions(2), "text")

    assert not server.seen


@pytest.mark.parametrize(
    "line",
    [
        b'{"request": {"messages": []}, "reply": {"text": "\xff"}}',
        b'{"request": {"messages": []}, "reply": ' + b"[" * 100_000,
        b'{"request": {"messages": []}, "reply": {"text": 4}}',
        b'{"request": {"messages": []}, "reply": {"tokens": [["5"]]}}',
        b'{"request": {"messages": []}, "reply": {"tokens": {"5": -1}}}',
        b'{"request": {"messages": []}, "reply": {"digits": [1, 2]}}',
        b'{"request": {"messages": []}, "reply": {"digits": ["a", 0, 0, 0, 0, 0]}}',
    ],
)
def test_a_recording_of_another_form_is_a_sentence(tmp_path, line):
    path = tmp_path / "r.jsonl"
    path.write_bytes(line + b"\n")

    with pytest.raises(TmapError, match="row 1: ") as fault:
        Recorded(RecordedSection(path=str(path)), "chat")

    assert "\n" not in str(fault.value)

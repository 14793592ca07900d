"""Recorded replies: the request must match exactly."""

from __future__ import annotations

import json

import pytest

from judging import asker, chat_answer, questions
from tmap.cards.judge import RecordedSection
from tmap.errors import TmapError
from tmap.judges.recorded import Recorded


def test_replies_of_a_server_can_be_read_as_a_recording(serve, tmp_path):
    server = serve(lambda n, body: (200, {}, chat_answer(str(n % 5))))
    before = asker(server, tmp_path, concurrency=1).ask(questions(6), "text")
    section = RecordedSection(path=str(tmp_path / "replies"))

    again = Recorded(section, "chat").ask(questions(6), "text")

    assert again == before
    assert len(server.seen) == 6


def recording(path, *rows):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return RecordedSection(path=str(path))


def asked(n):
    content = f"Q: Question {n}?\nA: 7\n\nRating:\n"
    return {"messages": [{"role": "user", "content": content}]}


def test_a_request_that_was_not_recorded_is_failed(tmp_path, caplog):
    section = recording(
        tmp_path / "r.jsonl", {"request": asked(1), "reply": {"text": "3"}}
    )

    replies = Recorded(section, "chat").ask(questions(3), "text")

    assert [reply.status for reply in replies] == ["failed", "ok", "failed"]
    assert "no reply to 2 of 3 requests" in caplog.text


def test_a_recording_of_other_words_is_an_error(tmp_path):
    section = recording(
        tmp_path / "r.jsonl", {"request": asked(9), "reply": {"text": "3"}}
    )

    with pytest.raises(TmapError, match="None of 2 requests is among the 1 recorded"):
        Recorded(section, "chat").ask(questions(2), "text")


def test_a_recording_with_two_answers_to_one_question_is_refused(tmp_path):
    rows = [{"request": asked(1), "reply": {"text": text}} for text in "34"]

    with pytest.raises(TmapError, match="two different replies"):
        Recorded(recording(tmp_path / "r.jsonl", *rows), "chat")


@pytest.mark.parametrize("line", ["no json", "[]", '{"request": 1, "reply": 2}', "{}"])
def test_a_broken_line_of_a_recording_is_named(tmp_path, line):
    good = {"request": asked(1), "reply": {"text": "3"}}

    with pytest.raises(TmapError, match="row 2: request and reply"):
        Recorded(recording(tmp_path / "r.jsonl", good, line), "chat")


def test_a_recording_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TmapError, match=r"No file '.*none\.jsonl'"):
        Recorded(RecordedSection(path=str(tmp_path / "none.jsonl")), "chat")

"""Judges behind a server: a real one, over HTTP, that behaves badly on purpose."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
import subprocess
import sys
import threading
import time
from email.utils import formatdate

import httpx
import pytest

from judging import OK, asker, chat_answer, questions
from project import ROOT
from tmap.cards.judge import FormSection
from tmap.engines import complaints
from tmap.errors import TmapError
from tmap.judges import wire

KEY = "sk-this-must-stay-secret"


def texts(replies):
    return [reply.raw and reply.raw["text"] for reply in replies]


def top(**p):
    return [(name.strip("_"), math.log(value)) for name, value in p.items()]


# --- the wire


def test_a_chat_request_is_greedy_and_bounded(serve, tmp_path):
    server = serve()

    replies = asker(server, tmp_path).ask(questions(1), "text")

    assert texts(replies) == ["4"]
    path, body = server.seen[0]
    assert path == "/v1/chat/completions"
    assert body == {
        "model": "some-model",
        "messages": [
            {"role": "user", "content": "Q: Question 0?\nA: 7\n\nRating:\n"},
        ],
        "temperature": 0,
        "max_tokens": 8,
    }


def test_digits_are_asked_for_as_log_probabilities_of_one_token(serve, tmp_path):
    listed = top(_4=0.7, _5=0.3)
    server = serve(lambda n, body: (200, {}, chat_answer("4", listed)))

    (reply,) = asker(server, tmp_path).ask(questions(1), "digits")

    assert reply.raw == {"tokens": [["4", math.log(0.7)], ["5", math.log(0.3)]]}
    body = server.seen[0][1]
    asked = {k: body[k] for k in ("max_tokens", "logprobs", "top_logprobs")}
    assert asked == {"max_tokens": 1, "logprobs": True, "top_logprobs": 20}


def test_a_completion_server_gets_the_text_as_it_stands(serve, tmp_path):
    logprobs = {"top_logprobs": [{"5": -0.1, "4": -2.4}]}
    answer = {"choices": [{"text": "5", "logprobs": logprobs}]}
    server = serve(lambda n, body: (200, {}, answer))

    (reply,) = asker(server, tmp_path, style="completion").ask(questions(1), "digits")

    assert reply.raw == {"tokens": [["5", -0.1], ["4", -2.4]]}
    path, body = server.seen[0]
    assert path == "/v1/completions"
    assert body["prompt"] == "Q: Question 0?\nA: 7\n\nRating:\n"
    assert body["logprobs"] == 20


# --- trouble


def test_a_pause_that_the_server_asks_for_is_kept_by_everyone(serve, tmp_path):
    times = []

    def script(number, body):
        times.append(time.monotonic())
        return (429, {"Retry-After": "0.4"}, {}) if number == 1 else OK

    server = serve(script)
    one = asker(server, tmp_path, concurrency=1, max_wait=2)

    assert texts(one.ask(questions(3), "text")) == ["4"] * 3
    assert times[1] - times[0] >= 0.4


def test_a_pause_may_be_given_as_a_date(serve, tmp_path):
    date = formatdate(time.time() + 1, usegmt=True)
    script = lambda n, body: (503, {"Retry-After": date}, {}) if n == 1 else OK  # noqa: E731

    replies = asker(serve(script), tmp_path, max_wait=5).ask(questions(1), "text")

    assert texts(replies) == ["4"]


def test_a_server_that_stumbles_is_asked_again(serve, tmp_path):
    script = lambda n, body: (500, {}, b"oops") if n in (1, 2) else OK  # noqa: E731
    server = serve(script)

    replies = asker(server, tmp_path, concurrency=1).ask(questions(2), "text")

    assert texts(replies) == ["4", "4"]
    assert len(server.seen) == 4


def test_a_slow_answer_is_given_up_and_asked_again(serve, tmp_path):
    def script(number, body):
        time.sleep(0.6 if number == 1 else 0)
        return OK

    server = serve(script)

    replies = asker(server, tmp_path, timeout=0.3).ask(questions(1), "text")

    assert texts(replies) == ["4"]
    assert len(server.seen) == 2


def test_a_row_that_always_fails_is_failed_and_the_others_are_not(serve, tmp_path):
    def script(number, body):
        poison = "Question 1?" in body["messages"][0]["content"]
        return (400, {}, {"error": "context length"}) if poison else OK

    server = serve(script)

    replies = asker(server, tmp_path).ask(questions(3), "text")

    assert [reply.status for reply in replies] == ["ok", "failed", "ok"]
    assert len(server.seen) == 3  # a bad request is not repeated


@pytest.mark.parametrize(
    "answer",
    [b"<html>", {"choices": []}, {"error": "x"}, [], chat_answer("4")],
    ids=["no JSON", "no choice", "an error", "a list", "no logprobs"],
)
def test_an_answer_without_log_probabilities_is_failed_never_a_number(
    serve, tmp_path, answer
):
    server = serve(lambda n, body: (200, {}, answer))

    (reply,) = asker(server, tmp_path).ask(questions(1), "digits")

    assert reply == ("failed", None)
    assert not list(tmp_path.rglob("*.parquet"))  # so it may be asked again


@pytest.mark.parametrize(
    ("status", "fix"),
    [(401, "key_env"), (403, "key_env"), (404, "`url:` or `model:`")],
)
def test_a_refused_key_or_model_stops_at_once(serve, tmp_path, status, fix):
    server = serve(lambda n, body: (status, {}, {"error": {"message": "no"}}))

    with pytest.raises(TmapError, match=fix):
        asker(server, tmp_path, concurrency=1).ask(questions(30), "text")

    assert len(server.seen) == 1


def test_a_redirect_is_not_followed(serve, tmp_path):
    other = serve()
    server = serve(lambda n, body: (307, {"Location": other.url}, {}))

    (reply,) = asker(server, tmp_path).ask(questions(1), "text")

    assert reply.status == "failed"
    assert other.seen == []


def test_no_more_requests_are_under_way_than_the_card_says(serve, tmp_path):
    def script(number, body):
        time.sleep(0.02)
        return OK

    server = serve(script)
    asker(server, tmp_path, concurrency=3).ask(questions(20), "text")

    assert server.most == 3


def cut_short(handler):
    """Half a reply: fewer bytes than announced, then the connection is dead."""
    handler.send_response(200)
    handler.send_header("Content-Length", "400")
    handler.end_headers()
    handler.wfile.write(json.dumps(chat_answer("5")).encode()[:40])
    handler.wfile.flush()


def drip(handler):
    """A byte at a time, forever, faster than the timeout of a single read."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    with contextlib.suppress(OSError):  # the other side has hung up
        for _ in range(200):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)


def too_late(handler):
    time.sleep(0.8)


FAULTS = {
    "429 with Retry-After": (429, {"Retry-After": "0.05"}, {}),
    "500": (500, {}, b"oops"),
    "timeout": (200, {}, too_late),
    "garbage": (200, {}, b"\x00\xff{{{ not JSON"),
    "half a JSON": (200, {}, json.dumps(chat_answer("5")).encode()[:40]),
    "half a reply": (200, {}, cut_short),
    "slow drip": (200, {}, drip),
}
WRONG_SCHEMA = (200, {}, {"choices": [{"message": {"score": 5}}]})


def test_no_fault_of_a_server_loses_a_row_or_scores_one(serve, tmp_path):
    """Each row gets each fault once, in a different order; then it is answered."""
    met = {}
    kinds = list(FAULTS)

    def script(number, body):
        row = int(re.search(r"Question (\d+)", str(body["messages"]))[1])
        turn = met[row] = met.get(row, -1) + 1
        if turn < len(kinds):
            return FAULTS[kinds[(row + turn) % len(kinds)]]
        return 200, {}, chat_answer(f"{row % 5}.5")

    server = serve(script)
    how = {
        "attempts": len(kinds) + 1,
        "timeout": 0.4,
        "concurrency": 7,
        "max_wait": 0.1,
    }

    replies = asker(server, tmp_path, **how).ask(questions(14), "text")

    assert texts(replies) == [f"{row % 5}.5" for row in range(14)]
    assert len(server.seen) == 14 * (len(kinds) + 1)


LASTING = {name: f for name, f in FAULTS.items() if f[0] != 429}


@pytest.mark.parametrize(
    "fault", [*LASTING.values(), WRONG_SCHEMA], ids=[*LASTING, "wrong schema"]
)
def test_a_row_that_never_gets_an_answer_is_failed_and_not_stored(
    serve, tmp_path, fault
):
    server = serve(lambda n, body: fault)

    one = asker(server, tmp_path, timeout=0.2, attempts=2)

    assert one.ask(questions(1), "text") == [("failed", None)]
    assert not list(tmp_path.rglob("*.parquet"))


#: Status, body: what a server says at its limit, in the forms that people report.
LIMITS = {
    "a status": (429, {}),
    "a status for too much load": (529, {}),
    "a code under status 200": (200, {"error": {"code": 429, "message": "slow down"}}),
    "a code as text": (200, {"error": {"code": "429"}}),
    "a word": (200, {"error": {"code": "rate_limit_exceeded"}}),
    "a type": (200, {"error": {"type": "rate_limit_error", "message": "x"}}),
    "a sentence": (200, {"error": "Too Many Requests"}),
    "of the upstream": (
        200,
        {"error": {"code": 429, "metadata": {"raw": "rate-limited upstream"}}},
    ),
    "inside of a choice": (200, {"choices": [{"error": {"code": 429}}]}),
    "in place of an answer": (
        200,
        {"object": "error", "message": "Rate limit", "code": 429},
    ),
    "as detail": (200, {"detail": "rate limit reached"}),
    "in a list": (200, {"errors": [{"message": "throttled"}]}),
    "of Google": (200, {"error": {"status": "RESOURCE_EXHAUSTED"}}),
    "of Google, in a list": (200, [{"error": {"code": 429, "message": "Quota"}}]),
    "of a gateway": (200, {"fault": {"faultstring": "Rate limit quota violation"}}),
    "of AWS": (200, {"Message": "ThrottlingException"}),
    "of MiniMax": (200, {"base_resp": {"status_msg": "rate limit"}, "choices": None}),
    "text alone": (200, "Too Many Requests"),
}


@pytest.mark.parametrize("answer", LIMITS.values(), ids=LIMITS)
def test_a_row_lost_to_a_limit_is_asked_again_on_the_next_run(serve, tmp_path, answer):
    strict = [True]

    def script(number, body):
        limited = "Question 1?" in body["messages"][0]["content"] and strict
        return (answer[0], {}, answer[1]) if limited else OK

    server = serve(script)
    how = {"attempts": 2, "concurrency": 1, "max_wait": 0.01}
    with pytest.raises(TmapError, match=r"1 of 3 questions .*limits; the last: status"):
        asker(server, tmp_path, **how).ask(questions(3), "text")
    assert len(server.seen) == 4  # the limited row twice

    strict.clear()
    replies = asker(server, tmp_path, **how).ask(questions(3), "text")
    assert texts(replies) == ["4"] * 3
    assert len(server.seen) == 5


#: A body under status 200, and what the run ends with.
ENDS = {
    "no credit": ({"error": {"code": 402, "message": "Add credits."}}, "Add credits"),
    "no quota": ({"error": {"code": "insufficient_quota"}}, "insufficient_quota"),
    "no quota, in words": (
        {"error": {"code": 429, "message": "check your plan and billing"}},
        "check your plan and billing",
    ),
    "a wrong key": ({"error": {"code": 401, "message": "secret"}}, "key_env"),
    "a wrong key, in words": ({"error": {"type": "authentication_error"}}, "key_env"),
    "no balance": ({"error": {"message": "Insufficient Balance"}}, "Insufficient Bal"),
    "no credits left": (
        {"error": "You have exceeded your monthly included credits"},
        "included credits",
    ),
    "a wrong model": (
        {"error": {"code": "model_not_found", "message": "no model x"}},
        "no model x",
    ),
}


@pytest.mark.parametrize(("body", "told"), ENDS.values(), ids=ENDS)
def test_an_error_under_status_200_ends_the_run_as_its_code_does(
    serve, tmp_path, body, told
):
    server = serve(lambda n, _: (200, {}, body))
    with pytest.raises(TmapError, match=told):
        asker(server, tmp_path, concurrency=1).ask(questions(30), "text")
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"error": None, **chat_answer("4")},
        {"error": {}, **chat_answer("4")},
        {"detail": "x", **chat_answer("4")},
        {"message": "x", "code": 0, **chat_answer("4")},
    ],
)
def test_an_answer_with_an_empty_error_is_an_answer(serve, tmp_path, body):
    server = serve(lambda n, _: (200, {}, body))
    assert texts(asker(server, tmp_path).ask(questions(1), "text")) == ["4"]


#: Headers, body, and the pause in seconds.
ADVICE = [
    ({"Retry-After": "7"}, {}, 7),
    ({"Retry-After-Ms": "250", "Retry-After": "7"}, {}, 0.25),
    ({}, {"error": {"message": "Please try again in 20s."}}, 20),
    ({}, {"error": {"message": "Please try again in 1.5 seconds"}}, 1.5),
    ({}, {"error": {"message": "retry after 3 minutes"}}, 180),
    ({}, {"error": {"message": "Please retry after 12 seconds."}}, 12),
    ({}, {"error": {"message": "try again in 350ms"}}, 0.35),
    ({}, {"error": "Please wait 4 s"}, 4),
    ({}, {"error": {"details": [{"retryDelay": "34s"}]}}, 34),
    ({}, {"error": {"metadata": {"retry_after": 5}}}, 5),
    ({"Retry-After": "-3"}, {}, 0),
    ({}, {"error": {"message": "Please try again in 6m0s."}}, 360),
    ({}, {"error": {"message": "Please try again in 1m30.5s. Visit"}}, 90.5),
    ({}, {"error": {"message": "try again in 1h2m3s"}}, 3723),
    ({}, {"error": {"message": "Limit resets in 1 hour and 5 minutes"}}, 3900),
    ({}, {"error": {"message": "available again in 2 days"}}, 172800),
    ({}, {"error": {"message": "Please wait for 30 sec"}}, 30),
    ({}, {"error": {"message": "try again with 5 messages"}}, None),
    ({}, {"error": {"message": "try later"}}, None),
    ({"Retry-After": "soon"}, {}, None),
    ({}, {"error": {"message": "You asked 20 s ago"}}, None),
]


@pytest.mark.parametrize(("headers", "body", "pause"), ADVICE)
def test_the_server_s_advice_is_read_in_headers_and_in_words(headers, body, pause):
    response = httpx.Response(429, headers=headers, json=body)
    assert complaints.advised_pause(response) == (pause and pytest.approx(pause))


def test_a_server_that_advises_against_it_is_not_asked_again(serve, tmp_path):
    script = lambda n, body: (500, {"x-should-retry": "false"}, {"error": "no"})  # noqa: E731
    server = serve(script)
    (reply,) = asker(server, tmp_path).ask(questions(1), "text")
    assert reply.status == "failed"
    assert len(server.seen) == 1


TOP = [["5", -0.1], ["4", -2.4]]
LISTED = [{"token": t, "logprob": p, "bytes": []} for t, p in TOP]
NULLS = [*LISTED, {"token": "3", "logprob": None}, {"token": "2", "logprob": -math.inf}]
#: Log-probabilities as servers send them, all with TOP.
SHAPES = {
    "chat": {"content": [{"token": "5", "top_logprobs": LISTED}]},
    "completion": {"tokens": ["5"], "top_logprobs": [dict(TOP)]},
    "both": {"content": [{"top_logprobs": LISTED}], "top_logprobs": [dict(TOP)]},
    "completion beside nothing": {"content": None, "top_logprobs": [dict(TOP)]},
    "a list for each position": {"top_logprobs": [LISTED]},
    "nulls": {"content": [{"top_logprobs": NULLS}]},
    "nulls in an object": {"top_logprobs": [{**dict(TOP), "3": None}]},
    "unsorted": {"content": [{"top_logprobs": LISTED[::-1]}]},
    "numbers as text": {"top_logprobs": [{"5": "-0.1", "4": "-2.4"}]},
    "more positions": {"content": [{"top_logprobs": LISTED}, {"top_logprobs": []}]},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_log_probabilities_are_read_in_both_shapes(shape):
    answer = {"choices": [{"logprobs": shape}]}
    assert wire.read(answer, "digits") == {"tokens": TOP}


@pytest.mark.parametrize(
    "shape",
    [{}, None, {"content": []}, {"top_logprobs": [{"5": None}]}, {"content": [{}]}],
)
def test_log_probabilities_that_are_not_there_are_none(shape):
    assert wire.read({"choices": [{"logprobs": shape}]}, "digits") is None


@pytest.mark.parametrize(
    "choice",
    [
        {"message": {"content": "5"}},
        {"text": "5"},
        {"message": {"content": [{"type": "text", "text": "5"}]}},
        {"message": {"content": [{"type": "thinking"}, {"type": "text", "text": "5"}]}},
        {"message": {"content": "5", "reasoning_content": "4?"}, "text": None},
        {"message": {"content": [{"type": "output_text", "text": "5"}]}},
        {"message": {"content": "5"}, "finish_reason": "length"},
    ],
)
def test_a_text_is_read_in_both_shapes(choice):
    assert wire.read({"choices": [choice]}, "text") == {"text": "5"}


@pytest.mark.parametrize("content", ["", None])
def test_an_answer_cut_in_its_thoughts_is_no_reply_and_says_so(
    serve, tmp_path, content
):
    message = {"content": content, "reasoning_content": "Step 1 of"}
    body = {"choices": [{"message": message, "finish_reason": "length"}]}
    server = serve(lambda n, asked: (200, {}, body))
    with pytest.raises(TmapError, match=r"no text, and end at `max_new_tokens`"):
        asker(server, tmp_path).ask(questions(30), "text")
    assert not list(tmp_path.rglob("*.parquet"))


def test_an_answer_that_an_error_ended_is_asked_again(serve, tmp_path):
    broken = {"choices": [{"message": {"content": ""}, "finish_reason": "error"}]}
    server = serve(lambda n, asked: (200, {}, broken) if n == 1 else OK)
    (reply,) = asker(server, tmp_path, max_wait=0.01).ask(questions(1), "text")
    assert reply.raw == {"text": "4"}
    assert len(server.seen) == 2


# --- budgets and resume


def test_a_spent_budget_stops_cleanly_and_the_next_run_asks_nothing_twice(
    serve, tmp_path
):
    server = serve()
    with pytest.raises(
        TmapError, match=r"max_requests is 5.*5 of 12 replies are stored"
    ):
        asker(server, tmp_path, max_requests=5).ask(questions(12), "text")
    assert len(server.seen) == 5

    replies = asker(server, tmp_path).ask(questions(12), "text")

    assert texts(replies) == ["4"] * 12
    assert sorted(server.texts()) == sorted({*server.texts()})
    assert len(server.seen) == 12


def test_tokens_are_counted_as_the_server_bills_them(serve, tmp_path):
    server = serve(lambda n, body: (200, {}, chat_answer("4", tokens=100)))

    with pytest.raises(TmapError, match="max_tokens is 250, and 300 are used"):
        one = asker(server, tmp_path, max_tokens=250, concurrency=1)
        one.ask(questions(9), "text")

    assert len(server.seen) == 3


def test_equal_rows_are_asked_once(serve, tmp_path):
    server = serve()

    replies = asker(server, tmp_path).ask(questions(1) * 5, "text")

    assert texts(replies) == ["4"] * 5
    assert len(server.seen) == 1


def test_an_interrupted_chunk_keeps_what_was_answered(serve, tmp_path, monkeypatch):
    from tmap.judges import server as module

    server = serve()

    def interrupted(jobs):
        for job in list(jobs)[:3]:
            job.result()
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        asker(server, tmp_path, concurrency=1).ask(questions(4), "text")
    monkeypatch.undo()
    before = len(server.seen)

    asker(server, tmp_path).ask(questions(4), "text")

    assert len(server.seen) - before <= 1


JOB = """
import sys
sys.path[:0] = sys.argv[2:]
from judging import Server, ServerSection, LimitSection, FORM, questions, store_at
section = ServerSection(url=sys.argv[1], model="some-model")
limits = LimitSection(concurrency=2, timeout=30)
judge = Server(section, limits, "chat", FORM, open_store=store_at(sys.argv[3]))
judge.ask(questions(60), "text")
"""


def test_after_a_kill_only_what_is_missing_is_asked(serve, tmp_path):
    """SIGKILL in the middle: only the last few requests were not yet stored."""
    reached = threading.Event()

    def script(number, body):
        if number > 30:
            reached.set()
            time.sleep(30)
        return OK

    server = serve(script)
    paths = [str(ROOT / "tests/support"), str(tmp_path)]
    job = subprocess.Popen([sys.executable, "-c", JOB, server.url, *paths])
    assert reached.wait(120)
    time.sleep(3)  # a busy machine stores what it was answered a little later
    job.kill()
    job.wait()
    answered, server.script = len(server.seen), lambda number, body: OK

    replies = asker(server, tmp_path).ask(questions(60), "text")

    assert texts(replies) == ["4"] * 60
    again = len(server.seen) - answered
    stored = 60 - again
    assert 24 <= stored <= 30  # whole chunks of 4 x 2 are safe
    assert len(set(server.texts()[answered:])) == again


def test_an_edited_template_or_model_asks_again(serve, tmp_path):
    server = serve()
    other = FormSection(template="{instruction} {response}\nOther:\n", max_new_tokens=9)

    asker(server, tmp_path).ask(questions(1), "text")
    asker(server, tmp_path, form=other).ask(questions(1), "text")

    assert len(server.seen) == 2  # max_new_tokens is part of the key


# --- the key


def test_the_key_is_in_a_header_and_nowhere_else(
    serve, tmp_path, monkeypatch, caplog, capfd
):
    monkeypatch.setenv("MY_KEY", KEY)

    def script(number, body):
        said = {"error": f"you sent {KEY}"}
        return {1: (500, {}, said), 2: (400, {}, said)}.get(number, OK)

    server = serve(script)
    with caplog.at_level(logging.DEBUG):
        judge = asker(server, tmp_path, key_env="MY_KEY", concurrency=1)
        judge.ask(questions(4), "text")

    assert server.headers_seen[0]["Authorization"] == f"Bearer {KEY}"
    assert "you sent ***" in caplog.text
    out, err = capfd.readouterr()
    for text in (caplog.text, out, err, json.dumps(server.seen), repr(judge.__dict__)):
        assert KEY not in text
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert all(KEY.encode() not in path.read_bytes() for path in files)


def test_a_refusal_of_the_key_does_not_repeat_it(serve, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    server = serve(lambda n, body: (401, {}, {"error": f"wrong key {KEY[:9]}..."}))

    with pytest.raises(TmapError) as fault:
        asker(server, tmp_path, key_env="MY_KEY").ask(questions(1), "text")

    assert KEY[:5] not in str(fault.value)


def test_stores_of_two_wishes_do_not_mix(serve, tmp_path):
    listed = top(_4=1.0)
    server = serve(lambda n, body: (200, {}, chat_answer("4", listed)))
    judge = asker(server, tmp_path)

    judge.ask(questions(1), "digits")
    judge.ask(questions(1), "text")

    assert {p.parts[-3] for p in tmp_path.rglob("*.parquet")} == {"tokens", "replies"}

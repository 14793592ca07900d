"""Servers: errors under status 200, used-up quotas, limits that outlast attempts."""

from __future__ import annotations

from functools import partial
from typing import Any

from cases import Case, Room
from cases.api import ask, status
from tmap.cards.model import AnsweringSection
from tmap.engines.server import Server
from tmap.engines.weights import load_tokenizer

PAYING = "Requests need credit"


def body(**error: Any) -> Any:
    return 200, {}, {"error": error}


def ends(name: str, answer: Any, wrong: str, right: str, fix: str) -> Case:
    return Case(name, partial(ask, answer=answer), wrong, right, fix)


def quota(name: str, answer: Any, told: str) -> Case:
    return ends(name, answer, told, PAYING, "Add some, or name another server")


def answered(room: Room, answer: Any) -> None:
    """Ask the engine `server`."""
    server = room.serve(lambda number, asked: answer)
    limits = {"attempts": 2, "max_wait": 0.01}
    card = AnsweringSection(url=server.url, model="fake", limits=limits)
    engine = Server(card, load_tokenizer(room.llama), key="", context=512)
    engine.generate([[1, 2]], [[3]], max_new_tokens=4)


def engine(name: str, answer: Any, wrong: str) -> Case:
    fix = "Start it again or fix `engine: server:`"
    return Case(name, partial(answered, answer=answer), wrong, "does not answer", fix)


def one_limited(room: Room) -> None:
    """One row of three meets a limit."""
    from judging import OK, asker, questions

    def script(number: int, asked: Any) -> Any:
        limited = "Question 1?" in asked["messages"][0]["content"]
        return body(code=429, message="too fast") if limited else OK

    judge = asker(room.serve(script), room.path, attempts=1, max_wait=0.01)
    judge.ask(questions(3), "text")


CASES = [
    quota(
        "no credit", body(code=402, message="Buy more."), "no quota left: 'Buy more."
    ),
    quota(
        "a used-up quota",
        status(429, "You exceeded your current quota, check your plan and billing"),
        "no quota left: 'You exceeded your current quota",
    ),
    quota(
        "a used-up quota under status 200",
        body(code="insufficient_quota", message="None left."),
        "no quota left: 'None left.",
    ),
    quota(
        "a status for payment", status(402, "Pay first."), "no quota left: 'Pay first."
    ),
    ends(
        "a limit under status 200 that lasts",
        body(code=429, message="Rate limit exceeded: free-models-per-day."),
        "the last: status 429, 'Rate limit exceeded: free-models-per-day.",
        "gave nothing usable",
        "Fix the judge card or the server",
    ),
    ends(
        "too much load under status 200 that lasts",
        body(type="overloaded_error", message="Overloaded"),
        "the last: status 503, 'Overloaded",
        "gave nothing usable",
        "Fix the judge card or the server",
    ),
    ends(
        "an error without a code",
        (200, {}, {"error": "something broke"}),
        "the last: status 500, 'something broke'",
        "gave nothing usable",
        "Fix the judge card or the server",
    ),
    ends(
        "a key that is refused under status 200",
        body(code=401, message="bad"),
        "The judge's server refuses, status 401",
        "a key that may use the model",
        "Put",
    ),
    ends(
        "a model that is not there under status 200",
        body(code="model_not_found", message="no model 'x'"),
        "does not know this: \"no model 'x'",
        "`url:` or `model:`",
        "Fix",
    ),
    ends(
        "a pause in words that is too long",
        status(429, "Please try again in 20 minutes."),
        "asks to wait 1200 s",
        "limits.max_wait allows",
        "Run again later",
    ),
    ends(
        "a pause in milliseconds that is too long",
        status(429, "slow", retry_after_ms="90000"),
        "asks to wait 90 s",
        "limits.max_wait allows",
        "Run again later",
    ),
    Case(
        "one row that meets a limit",
        one_limited,
        "1 of 3 questions have no reply because of the server's limits",
        "which asks only these",
        "Run the same command again",
    ),
    quota(
        "no balance under status 400",
        status(400, "Your credit balance is too low to access the API."),
        "no quota left: 'Your credit balance is too low",
    ),
    quota(
        "a month's credits under status 200",
        body(message="You have exceeded your monthly included credits"),
        "no quota left: 'You have exceeded your monthly",
    ),
    ends(
        "a pause in hours, minutes and seconds",
        status(429, "Please try again in 1h2m3s."),
        "asks to wait 3723 s",
        "limits.max_wait allows",
        "Run again later",
    ),
    ends(
        "a gateway's error without the usual keys",
        (200, {}, {"fault": {"faultstring": "Upstream is gone"}}),
        'the last: status 500, \'{"fault"',
        "gave nothing usable",
        "Fix the judge card or the server",
    ),
    ends(
        "an error in a list",
        (200, {}, [{"error": {"code": 404, "message": "no model 'y'"}}]),
        "does not know this: \"no model 'y'",
        "`url:` or `model:`",
        "Fix",
    ),
    ends(
        "an answer that is cut inside of its thoughts",
        (
            200,
            {},
            {
                "choices": [
                    {
                        "message": {"content": None, "reasoning_content": "Step"},
                        "finish_reason": "length",
                    }
                ]
            },
        ),
        "its answers contain no text, and end at `max_new_tokens`",
        "gave nothing usable",
        "Fix the judge card or the server",
    ),
    engine(
        "a model's server with a limit under status 200",
        body(code=429, message="slow down"),
        "status 429, 'slow down",
    ),
    engine(
        "a model's server with an error in place of an answer",
        (200, {}, {"object": "error", "message": "too long", "code": 400}),
        "status 400, 'too long",
    ),
]

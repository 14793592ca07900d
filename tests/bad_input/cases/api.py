"""Calls: of a judge behind an API, of recorded replies, and of the library itself.

A server is asked only a few times before such an error ends the run.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from cases import SECRET, Case, Room
from judging import FORM, OK, asker, chat_answer, questions, row
from tmap import indicators
from tmap.artifacts import tables
from tmap.cards.judge import RecordedSection
from tmap.indicators import get
from tmap.indicators.scoring import columns
from tmap.judges.forms import fill
from tmap.judges.recorded import Recorded
from tmap.prompts import conversation
from tmap.search import dealing
from tmap.selection import weights

#: Requests that may go out before a fault ends the run: ten in a row, and those that
#: are under way then.
MOST = 16


def ask(
    room: Room, answer: Any, want: str = "text", n: int = 30, **limits: Any
) -> None:
    """Ask a server that always gives this answer."""
    server = room.serve(lambda number, body: answer)
    try:
        judge = asker(server, room.path, **{"concurrency": 1, "attempts": 1} | limits)
        judge.ask(questions(n), want)
    finally:
        assert len(server.seen) <= MOST


def status(number: int, said: str = "no", **headers: str) -> Any:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return number, names, {"error": {"message": said}}


def no_server(room: Room) -> None:
    server = room.serve()
    server.shutdown()
    server.server_close()
    asker(server, room.path, attempts=1).ask(questions(12), "text")


def with_key(room: Room, value: str | None) -> None:
    room.patch.delenv("MY_KEY", raising=False)
    if value is not None:
        room.patch.setenv("MY_KEY", value)
    ask(room, OK, key_env="MY_KEY")


def replay(room: Room, *lines: Any) -> None:
    recorded = RecordedSection(path=room.jsonl(list(lines), "replies.jsonl"))
    Recorded(recorded, "completion").ask([fill(FORM, row())], "text")


def another_pool(room: Room) -> None:
    pool = pd.DataFrame({"sample_id": ["a"]})
    conversation.chosen(pool, pd.DataFrame({"sample_id": ["b"]}))


def bare_table(room: Room) -> None:
    tables.write("subset", pd.DataFrame({"sample_id": ["a"]}), "x.parquet", code="c")


CASES = [
    Case(
        "a key that is refused",
        partial(ask, answer=status(401, f"wrong key {SECRET}")),
        "The judge's server refuses, status 401",
        "a key that may use the model",
        "Put",
    ),
    Case(
        "a model that the server lacks",
        partial(ask, answer=status(404, "no model 'some-model'")),
        "does not know this: ",
        "`url:` or `model:` under `server:`",
        "Fix",
    ),
    Case(
        "a quota that is used up",
        partial(ask, answer=status(429, Retry_After="3600")),
        "asks to wait 3600 s",
        "limits.max_wait allows 0 s",
        "Run again later, or allow more",
    ),
    Case(
        "a server that lists no probabilities",
        partial(ask, answer=(200, {}, chat_answer("4")), want="digits"),
        "the last: its answers contain no log-probabilities",
        "gave nothing usable",
        "Fix the judge card or the server",
    ),
    Case(
        "a page for people",
        partial(ask, answer=(200, {}, b"<html>")),
        "the last: its answer is not JSON",
        "gave nothing usable",
        "Fix the judge card or the server",
    ),
    Case(
        "requests that are too long",
        partial(ask, answer=status(400, "context length")),
        "the last: status 400",
        "gave nothing usable",
        "Fix the judge card or the server",
    ),
    Case(
        "a server that stumbles on",
        partial(ask, answer=status(500)),
        "the last: status 500",
        "gave nothing usable",
        "Fix the judge card or the server",
    ),
    Case(
        "a server that moved",
        partial(ask, answer=(307, {"Location": "http://127.0.0.1:9/v1"}, {})),
        "the last: status 307",
        "gave nothing usable",
        "Fix the judge card or the server",
    ),
    Case(
        "no server",
        no_server,
        "10 requests in a row to http://127.0.0.1",
        "gave nothing usable",
        "Fix the judge card or the server",
    ),
    Case(
        "a budget of requests that is spent",
        partial(ask, answer=OK, max_requests=5),
        "limits.max_requests is 5, and 5 are used",
        "5 of 30 replies are stored",
        "the same command continues",
    ),
    Case(
        "a budget of tokens that is spent",
        partial(ask, answer=(200, {}, chat_answer("4", tokens=100)), max_tokens=250),
        "limits.max_tokens is 250, and 300 are used",
        "3 of 30 replies are stored",
        "the same command continues",
    ),
    Case(
        "a key that is not set",
        partial(with_key, value=None),
        "MY_KEY is not set",
        "reads the server's key from it",
        "Export it where the command runs",
    ),
    Case(
        "a key with a line break",
        partial(with_key, value="two\nlines"),
        "MY_KEY contains more than a key",
        "one line of printable ASCII",
        "Export it again",
    ),
    Case(
        "replies to other questions",
        lambda room: replay(
            room, {"request": {"prompt": "other"}, "reply": {"text": "3"}}
        ),
        "None of 1 requests is among the 1 recorded",
        "they must match exactly",
        "Record the judge card's template",
    ),
    Case(
        "two replies to one question",
        lambda room: replay(
            room,
            {"request": {"prompt": "a"}, "reply": {"text": "3"}},
            {"request": {"prompt": "a"}, "reply": {"text": "4"}},
        ),
        "two different replies to one request",
        "must come from one judge",
        "Record each judge to its own file",
    ),
    Case(
        "a recording of something else",
        lambda room: replay(room, {"question": "a", "answer": "b"}),
        "replies.jsonl row 1",
        "must be JSON objects, such as",
        "Fix the row",
    ),
    Case(
        "an indicator that does not exist",
        lambda room: get("perplexty"),
        "No indicator 'perplexty'",
        "Did you mean 'perplexity'",
        "indicators/perplexty.py",
        typo=True,
    ),
    Case(
        "an option that an indicator lacks",
        lambda room: indicators.get("output_length").check_options({"unit": "words"}),
        "has no option 'unit'",
        "It has: count",
        "Fix `indicators: output_length:`",
    ),
    Case(
        "an indicator that needs a model and gets none",
        lambda room: columns.score(
            pd.DataFrame({"sample_id": ["a"]}), "perplexity", None, {}
        ),
        "'perplexity' needs a language model, but none was given",
        "results/models/MODEL.json",
        "Pass --model-file",
    ),
    Case(
        "a table without its columns",
        bare_table,
        "it has sample_id",
        "must have columns sample_id, rank, score",
        "Pass exactly these",
    ),
    Case(
        "a subset of another pool",
        another_pool,
        "names 1 samples that the pool lacks, such as 'b'",
        "it must come from this pool",
        "Build the subset again",
    ),
    Case(
        "weights that no search has found",
        lambda room: weights.read_weights("learned", ["ifd"]),
        "Weights 'learned' are not fixed by the card",
        "a weights file is needed",
        "Run `tmap search-weights`",
    ),
    Case(
        "more demonstrations than samples",
        lambda room: dealing.deal(np.arange(2), 5, 3, "top"),
        "need 15 selected samples; there are 2",
        "a larger pool",
        "Lower search.n_groups or search.n_shots",
    ),
]

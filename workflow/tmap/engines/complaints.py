"""What a server says when it does not answer: its code, its words, its advice to wait.

Some servers, and proxies before them, send an error as the body of a status 200.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

#: Headers that `advised_pause` and `may_retry` read.
HEADERS = ("retry-after", "retry-after-ms", "x-should-retry")
#: Status codes under which servers say that there is no credit, besides 402.
REFUSALS = (400, 403, 429)
#: Words in an error's code, type or message -> the status that they mean; the first wins.
WORDS = [
    (re.compile(words), status)
    for words, status in (
        (
            r"insufficient.(?:quota|credit|balance|fund)|billing|add.credits|payment"
            r"|credit.balance|(?:monthly|included) credits|arrear|out of credit",
            402,
        ),
        (r"rate.?limit|too.many.requests|quota|resource.?exhausted|throttl", 429),
        (r"overload|over.?capacity|unavailable|busy|loading.model", 503),
        (r"time.?d?.?out|deadline", 504),
        (r"invalid.api.key|authenticat|unauthori[sz]ed|permission|forbidden", 401),
        (r"model.not.found|not.found|no.such.model|does.not.exist", 404),
        (r"context.length|too.long|content.filter|invalid.request|bad.?request", 400),
    )
]
PART = (
    r"\d+(?:\.\d+)?\s*(?:ms|milliseconds?|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h"
    r"|days?|d)(?![a-z])"
)
#: "Please try again in 6m0s", "resets in 1 hour 5 minutes".
TRY_AGAIN = re.compile(
    r"(?:try again|retry|wait|resets?|available)\D{0,20}?"
    rf"(?P<time>{PART}(?:\s?(?:,|and)?\s?{PART})*)",
    re.IGNORECASE,
)
ONE_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|mil|[smhd])", re.IGNORECASE)
UNITS = {"ms": 1e-3, "mil": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DELAY = re.compile(r"(\d+(?:\.\d+)?)s?")
DELAY_KEYS = ("retryDelay", "retry_after", "retry_after_seconds")


def hidden_error(response: httpx.Response, answer: Any) -> httpx.Response | None:
    """The error that the body of a successful response is; None if it is an answer.

    Its status is the one that the body names or means, 500 if it says nothing.
    """
    fault = _fault(answer)
    if fault is None:
        return None
    return httpx.Response(
        _status(fault), headers=response.headers, content=response.content
    )


def spent(response: httpx.Response) -> bool:
    """Whether the account has no money or quota left, which waiting does not change."""
    if response.status_code == 402:
        return True
    fault = _fault(_json(response)) if response.status_code in REFUSALS else None
    return fault is not None and WORDS[0][0].search(_words(fault)) is not None


def may_retry(response: httpx.Response) -> bool:
    """Whether the server does not advise against another attempt."""
    advice: str = response.headers.get("x-should-retry", "")
    return advice.strip().lower() != "false"


def message(response: httpx.Response) -> str:
    """The sentence of an error in the usual shapes; else the whole text."""
    fault = _fault(_json(response))
    if isinstance(fault, Mapping):
        parts = [fault.get(key) for key in ("message", "detail", "error", "code")]
        about = fault.get("metadata")
        parts.append(about.get("raw") if isinstance(about, Mapping) else None)
        told = [part for part in parts if isinstance(part, str) and part.strip()]
        if told:
            return " ".join(dict.fromkeys(told))
    return fault if isinstance(fault, str) else response.text


def advised_pause(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait, in a header or in its words; None if none."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        pause = _seconds(response.headers.get(name, "").strip(), unit)
        if pause is not None:
            return pause
    for key, value in _pairs(_json(response)):
        found = DELAY.fullmatch(str(value).strip()) if key in DELAY_KEYS else None
        if found:
            return float(found[1])
    found = TRY_AGAIN.search(message(response)[:2000])
    if found is None:
        return None
    parts = ONE_PART.findall(found["time"])
    return sum(float(number) * UNITS[unit.lower()] for number, unit in parts)


def _fault(answer: Any) -> Mapping[str, Any] | str | None:
    """The part of an answer that is an error: all of it, if it has words and no choices."""
    if isinstance(answer, list) and answer:
        answer = answer[0]
    if not isinstance(answer, Mapping):
        return answer if isinstance(answer, str) and answer.strip() else None
    found = answer.get("error") or answer.get("errors")
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not found and isinstance(first, Mapping):
        found = first.get("error")
        if not found and first.get("finish_reason") == "error":
            return "its answer ended by an error (finish_reason)"
    words = (value for _, value in _pairs(answer) if isinstance(value, str))
    if found is True or (not found and not choices and any(map(str.strip, words))):
        found = answer
    if isinstance(found, list) and found:
        found = found[0]
    if not found:
        return None
    return found if isinstance(found, (Mapping, str)) else str(found)


def _status(fault: Mapping[str, Any] | str) -> int:
    if isinstance(fault, Mapping):
        for key in ("code", "status", "status_code", "http_status"):
            if str(fault.get(key)).isdigit() and 400 <= int(str(fault[key])) < 600:
                return int(str(fault[key]))
    words = _words(fault)
    return next((status for known, status in WORDS if known.search(words)), 500)


def _words(fault: Mapping[str, Any] | str) -> str:
    if isinstance(fault, str):
        return fault.lower()
    keys = ("code", "type", "status", "message", "detail")
    known = " ".join(str(fault[key]) for key in keys if key in fault)
    return (known or str(fault)[:2000]).lower()


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _pairs(value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Keys and values of an object and of what is in it."""
    if isinstance(value, Mapping) and depth < 6:
        for key, inner in value.items():
            yield str(key), inner
            yield from _pairs(inner, depth + 1)
    elif isinstance(value, list) and depth < 6:
        for inner in value[:20]:
            yield from _pairs(inner, depth + 1)


def _seconds(asked: str, unit: float) -> float | None:
    """A number, or the time until a date."""
    try:
        return max(0.0, float(asked) * unit)
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None

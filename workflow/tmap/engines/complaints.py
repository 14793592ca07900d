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
#: Words in an error's code, type or message -> the status that they mean; the first wins.
WORDS = [
    (re.compile(words), status)
    for words, status in (
        (r"insufficient_quota|billing|insufficient.credit|add.credits|payment", 402),
        (r"rate.?limit|too.many.requests|quota|resource.?exhausted|throttl", 429),
        (r"overload|over.?capacity|unavailable|busy|loading.model", 503),
        (r"time.?d?.?out|deadline", 504),
        (r"invalid.api.key|authenticat|unauthori[sz]ed|permission|forbidden", 401),
        (r"model.not.found|not.found|no.such.model|does.not.exist", 404),
        (r"context.length|too.long|content.filter|invalid.request|bad.?request", 400),
    )
]
TRY_AGAIN = re.compile(
    r"(?:try again|retry|wait)\D{0,20}?(?:in|after|for)?\s*"
    r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|seconds?|secs?|s|minutes?|mins?|m)\b",
    re.IGNORECASE,
)
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
    fault = _fault(_json(response)) if response.status_code == 429 else None
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
    word = found[2].lower()
    scale = 1e-3 if word.startswith(("ms", "milli")) else 60 if word[0] == "m" else 1
    return float(found[1]) * scale


def _fault(answer: Any) -> Mapping[str, Any] | str | None:
    """The part of an answer that is an error."""
    if not isinstance(answer, Mapping):
        return None
    found = answer.get("error") or answer.get("errors")
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not found and isinstance(first, Mapping):
        found = first.get("error")
    if not found and not choices:
        bare = answer.get("object") == "error" or "detail" in answer
        bare = bare or ("message" in answer and ("code" in answer or "type" in answer))
        found = answer if bare else None
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
    return " ".join(str(fault[key]) for key in keys if key in fault).lower()


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

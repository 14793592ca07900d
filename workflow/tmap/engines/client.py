"""A client for a server: retries, pauses that it asks for, budgets, a hidden key."""

from __future__ import annotations

import os
import threading
import time
import zlib
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from tmap.artifacts.addresses import direct
from tmap.artifacts.secrets import hide, learn
from tmap.errors import TmapError

if TYPE_CHECKING:
    from tmap.cards.judge import LimitSection

#: Status codes after which another attempt may succeed.
AGAIN = (408, 409, 425, 429, 500, 502, 503, 504, 529)
#: Most bytes of an answer.
LARGEST = 2**24
KEY = (
    "Put a key that may use the model into the environment variable that "
    "`limits: {key_env: ...}` of the card names"
)


class Refused(Exception):
    """No reply to this request; another request may get one."""


class Again(Refused):
    """Like `Refused`, but worth another attempt.

    `pause` is the delay that the server asked for, in seconds, or None.
    """

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


class OverBudget(Exception):
    """A budget has no room for another request."""


class Client:
    """Posts JSON; shared by threads.

    Parameters
    ----------
    address : URL to post to
    limits : `limits:` section of a judge card, or of a model card's server
    whose : owner of the server ("judge" or "model"), for messages

    Attributes
    ----------
    requests, tokens : requests sent and tokens billed so far
    """

    def __init__(
        self, address: str, limits: LimitSection, whose: str = "judge"
    ) -> None:
        self.address, self.limits, self.whose = address, limits, whose
        self.requests = self.tokens = 0
        self._lock = threading.Lock()
        self._quiet_until = 0.0
        self._ended: Exception | None = None
        self._key = _key(limits, whose)
        # A few compressed bytes may stand for gigabytes, so none are asked for.
        headers = {"Accept-Encoding": "identity"}
        headers |= {"Authorization": f"Bearer {self._key}"} if self._key else {}
        # Without redirects: another address must not get the key.
        self._client = httpx.Client(
            timeout=limits.timeout, headers=headers, mounts=direct(address)
        )
        backoff = wait_random_exponential(multiplier=0.5, max=limits.max_wait)
        self._retrying = Retrying(
            retry=retry_if_exception_type(Again),
            stop=stop_after_attempt(limits.attempts),
            # A pause that the server asked for holds back all threads, in `_grant`.
            wait=lambda state: 0.0 if _pause(state) is not None else backoff(state),
            reraise=True,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def post(self, body: dict[str, Any]) -> Any:
        """The parsed answer.

        Raises
        ------
        Refused
            This request has no answer, even after all attempts.
        OverBudget
            A budget is spent; nothing was sent.
        TmapError
            No request can succeed: wrong key, model or address, or a pause that is
            longer than the card allows.
        """
        return self._retrying.copy()(self._attempt, body)

    def _attempt(self, body: dict[str, Any]) -> Any:
        self._grant()
        try:
            response = self._answer(body)
        except httpx.RequestError as fault:
            raise Again(f"{type(fault).__name__}, no answer") from None
        if response.status_code in AGAIN:
            raise self._again(response)
        if not response.is_success:
            raise self._refused(response)
        try:
            answer = response.json()
        except (ValueError, RecursionError):
            raise Again("its answer is not JSON") from None
        with self._lock:
            self.tokens += _billed(answer)
        return answer

    def _answer(self, body: dict[str, Any]) -> httpx.Response:
        """The whole answer, within `timeout` seconds: httpx's own limit is per chunk."""
        end = time.monotonic() + self.limits.timeout
        with self._client.stream("POST", self.address, json=body) as response:
            unpack = _unpacker(response.headers.get("content-encoding", ""))
            content = bytearray()
            for piece in response.iter_raw():
                content += unpack(piece, LARGEST + 1 - len(content))
                if time.monotonic() > end:
                    raise httpx.ReadTimeout("the answer arrives too slowly")
                if len(content) > LARGEST:
                    content.clear()  # exceptions keep their frames for a while
                    raise Refused(f"an answer of more than {LARGEST} bytes")
        headers = {k: v for k, v in response.headers.items() if k == "retry-after"}
        status = response.status_code
        return httpx.Response(status, headers=headers, content=bytes(content))

    def _grant(self) -> None:
        """Wait until a request may be sent, and take it from the budget."""
        while (left := self._quiet_until - time.monotonic()) > 0:
            time.sleep(left)
        with self._lock:
            if self._ended is not None:
                raise self._ended
            for name, used in (("requests", self.requests), ("tokens", self.tokens)):
                most = getattr(self.limits, f"max_{name}")
                if most is not None and used >= most:
                    raise OverBudget(
                        f"limits.max_{name} is {most}, and {used} are used"
                    )
            self.requests += 1

    def _again(self, response: httpx.Response) -> Exception:
        reason = f"status {response.status_code}"
        pause = _asked_pause(response)
        if pause is not None and pause > self.limits.max_wait:
            return self._end(
                f"The {self.whose}'s server asks to wait {pause:.0f} s; limits.max_wait "
                f"allows {self.limits.max_wait:.0f} s. Run again later, or allow more."
            )
        if pause is not None:
            with self._lock:
                until = time.monotonic() + pause
                self._quiet_until = max(self._quiet_until, until)
        return Again(reason, pause)

    def _refused(self, response: httpx.Response) -> Exception:
        status = response.status_code
        if status in (401, 403):  # unquoted: servers like to repeat part of the key
            return self._end(
                f"The {self.whose}'s server refuses, status {status}. {KEY}."
            )
        if status == 404:
            return self._end(
                f"The {self.whose}'s server does not know this: {self._said(response)}. "
                "Fix `url:` or `model:` under `server:` in the "
                f"{self.whose} card."
            )
        return Refused(f"status {status}, {self._said(response)}")

    def _end(self, message: str) -> TmapError:
        """An error that ends this client for every thread."""
        fault = TmapError(message)
        with self._lock:
            self._ended = self._ended or fault
        return fault

    def _said(self, response: httpx.Response) -> str:
        """The server's own message, on one line, without the key."""
        text = response.text
        if self._key:
            text = text.replace(self._key, "***")
        words = " ".join(hide(text).split())
        plain = "".join(c for c in words if c.isprintable())
        return repr(plain[:200])


def _unpacker(encoding: str) -> Callable[[bytes, int], bytes]:
    """Undoes a content encoding, piece by piece, up to a number of bytes each."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return lambda piece, most: piece
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Refused(f"an answer compressed as {encoding[:40]!r}, which was not asked")
    # 47: gzip or zlib, as the data say.
    one = zlib.decompressobj(47)

    def unpack(piece: bytes, most: int) -> bytes:
        try:
            return one.decompress(piece, most)
        except zlib.error:
            raise Refused("an answer whose compression is broken") from None

    return unpack


def _key(limits: LimitSection, whose: str) -> str:
    if limits.key_env is None:
        return ""
    value = os.environ.get(limits.key_env, "").strip()
    learn(value)
    if not value:
        raise TmapError(
            f"The environment variable {limits.key_env} is not set; the {whose} card "
            "reads the server's key from it. Export it where the command runs."
        )
    if not value.isascii() or not value.isprintable():
        raise TmapError(
            f"The environment variable {limits.key_env} contains more than a key: it "
            "must be one line of printable ASCII. Export it again."
        )
    return value


def _pause(state: RetryCallState) -> float | None:
    fault = state.outcome.exception() if state.outcome else None
    return fault.pause if isinstance(fault, Again) else None


def _asked_pause(response: httpx.Response) -> float | None:
    """Seconds from Retry-After, which may also be a date; None if absent."""
    asked = response.headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _billed(answer: Any) -> int:
    usage = answer.get("usage") if isinstance(answer, dict) else None
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) and total > 0 else 0

"""Attempts at one job under a scheduler: stop in time, resume, and know when to give up.

A scheduler kills a job at its `runtime`. Long commands therefore call `kept` whenever
something is safely on disk (an answer in the ledger, a part of the store, a checkpoint). A
job that could not finish another step of this kind in time stops there by itself. The
profile's `retries:` start the next attempt, which resumes from what is kept. A record of
the attempts is written next to the job's log. An attempt that could only repeat the
previous one ends at once:

    [{"run": "9f2c", "number": 1, "process": "node1 4711", "kept": true, "end": "Time..."},
     {"run": "9f2c", "number": 2, "process": "node2 815", "kept": false, "end": null}]
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import signal
import socket
import sys
import time
import uuid
from pathlib import Path
from typing import Any, NoReturn

from tmap.artifacts.files import read_json, write_json
from tmap.errors import TmapError

logger = logging.getLogger(__name__)

#: The recorded end of an attempt that used more memory than it had.
OUT_OF_MEMORY = "out of memory"
#: When the scheduler's job began, in seconds since 1970; the rules set it in each job.
JOB_START = "TMAP_JOB_START"
#: Which run of the workflow this job belongs to; set where the run is started.
RUN = "TMAP_RUN"
#: Seconds from the job's start to its command. If more have passed, other jobs of its
#: group ran first.
START_UP = 300
#: How often memory may double.
DOUBLINGS = 4
#: Attempts in a row that may end in the same way with nothing kept: without a message,
#: because a node may fail; or out of memory, because it is doubled each time.
LIMITS = {None: 2, OUT_OF_MEMORY: DOUBLINGS + 1}


class Clock:
    """Decides when to stop: if another step is likely to reach into the margin.

    Parameters
    ----------
    minutes : granted by the scheduler
    start : when the command began, in seconds of `time.monotonic`
    """

    def __init__(self, minutes: float, start: float) -> None:
        self.minutes, self.start = minutes, start
        seconds = 60 * minutes
        # Time for what precedes and follows the command: at most half of the total.
        self.margin = min(max(0.05 * seconds, 30.0), 300.0, 0.5 * seconds)
        self.end = start + seconds - self.margin
        self._last: float | None = None
        self._longest = 0.0

    def is_short(self) -> bool:
        """Whether a step as long as the longest so far would end too late."""
        now = time.monotonic()
        if self._last is not None:
            self._longest = max(self._longest, now - self._last)
        self._last = now
        return now + self._longest > self.end


class Attempt:
    """One attempt at a job.

    Parameters
    ----------
    record : file with all attempts
    number : from 1; attempts of other runs are dropped from the record
    minutes : granted by the scheduler

    Raises
    ------
    TmapError : earlier attempts show that this one would achieve nothing
    """

    def __init__(self, record: Path, number: int, minutes: float) -> None:
        self.record, self.number = record, number
        self.clock = Clock(minutes, time.monotonic() - _passed())
        before = history(record)
        _check_hope(before, number)
        self._me = {
            "run": _run(),
            "number": number,
            "process": f"{socket.gethostname()} {os.getpid()}",  # of the parent
            "kept": False,
            "end": None,
        }
        write_json(record, [*before, self._me])

    def shared(self) -> dict[str, Any]:
        """What `joined` needs to continue this attempt in another process."""
        about = {"number": self.number, "minutes": self.clock.minutes, "me": self._me}
        return {"record": str(self.record), "start": self.clock.start, **about}

    @classmethod
    def joined(
        cls, record: str, number: int, minutes: float, start: float, me: dict[str, Any]
    ) -> Attempt:
        """The same attempt in another process of this machine."""
        found = cls.__new__(cls)
        found.record, found.number, found._me = Path(record), number, me
        found.clock = Clock(minutes, start)
        return found

    def kept(self) -> None:
        """Note that something new is on disk."""
        if not self._is_latest():
            raise TmapError(
                "Another attempt at this job has begun because the scheduler took this "
                "one for dead, so this one stops. Nothing is lost."
            )
        if not self._me["kept"]:
            self._note(kept=True)

    def stop(self) -> NoReturn:
        """End because time is short."""
        raise TmapError(
            f"Time is up: the job may take {self.clock.minutes:g} minutes "
            f"(`runtime`) and stops {self.clock.margin:.0f} s before the end. What is "
            "done is kept; the next attempt, or the same command, resumes."
        )

    def ended(self, words: str, final: bool = False) -> None:
        """Record the final message, or why there was none."""
        if self._is_latest():
            self._note(end=words, **({"final": True} if final else {}))

    def _is_latest(self) -> bool:
        """Whether no later attempt has begun; a record that is gone names none."""
        known = _read(self.record)
        return not known or known[-1]["process"] == self._me["process"]

    def _note(self, **news: Any) -> None:
        self._me |= news
        *before, latest = _read(self.record) or [self._me]
        write_json(self.record, [*before, latest | news])


_current: Attempt | None = None
#: Environment variable that tells the processes of one training their attempt.
SHARED = "TMAP_ATTEMPT"


def share() -> dict[str, str]:
    """Environment variables for processes that belong to this attempt."""
    return {SHARED: json.dumps(_current.shared())} if _current else {}


def join() -> None:
    """Join the attempt of the process that started this one, if that is an attempt."""
    global _current
    if SHARED in os.environ:
        _current = Attempt.joined(**json.loads(os.environ[SHARED]))


def begin(record: Path, number: int, minutes: float) -> None:
    """Run the rest of this process as an attempt, under a parent that notices its death."""
    global _current
    _current = Attempt(record, number, minutes)
    child = os.fork()
    if not child:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child gets it as well
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGKILL:
        _current.ended(OUT_OF_MEMORY)
        print(f"error: {_too_little_memory()}", file=sys.stderr, flush=True)
    os._exit(code if code >= 0 else 128 - code)


def kept() -> None:
    """Call this when something is safely on disk: the job may stop here.

    Raises
    ------
    TmapError : the scheduler's time is nearly over, or a later attempt is running
    """
    note()
    if is_short():
        stop()


def note() -> None:
    """Like `kept`, but never stop because time is short."""
    if _current:
        _current.kept()


def is_short() -> bool:
    """Whether it is time to save and stop; never if no scheduler sets a limit."""
    return bool(_current and _current.clock.is_short())


def stop() -> None:
    """End because time is short, if this is an attempt."""
    if _current:
        _current.stop()


def ended(words: str, *, out_of_memory: bool = False, final: bool = False) -> None:
    """Record how this attempt ended, if it is one; after a final end, none follows."""
    if _current:
        _current.ended(OUT_OF_MEMORY if out_of_memory else words, final)


def record_of(log: str) -> Path:
    """The file that records the attempts at the job with this log."""
    return Path(log).with_suffix(".attempts.json")


def memory(mem_mb: int, log: str, number: int) -> int:
    """Megabytes to request: doubled after each attempt that ran out of memory.

    They are doubled at most `DOUBLINGS` times. An attempt that will end at once needs no
    more than the first.

    Parameters
    ----------
    mem_mb : of the first attempt
    log : of the job
    number : of the next attempt
    """
    before = [] if number == 1 else history(record_of(log))
    if _is_hopeless(_fruitless(before)):
        return mem_mb
    starved = sum(one["end"] == OUT_OF_MEMORY for one in before)
    return mem_mb * 2 ** min(starved, DOUBLINGS)


def history(record: Path) -> list[dict[str, Any]]:
    """The attempts of this run so far, oldest first; none if there is no record."""
    return [one for one in _read(record) if one.get("run") == _run()]


def _read(record: Path) -> list[dict[str, Any]]:
    """The attempts in a record; none, with a warning, if it is damaged."""
    if not record.exists():
        return []
    try:
        found: Any = read_json(record)
    except TmapError:
        found = None
    is_whole = isinstance(found, list) and all(map(_is_attempt, found))
    if not is_whole:
        logger.warning("%s is damaged: earlier attempts are forgotten", record)
    return found if is_whole else []


def _is_attempt(one: Any) -> bool:
    kinds: dict[str, Any] = {
        "number": int,
        "process": str,
        "kept": bool,
        "end": (str, type(None)),
    }
    return isinstance(one, dict) and all(
        key in one and isinstance(one[key], kind) for key, kind in kinds.items()
    )


def _run() -> str:
    return os.environ.get(RUN, "")


def run_began() -> None:
    """Give this run of the workflow a name that its jobs inherit."""
    os.environ[RUN] = uuid.uuid4().hex


def job_began() -> None:
    """Note in the environment when this process, the first of its job, began."""
    import psutil

    os.environ.setdefault(JOB_START, str(psutil.Process().create_time()))


def _passed() -> float:
    """Seconds of the job that have passed when its command begins."""
    said = os.environ.get(JOB_START) or str(time.time())
    try:
        passed = time.time() - float(said)
    except ValueError:
        raise TmapError(
            f"{JOB_START} is '{said}', and must be seconds since 1970. Unset it; the "
            "rules set it where it is needed."
        ) from None
    return min(max(passed, 0.0), START_UP)


def _check_hope(before: list[dict[str, Any]], number: int) -> None:
    """Refuse an attempt after one that kept nothing new or must not be repeated."""
    if before and before[-1].get("final"):
        raise TmapError(
            f"Attempt {number} was not started, because attempt {before[-1]['number']} "
            f"reported a final error: {before[-1]['end']}"
        )
    fruitless = _fruitless(before)
    if not _is_hopeless(fruitless):
        return
    raise TmapError(
        f"Attempt {number} was not started, because attempt {fruitless[0]['number']} "
        f"made no progress. {_why(fruitless[0]['end'])}"
    )


def _fruitless(before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last attempts in a row that kept nothing, the latest first."""
    return list(itertools.takewhile(lambda one: not one["kept"], reversed(before)))


def _is_hopeless(fruitless: list[dict[str, Any]]) -> bool:
    """Whether another attempt could only repeat these."""
    if not fruitless:
        return False
    end = fruitless[0]["end"]
    alike = sum(one["end"] == end for one in fruitless)
    return alike >= LIMITS.get(end, 1)


def _why(end: str | None) -> str:
    if end == OUT_OF_MEMORY:
        return _too_little_memory()
    if end is None:
        return (
            f"{LIMITS[None]} in a row ended without a message: killed at their `runtime` "
            "or out of memory, or their node failed. If a step takes longer, raise "
            "`runtime` in the model card, if it needs more memory `mem_mb`; then run "
            "the same command again."
        )
    return f"It reported: {end}"


def _too_little_memory() -> str:
    return (
        "The job was killed, most likely because it ran out of memory. Each time the "
        f"next attempt requests twice as much, up to {DOUBLINGS} times; to start with "
        "more, raise `resources: mem_mb` in the model card."
    )

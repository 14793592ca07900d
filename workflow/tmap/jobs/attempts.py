"""Attempts at one job under a scheduler: stop in time, go on, and know when to give up.

A scheduler kills a job at its `runtime`. Long commands therefore call `kept` whenever
something is safely on disk (an answer in the ledger, a part of the store, a checkpoint):
there a job that would not end another such step in time stops by itself. The profile's
`retries:` start the next attempt, which goes on from what is kept. Beside the job's log
lies a record of its attempts; an attempt that could only repeat the one before ends at
once:

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

#: What a record says of an attempt that took more memory than it had.
OUT_OF_MEMORY = "out of memory"
#: When the scheduler's job began, in seconds since 1970: the rules set it in each job.
JOB_START = "TMAP_JOB_START"
#: Which run of the workflow this job belongs to; set where that is started.
RUN = "TMAP_RUN"
#: Seconds that may pass from there to the command. More: others of a group ran first.
START_UP = 300
#: How often memory may double.
DOUBLINGS = 4
#: Attempts in a row that may end so with nothing kept: without a word, for a node may
#: fail; or for want of memory, which each time is doubled.
LIMITS = {None: 2, OUT_OF_MEMORY: DOUBLINGS + 1}


class Clock:
    """Says when to stop: before the margin, if another step is likely to touch it.

    Parameters
    ----------
    minutes : that the scheduler grants
    start : seconds as `time.monotonic` counts them, when the command began
    """

    def __init__(self, minutes: float, start: float) -> None:
        self.minutes, self.start = minutes, start
        seconds = 60 * minutes
        # For what precedes the command and follows it: at most half of the time.
        self.margin = min(max(0.05 * seconds, 30.0), 300.0, 0.5 * seconds)
        self.end = start + seconds - self.margin
        self._last: float | None = None
        self._longest = 0.0

    def is_short(self) -> bool:
        """Whether the next step, if as long as the longest so far, would end too late."""
        now = time.monotonic()
        if self._last is not None:
            self._longest = max(self._longest, now - self._last)
        self._last = now
        return now + self._longest > self.end


class Attempt:
    """One attempt at a job.

    Parameters
    ----------
    record : file that tells of all attempts
    number : from 1; what the record tells of other runs is dropped
    minutes : that the scheduler grants

    Raises
    ------
    TmapError : the attempts before show that this one would achieve nothing
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
        """What `joined` needs to stand for this attempt in another process."""
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
                "Another attempt at this job has begun, so this one, which the "
                "scheduler took for dead, stops. Nothing is lost."
            )
        if not self._me["kept"]:
            self._note(kept=True)

    def stop(self) -> NoReturn:
        """End for want of time."""
        raise TmapError(
            f"Time is up: the job may take {self.clock.minutes:g} minutes "
            f"(`runtime`), and stops {self.clock.margin:.0f} s before. What is "
            "done is kept; the next attempt, or the same command, goes on."
        )

    def ended(self, words: str, final: bool = False) -> None:
        """Note the last words, or why there were none."""
        if self._is_latest():
            self._note(end=words, **({"final": True} if final else {}))

    def _is_latest(self) -> bool:
        known = _read(self.record)
        return bool(known) and known[-1]["process"] == self._me["process"]

    def _note(self, **news: Any) -> None:
        self._me |= news
        *before, latest = _read(self.record)
        write_json(self.record, [*before, latest | news])


_current: Attempt | None = None
#: Environment variable by which processes of one training know their attempt.
SHARED = "TMAP_ATTEMPT"


def share() -> dict[str, str]:
    """What to add to the environment of processes that belong to this attempt."""
    return {SHARED: json.dumps(_current.shared())} if _current else {}


def join() -> None:
    """Belong to the attempt of the process that started this one, if that is one."""
    global _current
    if SHARED in os.environ:
        _current = Attempt.joined(**json.loads(os.environ[SHARED]))


def begin(record: Path, number: int, minutes: float) -> None:
    """Run the rest of this process as an attempt, under a parent that sees it die."""
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
    """To be called when something is safely on disk: the job may stop here.

    Raises
    ------
    TmapError : the time that the scheduler grants is short, or a later attempt runs
    """
    note()
    if is_short():
        stop()


def note() -> None:
    """As `kept`, but going on however short time is."""
    if _current:
        _current.kept()


def is_short() -> bool:
    """Whether it is time to save and stop; never where no scheduler sets a limit."""
    return bool(_current and _current.clock.is_short())


def stop() -> None:
    """End for want of time, if this is an attempt."""
    if _current:
        _current.stop()


def ended(words: str, *, out_of_memory: bool = False, final: bool = False) -> None:
    """Note how this attempt ended, if it is one; a final end has no next in this run."""
    if _current:
        _current.ended(OUT_OF_MEMORY if out_of_memory else words, final)


def record_of(log: str) -> Path:
    """Where the attempts at the job with this log are recorded."""
    return Path(log).with_suffix(".attempts.json")


def memory(mem_mb: int, log: str, number: int) -> int:
    """Megabytes to ask for: doubled by each attempt that ran out of them, else the same.

    At most `DOUBLINGS` times; and an attempt that will end at once needs no more than
    the first.

    Parameters
    ----------
    mem_mb : of the first attempt
    log : of the job
    number : of the attempt that is to come
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
    try:
        found: list[dict[str, Any]] = read_json(record)
    except FileNotFoundError:
        return []
    return found


def _run() -> str:
    return os.environ.get(RUN, "")


def run_began() -> None:
    """Give this run of the workflow a name that its jobs inherit."""
    os.environ[RUN] = uuid.uuid4().hex


def job_began() -> None:
    """Note in the environment when this process did, as the first of a job's."""
    import psutil

    os.environ.setdefault(JOB_START, str(psutil.Process().create_time()))


def _passed() -> float:
    """Seconds of the job that are over when its command begins."""
    passed = time.time() - float(os.environ.get(JOB_START) or time.time())
    return min(max(passed, 0.0), START_UP)


def _check_hope(before: list[dict[str, Any]], number: int) -> None:
    """Refuse an attempt after one that kept nothing new, or that nobody may repeat."""
    if before and before[-1].get("final"):
        raise TmapError(
            f"Attempt {number} ended at once. Attempt {before[-1]['number']} said: "
            f"{before[-1]['end']}"
        )
    fruitless = _fruitless(before)
    if not _is_hopeless(fruitless):
        return
    raise TmapError(
        f"Attempt {number} ended at once, for attempt {fruitless[0]['number']} made no "
        f"progress. {_why(fruitless[0]['end'])}"
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
            f"{LIMITS[None]} in a row ended without a word: killed at their `runtime` "
            "or for want of memory, or their node failed. If a step takes longer, raise "
            "`runtime` in the model card, if it needs more memory `mem_mb`; then give "
            "the same command."
        )
    return f"It said: {end}"


def _too_little_memory() -> str:
    return (
        "The job was killed, most likely for want of memory. Each such end doubles "
        f"what the next attempt asks for, {DOUBLINGS} times at most; to begin with "
        "more, raise `resources: mem_mb` in the model card."
    )

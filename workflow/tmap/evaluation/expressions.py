r"""Answers as expressions, read by Math-Verify: fractions, roots, sets, LaTeX.

What is after "####" or in the last \boxed{} is the answer: a number as reader `numeric`
reads it, else LaTeX. An answer with neither is read as Math-Verify reads a text. Golds
are read by the same rule.

Math-Verify computes what a model wrote, and 10^10^10 never ends. So it runs in a process of
its own, which the system ends after `SECONDS` of processor time or beyond `BYTES`. Such an
answer counts as unread. Processor time makes that the same on a busy machine.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import re
import resource
import signal
import subprocess
import sys
from functools import cache, lru_cache
from typing import Any

from tmap.errors import TmapError, require
from tmap.evaluation import numbers
from tmap.evaluation.readers import ended, shortened

LOG = logging.getLogger(__name__)
METRIC, INSTALL = "math_verify", "-e '.[math]'"
#: Limits of one comparison; a usual one takes milliseconds.
SECONDS, BYTES = 5.0, 2 * 2**30
#: How an interval, a tuple, a set or a command begins: [0,5) is not 0.5.
BRACKET = re.compile(r"\s*\$*\s*[\[({\\]")
#: Characters of an expression that are kept.
SHOWN = 200


def compare(text: str, gold: str) -> tuple[str | None, bool]:
    """(the expression in an answer, None if there is none; whether it equals the gold).

    Raises
    ------
    TmapError
        If Math-Verify is not installed.
    """
    read, is_right = _worker().ask(_final(text), _final(f"#### {gold}"))
    return read, is_right


def _final(text: str) -> str:
    """What Math-Verify is to read: a value, LaTeX in a box, or the text."""
    text = shortened(text)
    end = ended(text)
    if not end.strip():
        return text
    value = None if BRACKET.match(end) else numbers.final(numbers.plain(end))
    inner = end.strip().removesuffix(".").strip("$")
    return f"\\boxed{{{value or inner}}}"


class _Worker:
    """The process that runs Math-Verify; a new one after each that was ended."""

    def __init__(self) -> None:
        require("math_verify", f"metric: {METRIC}", INSTALL)
        self._process: subprocess.Popen[str] | None = None
        self._owner = os.getpid()
        atexit.register(self.close)

    def ask(self, answer: str, gold: str) -> tuple[str | None, bool]:
        process = self._process = self._process or _start()
        assert process.stdin and process.stdout  # both are pipes
        try:
            process.stdin.write(f"{json.dumps([answer, gold])}\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if line:
            read, is_right = json.loads(line)
            return read, is_right
        self.close()
        if process.returncode == 1:
            raise TmapError(
                "math-verify is installed and cannot be imported. Install it again: pip "
                f"install {INSTALL}."
            )
        LOG.warning(
            "an answer took Math-Verify more than %g s of processor time or %g GiB; it "
            "counts as unread",
            *(SECONDS, BYTES / 2**30),
        )
        return None, False

    def close(self) -> None:
        process, self._process = self._process, None
        if process and os.getpid() == self._owner:
            process.kill()
            process.communicate()


@cache
def _worker() -> _Worker:
    return _Worker()


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )


def _serve() -> None:
    """Answer requests, one JSON list a line, until there are no more."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints
    import math_verify  # noqa: F401  # before the limits: imports take a while

    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process, wherever it is
    for line in sys.stdin:
        answer, gold = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        found = _compared(answer, gold)
        signal.setitimer(signal.ITIMER_PROF, 0)
        out.write(f"{json.dumps(found)}\n")
        out.flush()


def _compared(answer: str, gold: str) -> tuple[str | None, bool]:
    from math_verify import verify

    read = _parsed(answer)
    if not read:
        return None, False
    try:
        is_right = verify(_parsed(gold), read, timeout_seconds=None)
        return str(read[-1])[:SHOWN], bool(is_right)
    except (MemoryError, RecursionError):
        return None, False


@lru_cache(4096)
def _parsed(text: str) -> list[Any]:
    """Math-Verify's expressions, and the text that they were read from."""
    from math_verify import parse

    try:
        return list(parse(text, parsing_timeout=None))
    except (MemoryError, RecursionError):
        return []


if __name__ == "__main__":
    _serve()

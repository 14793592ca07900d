"""The last words of a failed run: what failed and why, its log, how to go on."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

JOB = re.compile(r"^Error in rule (\w+):\n((?: {4}.*\n)*)", re.M)
DONE = re.compile(r"^Finished jobid: (\d+) ", re.M)
ID = re.compile(r"^ {4}jobid: (\d+)$", re.M)
LOG = re.compile(r"^ {4}log: ([^\s,]+)", re.M)
#: What the command line writes before its last sentence (`tmap.cli`).
ERROR = "error: "


def summary(snakemake_logs: Sequence[str | Path], command: Sequence[str]) -> str:
    """One paragraph per failed job, and the command that resumes.

    Parameters
    ----------
    snakemake_logs : Snakemake's own logs of the run
    command : how the run was started
    """
    text = "".join(_read(path) for path in snakemake_logs)
    failed = dict.fromkeys((rule, _log(block)) for rule, block in _last_blocks(text))
    told = [
        f"{rule} failed: {sentence(log)}" + (f"\n  its log: {log}" if log else "")
        for rule, log in failed
    ]
    told.append(f"Finished jobs are kept. To go on: {shlex.join(command)}")
    return "\n".join(["", *told])


def sentence(log: str | None) -> str:
    """The last sentence of a job's log; without one, what its silence means."""
    lines = _read(log).splitlines() if log else []
    for number in range(len(lines) - 1, -1, -1):
        if lines[number].startswith(ERROR):
            return " ".join(lines[number:]).removeprefix(ERROR)
    return (
        "it ended without a word, so it was killed or never started; most often it had "
        "too little memory (`resources: mem_mb` in the model card) or time (`runtime`)."
    )


def _last_blocks(text: str) -> list[tuple[str, str]]:
    """(rule, what is told of it) of each error that no later attempt made good."""
    done = {found[1]: found.start() for found in DONE.finditer(text)}
    return [
        (found[1], found[2])
        for found in JOB.finditer(text)
        if done.get(_first(ID, found[2]) or "", -1) < found.start()
    ]


def _log(block: str) -> str | None:
    return _first(LOG, block)


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[1] if found else None


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

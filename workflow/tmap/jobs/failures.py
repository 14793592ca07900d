"""The final message of a failed run: what failed and why, its log, how to resume."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from tmap.artifacts import machine
from tmap.artifacts.secrets import hide

#: The start of a summary's last line.
KEPT = "Finished jobs are kept."
#: Indented: a job of a group. Snakemake lists all of them, whichever failed.
JOB = re.compile(r"^( *)Error in rule (\w+):\n((?:\1 {4}.*\n)*)", re.M)
DONE = re.compile(r"^Finished jobid: (\d+) ", re.M)
ID = re.compile(r"^ +jobid: (\d+)$", re.M)
LOG = re.compile(r"^ +log: ([^\s,]+)", re.M)
OUTPUT = re.compile(r"^ +output: (.+)$", re.M)
#: The start of the command line's last sentence (`tmap.cli`).
ERROR = "error: "


def summary(snakemake_logs: Sequence[str | Path], command: Sequence[str]) -> str:
    """One paragraph per failed job, and the command that resumes the run.

    Parameters
    ----------
    snakemake_logs : Snakemake's own logs of the run
    command : how the run was started
    """
    text = "".join(_read(path) for path in snakemake_logs)
    told = [
        f"{rule} failed: {words}" + (f"\n  its log: {log}" if log else "")
        for rule, log, words in _failed(text)
    ]
    told.append(f"{KEPT} To resume: {shlex.join(command)}")
    return hide("\n".join(["", *told]))


def sentence(log: str | None) -> str:
    """The last sentence of a job's log; without one, the likely reason."""
    return (
        _sentence(log)
        or _refused(log)
        or (
            "it ended without a message, so it was killed or never started; most often it "
            "had too little memory (`resources: mem_mb` in the model card) or time "
            "(`runtime`)."
        )
    )


def _refused(log: str | None) -> str | None:
    """Why no message could be written, if the disk of the log still refuses one."""
    folder = Path(log).parent if log else Path("results")
    while not folder.is_dir():
        folder = folder.parent
    return machine.refused(folder)


def _sentence(log: str | None) -> str:
    lines = _read(log).splitlines() if log else []
    for number in range(len(lines) - 1, -1, -1):
        if lines[number].startswith(ERROR):
            return " ".join(lines[number:]).removeprefix(ERROR)
    return ""


def _failed(text: str) -> list[tuple[str, str | None, str]]:
    """(rule, its log, why) of each job that no later attempt completed."""
    done = {found[1]: found.start() for found in DONE.finditer(text)}
    alone, grouped = list[tuple[str, str | None]](), list[tuple[str, str | None]]()
    for found in JOB.finditer(text):
        indent, rule, block = found.groups()
        # A job's own log is quoted too, under another number; its output files decide.
        is_done = done.get(_first(ID, block) or "", -1) > found.start()
        if not is_done and not _has_output(block):
            (grouped if indent else alone).append((rule, _first(LOG, block)))
    # Of a group, only jobs with an error message failed; the others were not reached.
    speaking = [(rule, log) for rule, log in grouped if _sentence(log)]
    failed = dict.fromkeys(alone + speaking or grouped)
    return [(rule, log, sentence(log)) for rule, log in failed]


def _has_output(block: str) -> bool:
    """Whether an output exists; Snakemake removes those of a job that fails."""
    files = (_first(OUTPUT, block) or "").split(", ")
    try:
        return any(Path(file.partition(" (")[0]).exists() for file in files if file)
    except OSError:  # such as a name that is too long
        return False


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[1] if found else None


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):  # a path may be anything that a log says
        return ""

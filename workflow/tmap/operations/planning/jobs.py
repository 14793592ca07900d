"""The jobs that a target still needs, as Snakemake itself lists them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tmap import cards
from tmap.errors import TmapError


class Job(NamedTuple):
    """A rule and its wildcards."""

    rule: str
    names: dict[str, str]


def planned(target: str, configfiles: Sequence[Path]) -> list[Job]:
    """Ask `snakemake -n` for the jobs behind `target`.

    Raises
    ------
    TmapError : Snakemake cannot plan it; its last lines say why
    """
    command = [sys.executable, "-m", "snakemake", "-n", "--cores", "1"]
    if not Path("Snakefile").is_file():  # not in a clone: that of the installed tmap
        command += ["--snakefile", str(cards.HOME / "Snakefile")]
    command += ["--rerun-triggers", "mtime", "params", "input", "software-env"]
    if configfiles:
        command += ["--configfile", *map(str, configfiles)]
    done = subprocess.run([*command, "--", target], capture_output=True, text=True)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[-600:]
        raise TmapError(
            f"Snakemake cannot plan '{target}': ...{said} Run the command in the "
            "Snakefile's folder, with the config that you would build it with."
        )
    return parse(done.stdout)


def parse(text: str) -> list[Job]:
    """The jobs in the output of a dry run."""
    found = []
    for block in re.split(r"^(?=(?:local)?rule \w+:$)", text, flags=re.M):
        head = re.match(r"(?:local)?rule (\w+):\n", block)
        if not head:
            continue
        line = re.search(r"^ +wildcards: (.*)$", block, re.M)
        pairs = (pair.partition("=") for pair in line[1].split(", ")) if line else ()
        found.append(Job(head[1], {name: value for name, _, value in pairs}))
    return found

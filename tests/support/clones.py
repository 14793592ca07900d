"""A clone of the project with a finished run of the small world, to edit and re-plan."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from project import ROOT

PARTS = ("Snakefile", "rules", "workflow", "config", "profiles", "envs")
TARGET = "results/demo/random_llama/metrics.json"
#: Of one run of Snakemake; fewer if tests run in parallel.
CORES = 2 if "PYTEST_XDIST_WORKER" in os.environ else 4


@dataclass(frozen=True)
class Clone:
    """A folder with the project's code and, after `build`, its results."""

    path: Path
    env: dict[str, str]

    @classmethod
    def make(cls, path: Path) -> Clone:
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
                shutil.copytree(source, path / part, ignore=ignore)
            else:
                path.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, path / part)
        (path / "resources").symlink_to(ROOT / "resources")
        return cls.at(path)

    @classmethod
    def at(cls, path: Path) -> Clone:
        """A clone that already exists."""
        env = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(path / "workflow"),
            "XDG_CACHE_HOME": str(path / ".cache"),
            # Snakemake's plugin waits ten seconds for a Slurm that does not run.
            "SLURM_CONF": os.devnull,
        }
        env.pop("TMAP_CARDS", None)
        return cls(path, env)

    def run(
        self, *command: str, check: bool = True, timeout: int = 900, **env: str
    ) -> str:
        """Standard output and error of a command in the clone."""
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self.env | env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}\n{done.stdout}")
        return done.stdout

    def snakemake(self, *options: str, cores: int = CORES, **how: str) -> str:
        """As `run`. The runs of a clone share a fork server."""
        how = {"TMAP_FORK_SERVER": _forks.of(self.path)} | how
        return self.run(
            "snakemake",
            "--profile",
            "profiles/local",
            "--cores",
            str(cores),
            "--configfile",
            "world/config.yaml",
            *options,
            **how,
        )

    def plan(self, *options: str, target: str = TARGET) -> set[str]:
        """What `snakemake -n` would run, as `rule wildcard=value,...`."""
        return jobs(self.snakemake("-n", *options, "--", target))


class _Forks:
    """The fork server of the clone that ran last: its imports outlast most jobs."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._owner: subprocess.Popen | None = None
        self._folder = ""
        atexit.register(self._end)

    def of(self, path: Path) -> str:
        """`TMAP_FORK_SERVER` for the clone at this path; another clone's server ends."""
        if Path("/dev/nvidiactl").exists():
            return ""
        if path != self._path:
            self._end()
            self._path, self._folder = path, tempfile.mkdtemp(prefix="tmap-")
            # The server ends with this process, which ends with ours.
            self._owner = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        return f"{self._owner.pid}:{self._folder}"

    def _end(self) -> None:
        if self._owner:
            self._owner.communicate()
            shutil.rmtree(self._folder, ignore_errors=True)


_forks = _Forks()


def finished(session: Path, own: Path) -> Clone:
    """A clone with a finished run, built once for all workers and copied to `own`.

    Parameters
    ----------
    session : pytest's folder of this process, in one that all workers share
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return build(own)
    whole = session.parent / "finished_clone"
    with FileLock(session.parent / "finished_clone.lock"):
        if not whole.exists():
            unfinished = whole.with_name("unfinished_clone")
            shutil.rmtree(unfinished, ignore_errors=True)
            build(unfinished)
            unfinished.rename(whole)
    shutil.copytree(whole, own, symlinks=True)
    return Clone.at(own)


def build(path: Path) -> Clone:
    """A clone that has made the small world and its target."""
    clone = Clone.make(path)
    clone.run("tmap", "make-world", "world")
    config = clone.path / "world/config.yaml"
    config.write_text(config.read_text() + "seeds: 1\n")
    clone.snakemake("--", TARGET)
    return clone


def blocks(text: str) -> list[str]:
    """The part of a dry run's output about each job, from its `rule NAME:` on."""
    parts = re.split(r"^(?=(?:local)?rule \w+:\n)", text, flags=re.M)
    return [part for part in parts if re.match(r"(?:local)?rule \w+:\n", part)]


def jobs(text: str) -> set[str]:
    """Jobs in a dry run's output; jobs without wildcards once each."""
    found = set()
    for block in blocks(text):
        rule = re.match(r"(?:local)?rule (\w+):", block)[1]
        names = re.search(r"^ +wildcards: (.*)$", block, re.M)
        found.add(f"{rule} {names[1] if names else ''}".strip())
    return found


def rules_of(planned: set[str]) -> set[str]:
    return {job.split()[0] for job in planned}

"""A real Slurm on this machine for tests, and a small world whose jobs run on it."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clones import Clone

SCRIPT = Path(__file__).with_name("cluster.sh")
SNAKEMAKE = Path(__file__).with_name("impatient.py")
CONFIGURED = Path("/etc/slurm/slurm.conf")
LEFT_BEHIND = Path(
    "/etc/slurm.before-tests"
)  # from a run of these tests that was killed
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch")
TARGET = "results/demo/random_llama/metrics.json"
SMALL = "world/config.yaml"

#: Two indicators and, of each method, search, training and evaluation on the cluster. The
#: card asks for a GPU.
GROUPS = """\
extends: tmap_groups
indicators: [ifd, perplexity]
search: {groups: {n_answers: 40}}
"""
METHOD = """\
extends: tmap
indicators: [ifd, perplexity]
search: {n_initial: 3, n_iterations: 5, n_groups: 2, n_shots: 2}
"""
CONFIG = "methods: [base, tmap, groups]\nseeds: 1\n"

#: On the jobs' PYTHONPATH: notes what each command sees, and makes writes slow, those of
#: the ledger and of parts of the store.
WITNESS = """
import os, sys, time
words = {"score-indicator", "search-weights", "search-groups"}
words |= {"train-adapter", "evaluate-adapter"}
words = [word for word in sys.orig_argv if word in words]
if words and os.environ.get("WITNESS"):
    with open(os.environ["WITNESS"], "a") as file:
        file.write(f"{words[0]} {os.environ.get('CUDA_VISIBLE_DEVICES')}\\n")
write, written = os.write, 0

def slow(file, data):
    global written
    if bytes(data[:8]) == b'{"type":':
        written += 1
        time.sleep(float(os.environ.get("SLOW_LEDGER", "0")))
        hang = os.environ.get("HANG_ONCE")
        if hang and written == 2 and not os.path.exists(hang):
            open(hang, "w").close()
            time.sleep(600)
    return write(file, data)

os.write = slow
replace = os.replace

def slow_parts(source, target):
    replace(source, target)
    if os.path.basename(target).startswith("part-"):
        time.sleep(float(os.environ.get("SLOW_PARTS", "0")))

os.replace = slow_parts
"""


def missing() -> str:
    """Why Slurm cannot run here; empty if it can."""
    if os.geteuid():
        return "a test cluster needs root"
    if CONFIGURED.exists() and not LEFT_BEHIND.exists():
        return f"{CONFIGURED} exists: this machine belongs to a cluster"
    lacking = [name for name in PROGRAMS if not shutil.which(name)]
    if lacking:
        return (
            f"no {', '.join(lacking)}: apt-get install --no-install-recommends "
            "slurmctld slurmd slurm-client munge"
        )
    if not _may_make_devices():
        return "fake GPUs are device files, and mknod is not allowed here (CAP_MKNOD)"
    return ""


def _may_make_devices() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        try:
            os.mknod(Path(folder) / "gpu0", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        except OSError:
            return False
    return True


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """Slurm while the block runs."""
    try:
        subprocess.run([SCRIPT, "up", folder], check=True, timeout=60)
        yield
    finally:
        subprocess.run([SCRIPT, "down", folder], check=True, timeout=120)


def clone_of(path: Path) -> Clone:
    """A clone that finds the cluster."""
    clone = Clone.make(path)
    del clone.env["SLURM_CONF"]
    return clone


def small_world(path: Path) -> Clone:
    """A clone with few jobs; its pool is measured in pieces of 32 rows."""
    clone = clone_of(path)
    code = clone.path / "workflow/tmap/store/caching_engine.py"
    text, n = re.subn(r"^(PIECE, .* = )512,", r"\g<1>32,", code.read_text(), flags=re.M)
    assert n == 1, "the size of a piece is set elsewhere"
    code.write_text(text)
    clone.run("tmap", "make-world", "world")
    world = clone.path / "world"
    (world / "cards/methods/tmap.yaml").write_text(METHOD)
    (world / "cards/methods/groups.yaml").write_text(GROUPS)
    with open(world / "config.yaml", "a") as file:
        file.write(CONFIG)
    card = world / "cards/models/random_llama.yaml"
    card.write_text(card.read_text().replace("gpu: 0", "gpu: 1"))
    (clone.path / "witness").mkdir()
    (clone.path / "witness/sitecustomize.py").write_text(WITNESS)
    clone.env["PYTHONPATH"] += f":{clone.path / 'witness'}"
    return clone


def command(target: str, *options: str, config: str = SMALL) -> list[str]:
    """As in the README, except for pauses that suit a cluster of one machine."""
    return [
        *(sys.executable, str(SNAKEMAKE), "--profile", "profiles/slurm"),
        *("--configfile", config, "--latency-wait", "5"),
        *options,
        *("--", target),
    ]


def start(
    clone: Clone, target: str, *options: str, config: str = SMALL, **env: str
) -> subprocess.Popen:
    """Snakemake in the background; its output is in slurm.out."""
    with open(clone.path / "slurm.out", "w") as out:
        return subprocess.Popen(
            command(target, *options, config=config),
            cwd=clone.path,
            env=clone.env | env,
            stdout=out,
            stderr=subprocess.STDOUT,
        )


def finish(clone: Clone, process: subprocess.Popen, seconds: float = 900) -> str:
    """Wait for it; return its output, or raise it as an AssertionError if it failed."""
    try:
        code = process.wait(seconds)
    finally:
        if process.poll() is None:  # too long: leave nothing behind
            process.kill()
            process.wait()
            subprocess.run(["scancel", "--user", "root"])
            # Its lock stays, and would make the next run in this clone fail.
            clone.run("snakemake", "--configfile", SMALL, "--unlock", check=False)
    said = (clone.path / "slurm.out").read_text()
    assert code == 0, said
    return said


def until(condition: Callable[[], object], seconds: float = 400) -> object:
    """The first true value of `condition`."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.2)
    return found


def job_of(rule: str) -> tuple[str, str]:
    """(id, node) of the running Slurm job of a rule; empty if there is none."""
    out = subprocess.run(
        ["squeue", "--noheader", "--states=R", "--format=%i %N %k"],
        check=True,
        text=True,
        capture_output=True,
    ).stdout
    for line in out.splitlines():
        number, node, comment = line.split(" ", 2)
        if comment.startswith(f"rule_{rule}_"):
            return number, node
    return "", ""

"""Another commit beside the working tree, and what a command costs in each."""

from __future__ import annotations

import csv
import ctypes
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
PR_SET_CHILD_SUBREAPER = 36


@contextmanager
def checked_out(revision: str) -> Iterator[dict[str, Path]]:
    """Folders with the files of `revision` ("before") and of the working tree ("after")."""
    with TemporaryDirectory(prefix="tmap-bench-") as room:
        before, after = Path(room, "before"), Path(room, "after")
        packed = subprocess.run(
            ["git", "archive", revision], cwd=ROOT, check=True, capture_output=True
        )
        with tarfile.open(fileobj=BytesIO(packed.stdout)) as files:
            files.extractall(before, filter="data")
        told = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        for name in filter(None, told.stdout.split("\0")):
            (after / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, after / name)
        yield {"before": before, "after": after}


def environment(folder: Path) -> dict[str, str]:
    """In which commands run the code of `folder`, with this Python and one thread."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "workflow"),
        "XDG_CACHE_HOME": str(folder / ".cache"),
        "OMP_NUM_THREADS": "1",
    }


def timed(command: Sequence[str], folder: Path, **more: str) -> dict[str, float]:
    """Seconds of a command and of the processor, with all processes that it leaves."""
    # What a killed or ended parent leaves becomes ours, so that its time is counted.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    start, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command,
        cwd=folder,
        env=environment(folder) | more,
        check=True,
        stdout=sys.stderr,
    )
    seconds = time.monotonic() - start
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return {"seconds": round(seconds, 2), "processor_seconds": round(cpu, 2)}


def by_rule(folder: Path) -> dict[str, float]:
    """Rule -> seconds of all its jobs, from Snakemake's benchmark files."""
    found: dict[str, float] = defaultdict(float)
    root = folder / "results/benchmarks"
    for path in root.rglob("*.tsv"):
        with open(path, encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        found[path.relative_to(root).parts[0]] += sum(float(row["s"]) for row in rows)
    return {k: round(v, 1) for k, v in sorted(found.items(), key=lambda x: -x[1])}

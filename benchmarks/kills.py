"""Kill a full run at random moments, let it go on each time, and compare the results.

    python benchmarks/kills.py --kills 20 --seed 1

In a copy of the project, it runs the small random world once undisturbed and once with
SIGKILL, SIGTERM or SIGINT to the whole process group, at moments drawn from the seed. Then
it compares each artifact without its clocks, and looks for processes and temporary files
that are left. Exit status 1 if anything differs. Takes minutes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "workflow"), str(ROOT / "tests" / "support")]

import clones  # noqa: E402  # found in the folders above
from tmap.artifacts import tables  # noqa: E402

#: Seconds that a run may take on a busy machine.
HOURS = 4 * 3600
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
#: What a run measures of its own time, or of the attempts that it took.
CLOCKS = {"seconds", "checksum", "inputs", "beside", "cost", "created"}
#: Not results: what was kept on the way, and records of clocks.
APART = {"store", "logs", "benchmarks", "checkpoints"}


def plain(value: Any) -> Any:
    """A JSON value without clocks."""
    if isinstance(value, dict):
        return {k: plain(part) for k, part in value.items() if k not in CLOCKS}
    return [plain(part) for part in value] if isinstance(value, list) else value


def digest(path: Path) -> str:
    """A digest of an artifact's content that no clock is in."""
    if path.suffix == ".parquet":
        about = plain(tables.metadata(path))
        frame = tables.read(about["schema"], path)
        clocked = [name for name in frame if "seconds" in name or "elapsed" in name]
        text = json.dumps(about, sort_keys=True)
        text += frame.drop(columns=clocked).to_json(orient="split", double_precision=15)
    elif path.suffix == ".json":
        text = json.dumps(plain(json.loads(path.read_text())), sort_keys=True)
    elif path.name == "ledger.jsonl":
        text = "\n".join(sorted(set(path.read_text().splitlines())))
    elif path.name == "README.md":
        text = path.read_text().partition("<!-- tmap:")[0]
    else:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digests(results: Path) -> dict[str, str]:
    """Artifact -> digest."""
    found = sorted(path for path in results.rglob("*") if path.is_file())
    inner = [path.relative_to(results) for path in found]
    return {str(p): digest(results / p) for p in inner if not APART & set(p.parts)}


def start(clone: clones.Clone) -> subprocess.Popen:
    """Snakemake and its jobs, in a process group of their own."""
    command = ["snakemake", "--profile", "profiles/local", "--cores", "1"]
    command += ["--configfile", "world/config.yaml", "--", clones.TARGET]
    return subprocess.Popen(
        command,
        cwd=clone.path,
        env=clone.env,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A parent that ignores SIGINT, as `nohup` and `&` do, would hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def left(clone: clones.Clone) -> list[str]:
    """Temporary files of results, and living processes that work in the clone."""
    found = [str(p) for p in (clone.path / "results").rglob(".*.tmp")]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve() == clone.path:
                found.append((process / "cmdline").read_bytes().decode()[:80])
        except OSError:
            continue
    return found


def job(clone: clones.Clone) -> str:
    """The log that was written last: about the job that was killed."""
    logs = list((clone.path / "results/logs").rglob("*.log"))
    newest = max(logs, key=lambda path: path.stat().st_mtime, default=None)
    return str(newest.relative_to(clone.path / "results/logs")) if newest else "none"


def killed(clone: clones.Clone, n: int, longest: float, dice: random.Random) -> None:
    """Run to the end with up to n kills; say for each what it met."""
    for number in range(n):
        how, after = dice.choice(SIGNALS), dice.uniform(2, longest)
        process = start(clone)
        try:
            process.wait(after)
            print(f"kill {number}: not needed, the run had ended", flush=True)
            break
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, how)
        process.wait(120)
        time.sleep(0.5)
        print(
            f"kill {number}: {how.name} after {after:.1f} s, last log {job(clone)}, "
            f"left {left(clone) or 'nothing'}",
            flush=True,
        )
        clone.snakemake("--unlock", "--", clones.TARGET)
    clone.snakemake("--", clones.TARGET, cores=1, timeout=HOURS)


def main() -> None:
    """Run both, compare, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=30.0, help="seconds to a kill")
    parser.add_argument("--finished", type=Path, help="a folder with an earlier run")
    given = parser.parse_args()
    room = Path(tempfile.mkdtemp())
    if given.finished:
        shutil.copytree(given.finished, room / "whole", symlinks=True)
        whole = clones.Clone.at(room / "whole")
        whole.snakemake("--", clones.TARGET, cores=1)
    else:
        whole = clones.Clone.make(room / "whole")
        whole.run("tmap", "make-world", "world")
        config = whole.path / "world/config.yaml"
        config.write_text(config.read_text() + "seeds: 1\n")
        whole.snakemake("--", clones.TARGET, cores=1, timeout=HOURS)
    torn = clones.Clone.make(room / "torn")
    shutil.copytree(whole.path / "world", torn.path / "world")
    killed(torn, given.kills, given.longest, random.Random(given.seed))
    want, got = (digests(c.path / "results") for c in (whole, torn))
    differ = sorted(p for p in want.keys() | got.keys() if want.get(p) != got.get(p))
    leftovers = left(torn)
    print(f"{len(want)} artifacts, {len(differ)} differ: {differ}")
    print(f"left at the end: {leftovers or 'nothing'}")
    shutil.rmtree(room)
    sys.exit(bool(differ or leftovers))


if __name__ == "__main__":
    main()

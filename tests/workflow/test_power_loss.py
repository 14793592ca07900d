"""No file of a run gets its name before its bytes are on the disk."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clones import Clone
from project import ROOT

pytestmark = pytest.mark.workflow

TARGETS = ["results/demo/random_llama/report.html"]
#: Snakemake's, and what may be torn: logs.
APART = {".snakemake", "logs", "benchmarks"}


@pytest.fixture(scope="module")
def witness(tmp_path_factory):
    """A library to preload."""
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    library = tmp_path_factory.mktemp("witness") / "witness.so"
    source = ROOT / "tests/support/witness_sync.c"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-w", "-o", library, source, "-ldl"],
        check=True,
    )
    return library


def torn(log: Path, below: Path) -> tuple[list[str], int]:
    """Names that a power loss could leave without their bytes, and how many names.

    A name is safe if its file was synced after the last write, and its folder after the
    rename.
    """
    dirty, open_names, found, n = set(), set(), [], 0
    for line in log.read_text(errors="replace").splitlines():
        kind, path, *new = line.split("\t")
        if kind == "W":
            dirty.add(path)
        elif kind == "S":
            dirty.discard(path)
            open_names = {name for name in open_names if str(Path(name).parent) != path}
        elif Path(new[0]).is_relative_to(below):
            if not APART & set(Path(new[0]).relative_to(below).parts):
                n += 1
                open_names.add(new[0])
                if path in dirty:
                    found.append(f"not synced before its rename: {new[0]}")
            dirty.discard(path)
    found += [f"folder not synced after: {name}" for name in open_names]
    for path in map(Path, dirty):
        inside = path.is_relative_to(below) and path.is_file()
        if inside and not APART & set(path.relative_to(below).parts):
            found.append(f"never synced: {path}")
    return found, n


@pytest.mark.parametrize("careful", [True, False])
def test_the_witness_tells_a_careless_rename(witness, tmp_path, careful):
    (tmp_path / "x").mkdir()
    lines = [
        "import os",
        "file = open('x/new.tmp', 'w'); file.write('x'); file.flush()",
        "os.fsync(file.fileno())" if careful else "",
        "file.close(); os.replace('x/new.tmp', 'x/new')",
        "os.fsync(os.open('x', 0))" if careful else "",
    ]
    log = tmp_path / "log"
    subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=tmp_path,
        env={"LD_PRELOAD": str(witness), "SYNC_WITNESS": str(log)},
        check=True,
    )
    found, n = torn(log, tmp_path)
    assert (n, len(found)) == (1, 0 if careful else 2)


def test_every_file_of_a_run_is_on_the_disk_before_it_has_its_name(witness, tmp_path):
    clone = Clone.make(tmp_path / "clone")
    clone.run("tmap", "make-world", "world")
    config = clone.path / "world/config.yaml"
    config.write_text(config.read_text() + "seeds: 1\nmethods: [base, random, tmap]\n")
    log = tmp_path / "log"
    clone.snakemake("--", *TARGETS, LD_PRELOAD=str(witness), SYNC_WITNESS=str(log))
    found, n = torn(log, clone.path / "results")
    assert not found
    assert n > 40

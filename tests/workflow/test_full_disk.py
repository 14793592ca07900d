"""A disk that is full in every stage: words for it, and the same bytes after more room."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from clones import TARGET, Clone

pytestmark = pytest.mark.workflow

#: Sizes of the disk of results, in KiB: each run gets further.
SIZES = [64, 256, 512, 1024, 16384]


@pytest.fixture
def disk(tmp_path):
    """A clone whose results are on a disk of their own, and what gives it a size."""
    clone = Clone.make(tmp_path / "clone")
    results = clone.path / "results"
    results.mkdir()

    def mount(size: int, again: str = "") -> subprocess.CompletedProcess:
        options = f"{again}size={size}k,nr_inodes=4096"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmap-test", results]
        return subprocess.run(command, capture_output=True, text=True)

    if mount(SIZES[0]).returncode:
        pytest.skip("no tmpfs can be mounted here")
    yield clone, lambda size: mount(size, "remount,")
    subprocess.run(["umount", "--lazy", results], check=True)


def test_a_full_disk_is_named_in_every_stage_and_more_room_ends_in_the_same_bytes(
    disk, finished_clone
):
    clone, enlarge = disk
    shutil.copytree(finished_clone.path / "world", clone.path / "world")
    rules = set()
    for size in SIZES:
        assert not enlarge(size).returncode
        out = clone.snakemake("--", TARGET, cores=1, check=False)
        if (clone.path / TARGET).exists():
            break
        assert "No space is left on the disk" in out, out
        assert "Traceback" not in out.partition("Finished jobs are kept")[0], out
        rules |= {line.split()[0] for line in out.splitlines() if " failed: " in line}
    assert len(rules) > 2, rules
    for path in (clone.path / "results/demo").rglob("*"):
        if path.suffix in (".parquet", ".json") and path.name != "timings.parquet":
            other = finished_clone.path / path.relative_to(clone.path)
            assert path.read_bytes() == other.read_bytes(), path

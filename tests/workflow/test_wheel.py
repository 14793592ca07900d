"""tmap installed from its wheel, in an empty environment and an empty folder."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from project import ROOT

pytestmark = pytest.mark.workflow
SHIPPED = ("Snakefile", "config", "profiles", "envs", "rules", "resources")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a copy of the project, which the build would write into."""
    source = tmp_path_factory.mktemp("source")
    for name in (*SHIPPED, "workflow", "pyproject.toml", "README.md", "LICENSE"):
        path = ROOT / name
        if path.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(path, source / name, ignore=ignore)
        else:
            shutil.copy2(path, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", source / "dist", source]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = (source / "dist").glob("*.whl")
    return found


def test_the_wheel_brings_what_a_clone_has(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    brought = {n.partition("/share/tmap/")[2] for n in names if "/share/tmap/" in n}
    files = [
        path for name in SHIPPED for path in [ROOT / name, *(ROOT / name).rglob("*")]
    ]
    assert brought == {str(p.relative_to(ROOT)) for p in files if p.is_file()}


@pytest.fixture
def installed(wheel, tmp_path):
    """`call(*words)` in an empty folder; its Python sees the libraries, and this tmap."""
    place = tmp_path / "environment"
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin/python"
    scheme = {"base": str(place), "platbase": str(place)}
    library = Path(sysconfig.get_path("purelib", "venv", vars=scheme))
    # A path in a .pth file is searched, but .pth files in it, as of a clone, are not read.
    (library / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    subprocess.run([*command, "--no-deps", wheel], check=True, capture_output=True)
    here = tmp_path / "empty"
    here.mkdir()
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "TMAP_CARDS")}
    env |= {"SLURM_CONF": os.devnull, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def call(*words):
        done = subprocess.run(
            [place / "bin/tmap", *words],
            cwd=here,
            env=env,
            text=True,
            capture_output=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    call.here = here
    return call


def write(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)))


def test_a_folder_is_made_checked_and_built_to_its_page(installed):
    here = installed.here
    sums = [(i, j) for i in range(2, 20) for j in range(3, 10)]
    rows = [{"instruction": f"What is {i}+{j}?", "output": f"{i + j}"} for i, j in sums]
    asked = [{"question": f"And {i}*{j}?", "answer": f"#### {i * j}"} for i, j in sums]
    write(here / "pool.jsonl", rows)
    write(here / "asked.jsonl", asked)
    installed(
        *("init", "mine", "--dataset", "sums", "--model", "tiny"),
        *("--pool", "pool.jsonl", "--questions", "asked.jsonl"),
    )
    assert "rows      126" in installed("check", "sums", "--model", "tiny")

    target = "results/sums/tiny/metrics.json"
    plan = installed("plan", target, "--tsv")
    assert "train_adapter" in plan
    small = ("methods=[base,random]", "seeds=1")
    said = installed("run", target, "--config", *small)

    page = here / "mine/results/sums/tiny/report.html"
    assert page.is_file() and str(page) in said
    metrics = json.loads(page.with_name("metrics.json").read_text())
    assert list(metrics["methods"]) == ["base", "random"]
    assert installed("open", "sums/tiny").splitlines()[0] == str(page.resolve())
    assert not (here / "results").exists()

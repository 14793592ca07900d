"""The conda environments pin the versions that have been run together."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml

from project import ROOT

ENVS = pytest.mark.parametrize("kind", ["cpu", "gpu"])


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(lines):
    pairs = [
        line.strip().split("==") for line in lines if re.match(r"\s*[\w.-]+==", line)
    ]
    return {plain(name): version for name, version in pairs}


def pip_lines(kind):
    env = yaml.safe_load((ROOT / "envs" / f"{kind}.yaml").read_text())
    return next(part["pip"] for part in env["dependencies"] if isinstance(part, dict))


@ENVS
def test_every_version_is_that_of_the_constraints_file(kind):
    constraints = pinned((ROOT / "constraints.txt").read_text().splitlines())

    for name, version in pinned(pip_lines(kind)).items():
        assert constraints.get(name) == version, f"envs/{kind}.yaml: {name}=={version}"


@ENVS
def test_every_dependency_of_tmap_is_there(kind):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {plain(re.match(r"[\w-]+", d).group()) for d in project["dependencies"]}

    assert needed - pinned(pip_lines(kind)).keys() == set()


def test_cpu_and_gpu_differ_only_in_where_torch_comes_from():
    cpu, gpu = pip_lines("cpu"), pip_lines("gpu")

    assert [line for line in cpu if not line.startswith("--")] == gpu
    assert any("whl/cpu" in line for line in cpu)


@ENVS
def test_a_script_puts_tmap_itself_into_the_environment(kind):
    script = (ROOT / "envs" / f"{kind}.post-deploy.sh").read_text()

    assert "--editable" in script

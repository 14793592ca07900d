"""Issue forms, hooks, CI and citation parse, and everything that they name exists."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib

import pytest
import yaml

from project import ROOT
from tmap import __version__
from tmap.cli import summaries

FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
YAML = [
    ROOT / ".pre-commit-config.yaml",
    ROOT / ".github/workflows/ci.yml",
    ROOT / "CITATION.cff",
    *FORMS,
]
TEXT = [
    *YAML,
    ROOT / ".github/pull_request_template.md",
    ROOT / ".devcontainer/devcontainer.json",
]
MADE = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
#: A path of the clone: it has a slash or is a file of the root.
PATH = re.compile(r"(?<![\w/.])(?:(?:docs|resources|profiles)/[\w./-]+|[A-Z]+\.md)")
by_file = pytest.mark.parametrize("path", TEXT, ids=lambda p: p.name)


def read(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def hooks():
    """Id -> (repository, version, hook) of every pre-commit hook."""
    repos = read(".pre-commit-config.yaml")["repos"]
    return {h["id"]: (r["repo"], r["rev"], h) for r in repos for h in r["hooks"]}


@pytest.mark.parametrize("path", YAML, ids=lambda p: p.name)
def test_it_is_a_mapping_in_yaml(path):
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


@by_file
def test_every_make_target_that_it_names_exists(path):
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"\bmake ([a-z-]+)[`\"]", text)) <= MADE


@by_file
def test_every_path_that_it_names_exists(path):
    for name in PATH.findall(path.read_text(encoding="utf-8")):
        assert (ROOT / name.rstrip("./")).exists(), name


@by_file
def test_every_command_that_it_names_exists(path):
    named = re.findall(r"`tmap ([a-z][a-z-]*)", path.read_text(encoding="utf-8"))
    assert set(named) <= summaries().keys()


@pytest.mark.parametrize("path", FORMS, ids=lambda p: p.stem)
def test_a_form_has_what_github_asks_of_it(path):
    form = read(path)
    fields = [part for part in form["body"] if part["type"] != "markdown"]
    ids = [part["id"] for part in fields]

    assert form["name"] and form["description"]
    assert len(ids) == len(set(ids)) > 2
    assert all(part["attributes"]["label"] for part in fields)
    options = [p["attributes"]["options"] for p in fields if p["type"] == "dropdown"]
    assert all(len(kinds) == len(set(kinds)) for kinds in options)


def test_there_is_a_form_for_a_bug_an_indicator_and_a_dataset():
    assert [path.stem for path in FORMS] == ["bug", "new-dataset", "new-indicator"]


def test_the_pull_request_has_four_boxes():
    text = (ROOT / ".github/pull_request_template.md").read_text(encoding="utf-8")
    assert re.findall(r"^- \[ \] \*\*(\w+)\*\*", text, re.M) == [
        *("Numbers", "Test", "Docs", "Laws")
    ]


def test_ci_only_calls_the_script_that_people_call():
    (job,) = read(".github/workflows/ci.yml")["jobs"].values()

    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o100, "chmod +x .ci/run"
    subprocess.run(["bash", "-n", ROOT / ".ci/run"], check=True)


def test_hooks_have_the_versions_of_the_constraints_file():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)

    for hook, package in [("ruff-check", "ruff"), ("snakefmt", "snakefmt")]:
        assert hooks()[hook][1] == f"v{pinned[package]}", hook


def test_no_large_file_is_added_but_the_shipped_models():
    hook = hooks()["check-added-large-files"][2]
    (limit,) = (int(arg.partition("=")[2]) for arg in hook["args"])
    models = list((ROOT / "resources/models").glob("*/*.safetensors"))

    assert limit == 300 and models
    for path in models:
        assert re.search(hook["exclude"], path.relative_to(ROOT).as_posix())


def test_codespell_has_a_short_list_of_words_to_ignore():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    words = project["tool"]["codespell"]["ignore-words-list"].split(",")

    assert len(words) == len(set(words)) <= 12
    assert re.search(project["tool"]["codespell"]["ignore-regex"], r"\nQuestion")


def test_the_citation_names_this_version_and_the_paper():
    citation = read("CITATION.cff")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (paper,) = citation["preferred-citation"]["identifiers"]

    assert citation["version"] == __version__
    assert citation["license"] == project["license"]
    assert paper["value"] in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_container_has_the_oldest_python_and_makes_the_environment():
    text = (ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8")
    container = json.loads(text)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert container["image"].endswith(project["requires-python"].lstrip(">="))
    assert container["postCreateCommand"] == "make setup"

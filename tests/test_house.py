"""The house keeps its own rules."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess

import pytest
import yaml

from conftest import ROOT
from tmap.cli import COMMANDS

PACKAGE = ROOT / "workflow" / "tmap"
FOR_PEOPLE = {
    "check",
    "check-world-model",
    "init",
    "make-world",
    "make-world-history",
    "plan",
    "show-metrics",
    "status",
    "store-gc",
    "train-world-judge",
    "train-world-model",
}
RULES = {
    name: body
    for path in sorted((ROOT / "rules").glob("*.smk"))
    for name, body in re.findall(
        r"^(?:rule|checkpoint) (\w+):\n(.*?)(?=^\S|\Z)",
        path.read_text(),
        re.MULTILINE | re.DOTALL,
    )
}
MODULES = sorted((PACKAGE / "commands").glob("[!_]*.py"))
by_rule = pytest.mark.parametrize("rule", RULES)
by_command = pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)


def test_every_rule_has_its_command_and_every_command_its_rule():
    commands = set(COMMANDS)

    assert len(RULES) >= 10
    assert {rule.replace("_", "-") for rule in RULES} == commands - FOR_PEOPLE
    assert {path.stem.replace("_", "-") for path in MODULES} == commands


@by_rule
def test_rule_command_log_and_benchmark_share_one_name(rule):
    body = RULES[rule]

    job = 'tmap --job {log} {resources.attempt} {resources.runtime}"\n        "'
    assert f'"tmap {rule.replace("_", "-")} ' in body.replace(job, "tmap")
    assert f'"results/logs/{rule}/' in body
    assert "benchmark:" not in body or f'"results/benchmarks/{rule}/' in body


@by_rule
def test_jobs_are_repeated_by_the_profile_and_local_rules_never(rule):
    body = RULES[rule]

    # Another number would be repeated inside each of a cluster's jobs as well.
    assert re.findall(r"retries: (.*)", body) == ["0"] * ("localrule: True" in body)
    assert ("tmap --job {log}" in body) == ("localrule" not in body)


def test_the_cluster_profile_places_every_rule_that_may_ask_for_a_gpu():
    asks = {name for name, body in RULES.items() if re.search(r"\bgpu=", body)}
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    derived = re.findall(r"^use rule (\w+) as (\w+) with", text, re.MULTILINE)
    asks |= {new for known, new in derived if known in asks}
    profile = (ROOT / "profiles/slurm/config.yaml").read_text()

    placed = set(yaml.safe_load(profile)["set-resources"])
    # They read text or files of gradients: no model, no GPU.
    assert placed == asks - {"score_indicator", "score_indicator_of_round"}


@by_rule
def test_every_rule_carries_a_fingerprint_and_its_card_values(rule):
    assert "code=" in RULES[rule]
    assert "card=" in RULES[rule]


@by_command
def test_commands_stay_thin(path):
    text = path.read_text()
    tree = ast.parse(text)
    thoughts = [n for n in ast.walk(tree) if isinstance(n, (ast.While, ast.Try))]
    functions = [n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]

    assert ast.get_docstring(tree), "its --help"
    assert len(text.splitlines()) <= 60
    assert functions == ["run"]
    assert not thoughts


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_the_library_never_imports_snakemake():
    for path in PACKAGE.rglob("*.py"):
        roots = {name.split(".")[0] for name in imported(path)}
        assert "snakemake" not in roots, path.relative_to(ROOT)


@pytest.mark.parametrize("name", ["utils", "helpers", "misc", "common"])
def test_no_module_has_a_name_that_says_nothing(name):
    assert not list(PACKAGE.rglob(f"{name}.py"))


def test_generated_docs_are_fresh():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)

    for name, text in generate.pages().items():
        written = (ROOT / "docs" / name).read_text(encoding="utf-8")
        assert written == text, f"docs/{name} is stale: run make docs"


def test_no_tracked_file_names_a_place_on_one_machine():
    git = ["git", "-C", str(ROOT), "ls-files", "-z"]
    listed = subprocess.run(git, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    place = re.compile(r"(?<![\w.])/(home|Users|root|work|tmp)/\w")
    found = [
        f"{name}: {match.group()}"
        for name in listed.stdout.split("\0")
        if name and (ROOT / name).is_file()
        for match in place.finditer((ROOT / name).read_text(errors="ignore"))
    ]

    assert found == []


@pytest.mark.parametrize("command", ["check", "format --check"])
def test_ruff_has_nothing_to_say(command):
    found = subprocess.run(
        ["ruff", *command.split(), "--no-cache", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout + found.stderr

"""The laws of the code base (docs/explanation/architecture.md), each as a test.

A rule that is added incompletely fails here, and the message names the missing place.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from project import ROOT, program
from tmap import cli
from tmap.artifacts import provenance
from tmap.artifacts.rules import CHAPTERS, RULES, TIMED
from tmap.dag import params
from tmap.operations.planning import costs

PACKAGE = ROOT / "workflow" / "tmap"
#: Chapters that reuse rules of others on other files -> the module behind them.
REUSING = {
    "rounds": "selection/rounds",
    "variants": "selection/variants",
    "certificate": "search/certificate",
}
STAGES = [name for name in CHAPTERS if name not in REUSING]
#: Packages of the library that rule files may import.
FOR_RULES = {"artifacts", "cards", "dag", "jobs"}
#: Packages whose `__init__` is more than a docstring: each is used as a whole.
WITH_A_FACE = {
    "cards",
    "dag",
    "engines",
    "experiments",
    "indicators",
    "judges",
    "worlds",
}
TEXT = {
    path.stem: path.read_text(encoding="utf-8") for path in ROOT.glob("rules/*.smk")
}
FOUND = {
    name: (chapter, body)
    for chapter, text in TEXT.items()
    for name, body in re.findall(
        r"^(?:rule|checkpoint) (\w+):\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL
    )
}
REPEATED = {
    new: (chapter, known)
    for chapter, text in TEXT.items()
    for known, new in re.findall(r"^use rule (\w+) as (\w+) with", text, re.MULTILINE)
}
MODULES = sorted((PACKAGE / "commands").glob("[!_]*.py"))
PACKAGES = sorted(p.parent for p in PACKAGE.glob("*/__init__.py"))
by_rule = pytest.mark.parametrize("rule", FOUND)
by_command = pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
by_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)


# --- a rule is complete (docs/how-to/rule.md lists the places in this order)


def test_every_rule_is_in_the_registry_and_every_row_is_a_rule():
    written = {name: chapter for name, (chapter, _) in (FOUND | REPEATED).items()}
    listed = {name: rule.chapter for name, rule in RULES.items()}

    missing = written.keys() - listed
    assert not missing, f"add to workflow/tmap/artifacts/rules.py: {sorted(missing)}"
    extra = listed.keys() - written
    assert not extra, f"in workflow/tmap/artifacts/rules.py, in no chapter: {extra}"
    assert written == listed, "chapters differ: workflow/tmap/artifacts/rules.py"


def test_the_registry_knows_which_rule_repeats_which():
    def first(name):
        return first(REPEATED[name][1]) if name in REPEATED else name

    told = {name: rule.base for name, rule in RULES.items() if rule.base}
    assert told == {name: first(name) for name in REPEATED}, "artifacts/rules.py: base"


@by_rule
def test_a_rule_has_its_command_and_its_params(rule):
    command = f"workflow/tmap/commands/{rule}.py"
    assert (ROOT / command).is_file(), f"write {command}"
    assert callable(getattr(params, rule, None)), (
        f"write {rule}() in workflow/tmap/dag/params.py: the card values that it reads"
    )
    body = FOUND[rule][1]
    assert "code=" in body, f"rules: {rule} lacks `code=fingerprint(...)` in params"
    assert "card=" in body, f"rules: {rule} lacks `card=dag.params.of(...)` in params"


@by_rule
def test_rule_command_log_and_benchmark_share_one_name(rule):
    body = FOUND[rule][1]
    job = 'tmap --job {log} {resources.attempt} {resources.runtime}"\n        "'
    assert f'"tmap {rule.replace("_", "-")} ' in body.replace(job, "tmap")
    assert f'"results/logs/{rule}/' in body
    assert "benchmark:" not in body or f'"results/benchmarks/{rule}/' in body


@by_rule
def test_a_rule_runs_where_the_registry_says(rule):
    assert rule in RULES, f"add to workflow/tmap/artifacts/rules.py: ['{rule}']"
    body, place = FOUND[rule][1], RULES[rule].place

    assert ("localrule: True" in body) == (place == "here"), "artifacts/rules.py: place"
    assert bool(re.search(r"\bgpu=", body)) == (place != "here"), "resources: gpu="
    # Another number would also be repeated inside each job of a cluster.
    assert re.findall(r"retries: (.*)", body) == ["0"] * (place == "here")
    assert ("tmap --job {log}" in body) == (place != "here")


def test_the_cluster_profile_places_every_gpu_rule():
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    placed = set(profile["set-resources"])
    on_gpu = {name for name, rule in RULES.items() if rule.place == "gpu"}

    where = "profiles/slurm/config.yaml: set-resources"
    assert not on_gpu - placed, f"{where} lacks {sorted(on_gpu - placed)}"
    extra = sorted(placed - on_gpu)
    assert not extra, f"{where} has {extra}, which the registry places on no GPU"


def time_requests(text):
    """Calls in a rule file or module that request the minutes of a named rule."""
    for found in re.finditer(r"(?<!def )\b(?:runtime|judge_minutes)\(", text):
        end, depth = found.end(), 1
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        yield ast.parse(" ".join(text[found.start() : end].split()), mode="eval").body


def test_a_rule_whose_time_is_requested_has_minutes_in_the_registry():
    machines = (PACKAGE / "dag/machines.py").read_text(encoding="utf-8")
    asked = {
        given.value
        for text in (machines, *TEXT.values())
        for call in time_requests(text)
        for given in (*call.args, *(keyword.value for keyword in call.keywords))
        if isinstance(given, ast.Constant) and isinstance(given.value, str)
    }

    assert {"score_indicator", "generate_candidates", "gradients"} <= asked
    for name in sorted(asked - set(TIMED)):
        pytest.fail(f"workflow/tmap/artifacts/rules.py: give {name} its minutes")


def test_every_kind_of_work_can_be_counted():
    kinds = {rule.work for rule in RULES.values()} - {"none"}
    assert kinds == set(costs.KINDS), "workflow/tmap/operations/planning/costs.py"


def test_every_command_is_a_job_of_a_rule_or_is_listed_for_people():
    commands = {path.stem.replace("_", "-") for path in MODULES}
    listed = [name for names in cli.panels().values() for name in names]

    assert sorted(listed) == sorted(commands)
    assert set(cli.PEOPLE) <= commands
    jobs = {name.replace("_", "-") for name in FOUND}
    assert jobs <= commands and not jobs & set(cli.PEOPLE)


# --- one name per stage


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_the_same_name_in_five_places(stage):
    for place in (
        f"rules/{stage}.smk",
        f"workflow/tmap/{stage}/__init__.py",
        f"workflow/tmap/dag/{stage}.py",
        f"tests/{stage}",
    ):
        assert (ROOT / place).exists(), f"no {place}"
    page = (ROOT / "docs/reference/rules.md").read_text(encoding="utf-8")
    assert f"\n## {stage}\n" in page, "run make docs"


def test_every_chapter_is_a_stage_or_reuses_rules_of_stages():
    assert set(TEXT) - {"common"} == set(CHAPTERS)
    for chapter, module in REUSING.items():
        assert (PACKAGE / f"{module}.py").is_file(), module
        assert (PACKAGE / f"dag/{chapter}.py").is_file(), chapter
    order = re.findall(r'^include: "rules/(\w+)\.smk"', snakefile(), re.M)
    assert order == ["common", *CHAPTERS]


def snakefile() -> str:
    return (ROOT / "Snakefile").read_text(encoding="utf-8")


# --- everything is in a package; `__init__` is a docstring


def test_the_library_is_four_modules_and_packages():
    flat = {path.name for path in PACKAGE.glob("*.py")}
    expected = {"__init__.py", "__main__.py", "cli.py", "errors.py"}
    assert flat == expected, f"put into a package: {sorted(flat - expected)}"
    assert len(PACKAGES) <= 26


@by_package
def test_a_package_has_three_to_twenty_modules(package):
    n = len(list(package.glob("*.py"))) - 1
    rooms = [p for p in package.iterdir() if (p / "__init__.py").is_file()]
    assert n + len(rooms) >= 2
    assert n <= 20 or package.name == "commands"


@by_package
def test_a_package_face_is_a_docstring(package):
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{package.name}: say what is in it"
    if package.name not in WITH_A_FACE:  # a re-export would widen every fingerprint
        assert len(tree.body) == 1, f"{package.name}/__init__.py: a docstring only"


@by_package
def test_tests_mirror_packages(package):
    if package.name != "commands":  # thin; the tests of what they call cover them
        folder = ROOT / "tests" / package.name
        assert list(folder.glob("test_*.py")), f"no tests in tests/{package.name}"


@pytest.mark.parametrize("name", ["utils", "helpers", "misc", "common"])
def test_no_module_has_a_name_that_says_nothing(name):
    assert not list(PACKAGE.rglob(f"{name}.py"))


# --- who may import whom


def test_layers_hold_and_nothing_is_in_a_circle():
    program = Path(sys.executable).with_name("lint-imports")
    found = subprocess.run(
        [program, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout[-3000:]


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "tmap":
            yield from (f"tmap.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_rules_ask_the_dag():
    lines = "\n".join([snakefile(), *TEXT.values()])
    wanted = "\n".join(re.findall(r"^(?:from|import) .*$", lines, re.M))
    rooms = {n.split(".")[1] for n in imported(ast.parse(wanted)) if n[:5] == "tmap."}
    assert rooms <= FOR_RULES


def test_plumbing_is_packages():
    """A module whose change can alter a number must not be in one of them."""
    folders = {f"tmap.{package.name}" for package in PACKAGES}
    assert folders > provenance.PLUMBING


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


# --- what is generated, tracked and formatted


def test_generated_docs_are_fresh():
    for name, text in program("docs/generate.py").pages().items():
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
        [Path(sys.executable).with_name("ruff"), *command.split(), "--no-cache", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout + found.stderr

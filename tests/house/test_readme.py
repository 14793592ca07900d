"""What the README and the docs' front pages tell people to type."""

import re
import shlex
import shutil

import pytest

from clones import Clone
from project import ROOT

#: The example of the library alone is on the page of the architecture.
PAGES = ("README.md", "docs/index.md", "docs/explanation/architecture.md")
README = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
FENCES = re.findall(r"^```(\w*)\n(.*?)^```", README, re.M | re.S)
SHELL = "".join(text for language, text in FENCES if not language)
COMMANDS = [
    shlex.split(line.replace("\\\n", " "), comments=True)
    for line in re.findall(
        r"^(?:make|snakemake|tmap)(?:[^\n]*\\\n)*[^\n]*", SHELL, re.M
    )
]


def test_commands_and_an_example_are_found():
    assert {words[0] for words in COMMANDS} >= {"make", "snakemake"}
    assert [language for language, _ in FENCES].count("python") == 1


def test_the_readme_itself_leads_from_the_demo_to_ones_own_data():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    typed = re.findall(r"^(make|tmap|snakemake) (\S+)", text, re.M)

    assert [word for word, _ in typed] == ["make", "tmap", "tmap", "tmap"]
    assert len(text.splitlines()) <= 150  # the demo's table included


def test_every_link_of_the_readme_leads_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!http)([^)#]+)", text)

    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target


def test_every_make_target_exists():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    inline = re.findall(r"`make ([a-z-]+)", README)
    asked = [words[1] for words in COMMANDS if words[0] == "make"] + inline
    assert asked
    assert set(asked) <= set(targets)


@pytest.mark.workflow
@pytest.mark.parametrize(
    "command", [words for words in COMMANDS if words[0] == "snakemake"], ids=" ".join
)
def test_every_snakemake_command_can_be_planned(tmp_path, command, request):
    clone = Clone.make(tmp_path / "clone")
    if any(word.startswith("tests/real") for word in command):
        shutil.copytree(ROOT / "tests" / "real", clone.path / "tests" / "real")
        (tmp_path / "shared").symlink_to(request.getfixturevalue("shared"))
    if any(word.startswith("../mine") for word in command):
        clone.run("tmap", "init", "../mine")
        for name in ("pool.jsonl", "questions.jsonl"):
            (tmp_path / "mine" / name).touch()
    out = clone.run(command[0], "-n", *command[1:])
    assert "search_weights" in out


@pytest.mark.workflow
def test_the_python_example_runs(finished_clone):
    (example,) = (text for language, text in FENCES if language == "python")
    example = example.replace("results/arith/", "results/demo/")
    out = finished_clone.run("python", "-c", example + "\nprint(len(best), len(pool))")
    n_best, n_pool = map(int, out.split())
    assert n_best == round(0.3 * n_pool) > 50

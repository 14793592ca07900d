"""What the docs tell people to type: how-to pages are planned, the tutorial is followed.

How blocks are marked: tests/support/pages.py.
"""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer

from clones import Clone
from pages import blocks, write
from project import ROOT
from tmap import cards
from tmap.cli import app, summaries

TUTORIAL = ROOT / "docs" / "tutorial.md"
PAGES = sorted((ROOT / "docs/how-to").glob("*.md"))
#: What a page may say beside make, tmap and snakemake; looked at, not run.
PLAIN = {"cat", "cp", "diff", "echo", "export", "git", "pip", "pytest", "sed", "source"}
#: Measured numbers of a results table, and by how many points they may differ.
NUMBER, POINTS = re.compile(r"[-+]?\d+\.\d"), 8.0
MADE = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
LINK = re.compile(r"\]\((?!http|#)([^)#]+)")


def commands(path):
    """Words of every command, in order."""
    typed = "".join(text for language, _, text in blocks(path) if not language)
    lines = typed.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def parse(words):
    """Let `tmap` read its arguments without doing anything."""
    assert words[1] in summaries()
    group = typer.main.get_command(app)
    group.get_command(None, words[1]).make_context(words[1], words[2:])


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone with a user's folder next to it, as `tmap init` writes it, and data."""
    clone = Clone.make(tmp_path_factory.mktemp("docs") / "clone")
    clone.run("tmap", "init", "../mine")
    mine = clone.path.parent / "mine"
    for name in ("pool.jsonl", "questions.jsonl", "train.parquet", "test.parquet"):
        (mine / name).touch()
    for name in ("exam_train.parquet", "exam_test.parquet", "responses.parquet"):
        (mine / name).touch()
    return clone


@pytest.mark.parametrize("path", [*PAGES, TUTORIAL], ids=lambda p: p.stem)
def test_every_command_is_one_that_exists_and_reads_its_options(path):
    assert commands(path)
    for words in commands(path):
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= set(MADE)
        elif words[0] == "tmap":
            parse(words)
        else:
            assert words[0] in PLAIN | {"snakemake"}, words


@pytest.mark.parametrize("path", [*PAGES, TUTORIAL], ids=lambda p: p.stem)
def test_every_link_leads_somewhere(path):
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


@pytest.mark.workflow
@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_cards_are_read_and_snakemake_commands_are_planned(clone, path, monkeypatch):
    write(clone, path)
    monkeypatch.setenv("TMAP_CARDS", str(clone.path.parent / "mine"))
    for language, name, _ in blocks(path):
        if name and language == "yaml":
            cards.load(name.partition("/")[0], Path(name).stem)
    for words in commands(path):
        if words[0] == "snakemake":
            said = clone.run(words[0], "-n", *words[1:])
            assert "fetch_" in said or {"--unlock", "--touch"} & set(words)


@pytest.mark.workflow
def test_the_tutorial_followed_literally_prints_what_it_says(tmp_path):
    clone = Clone.make(tmp_path / "tmap")
    said = ""
    for language, _, text in blocks(TUTORIAL):
        if language == "text":
            assert_printed(text, said)
        elif language == "python":
            said = clone.run("python", "-c", text)
        elif not language and "make setup" not in text:
            said = clone.run("bash", "-ec", text, timeout=2400)
    assert (clone.path / "results/my_data/my_model/metrics.json").is_file()


def assert_printed(shown, said):
    """Every line as printed, in order; `...` represents others.

    In the results table the words, and so the verdicts, are exact; measured numbers may
    differ by `POINTS`, because processors round differently.
    """
    measured = "95 % intervals" in shown
    lines = iter(clean(said))
    for line in clean(shown):
        if line != "...":
            found = any(same(line, other, measured) for other in lines)
            assert found, f"{line!r} is not printed after the line before it"


def same(line, other, measured):
    if not measured:
        return line == other
    shown, said = ([float(n) for n in NUMBER.findall(text)] for text in (line, other))
    words = [" ".join(NUMBER.sub("N", text).split()) for text in (line, other)]
    return words[0] == words[1] and all(
        abs(a - b) <= POINTS for a, b in zip(shown, said, strict=True)
    )


def clean(text):
    return [line.rstrip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        ("tmap  82.6 [74.9, 89.5]  5  +30.8 [+16.8, +45.0]  yes", True),
        ("tmap  80.1 [70.0, 88.0]   5  +28.0 [+12.5, +41.9]  yes", True),
        ("tmap  82.6 [74.9, 89.5]  5  +30.8 [+16.8, +45.0]  unclear", False),
        ("tmap  72.0 [74.9, 89.5]  5  +30.8 [+16.8, +45.0]  yes", False),
        ("tmap  82.6 [74.9, 89.5]  3  +30.8 [+16.8, +45.0]  yes", False),
    ],
)
def test_a_printed_table_may_differ_by_points_and_by_no_word(other, alike):
    line = "tmap  82.6 [74.9, 89.5]  5  +30.8 [+16.8, +45.0]  yes"
    assert same(line, other, measured=True) == alike


def test_shell_blocks_are_good_bash():
    for path in [*PAGES, TUTORIAL]:
        for language, _, text in blocks(path):
            if not language:
                subprocess.run(["bash", "-n", "-c", text], check=True)

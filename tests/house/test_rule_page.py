"""docs/how-to/rule.md, followed: its places are all that a rule needs, and no more."""

from __future__ import annotations

import json
import re
import shutil
import sys

import pytest

from clones import Clone
from pages import blocks, write
from project import ROOT

PAGE = ROOT / "docs" / "how-to" / "rule.md"
LAWS = "tests/house/test_laws.py"
#: Laws on rules, their commands and the generated pages; the others read no rule.
ON_RULES = "rule or command or cluster or generated or registry"
#: Row of the page's last table -> the place that is left out.
PLACES = {
    "the row in the registry": "workflow/tmap/artifacts/rules.py",
    "the rule in its chapter": "rules/data.smk",
    "the card values": "workflow/tmap/dag/params.py",
    "the command": "workflow/tmap/commands/count_words.py",
    "`make docs`": "docs",
}


@pytest.fixture
def clone(tmp_path):
    """A clone with what the laws on rules look at."""
    clone = Clone.make(tmp_path / "clone")
    shutil.copytree(ROOT / "docs", clone.path / "docs")
    for name in (LAWS, "tests/support/project.py", "pyproject.toml"):
        (clone.path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, clone.path / name)
    return clone


def laws(clone):
    options = ["-k", ON_RULES, "--noconftest", "-p", "no:cacheprovider"]
    return clone.run(sys.executable, "-m", "pytest", LAWS, *options, check=False)


def generate(clone):
    clone.run(sys.executable, "docs/generate.py")


def test_followed_to_the_letter_no_law_is_broken(clone):
    write(clone, PAGE)
    generate(clone)

    said = laws(clone)

    assert "passed" in said and "failed" not in said, said
    assert "`count_words`" in (clone.path / "docs/reference/rules.md").read_text()


@pytest.mark.parametrize("forgotten", PLACES)
def test_a_forgotten_place_is_named_as_the_page_says(clone, forgotten):
    text = PAGE.read_text(encoding="utf-8")
    (answer,) = re.findall(rf"^\| {re.escape(forgotten)} \| `(.*)` \|$", text, re.M)
    place = clone.path / PLACES[forgotten]
    before = place.read_text() if place.is_file() else None
    write(clone, PAGE)
    if place.is_dir():
        pass  # as they were before the rule
    elif before is None:
        place.unlink()
    else:
        place.write_text(before)

    said = laws(clone)

    assert answer in said, said


def test_the_page_lists_every_answer_that_is_tried():
    text = PAGE.read_text(encoding="utf-8").partition("## When you forget a place")[2]
    rows = dict(re.findall(r"^\| ([^|]*) \| `(.*)` \|$", text, re.M))

    cluster = rows.pop("the cluster profile, for a GPU rule")
    assert list(rows) == [*PLACES]
    assert f'"{cluster}"' in (ROOT / LAWS).read_text(encoding="utf-8")


def test_every_block_is_a_file_that_is_named():
    assert [name for _, name, _ in blocks(PAGE) if name] == [
        "workflow/tmap/artifacts/rules.py",
        "rules/data.smk",
        "workflow/tmap/dag/params.py",
        "workflow/tmap/commands/count_words.py",
        "workflow/tmap/data/words.py",
    ]


@pytest.mark.workflow
def test_the_rule_runs_and_runs_again_for_its_card_value(clone):
    write(clone, PAGE)
    clone.run("tmap", "make-world", "world")
    target = "results/demo/words.json"

    clone.snakemake("--", target)

    found = json.loads((clone.path / target).read_text())
    assert found["made"]["rule"] == "count_words"
    assert found["expected"] == 0.3 * found["words"] > found["rows"]
    assert clone.plan(target=target) == set()
    card = clone.path / "world/cards/datasets/demo.yaml"
    card.write_text(card.read_text() + "fraction: 0.5\n")
    assert clone.plan(target=target) == {"count_words dataset=demo"}

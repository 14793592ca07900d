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
SECOND = "## A rule with a model"
#: Laws on rules, their commands and the generated pages; the others read no rule.
ON_RULES = "rule or command or cluster or generated or registry"
#: Row of the page's last table -> the place of the first example that is left out.
PLACES = {
    "the row in the registry": "workflow/tmap/artifacts/rules.py",
    "the rule in its chapter": "rules/data.smk",
    "the card values": "workflow/tmap/dag/params.py",
    "the command": "workflow/tmap/commands/count_words.py",
    "`make docs`": "docs",
}


#: The same, of the second example: -> file, and what it loses.
OF_A_MODEL = {
    "the minutes of a rule that requests them": (
        "workflow/tmap/artifacts/rules.py",
        ", minutes=30",
    ),
    "the cluster profile, for a GPU rule": (
        "profiles/slurm/config.yaml",
        "  count_tokens:\n    slurm_partition: gpu\n",
    ),
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
    listed = (clone.path / "docs/reference/rules.md").read_text()
    assert "`count_words`" in listed and "`count_tokens`" in listed


@pytest.mark.parametrize("forgotten", PLACES)
def test_a_forgotten_place_is_named_as_the_page_says(clone, forgotten):
    place = clone.path / PLACES[forgotten]
    before = place.read_text() if place.is_file() else None
    write(clone, PAGE, until=SECOND)
    if place.is_dir():
        pass  # as they were before the rule
    elif before is None:
        place.unlink()
    else:
        place.write_text(before)

    said = laws(clone)

    assert answers()[forgotten] in said, said


def test_forgotten_places_of_a_rule_with_a_model_are_named_as_the_page_says(clone):
    write(clone, PAGE)
    for name, lost in OF_A_MODEL.values():
        text = (clone.path / name).read_text()
        assert text.count(lost) == 1
        (clone.path / name).write_text(text.replace(lost, ""))

    said = laws(clone)

    for forgotten in OF_A_MODEL:
        assert answers()[forgotten] in said, said


def answers():
    """Rows of the page's last table: the place -> the message."""
    text = PAGE.read_text(encoding="utf-8").partition("## When you forget a place")[2]
    return dict(re.findall(r"^\| ([^|]*) \| `(.*)` \|$", text, re.M))


def test_the_page_lists_every_answer_that_is_tried():
    assert list(answers()) == [*PLACES, *OF_A_MODEL]


def test_every_block_is_a_file_that_is_named():
    assert [name for _, name, _ in blocks(PAGE) if name] == [
        "workflow/tmap/artifacts/rules.py",
        "rules/data.smk",
        "workflow/tmap/dag/params.py",
        "workflow/tmap/commands/count_words.py",
        "workflow/tmap/data/words.py",
        "workflow/tmap/artifacts/rules.py",
        "profiles/slurm/config.yaml",
        "rules/indicators.smk",
        "workflow/tmap/dag/params.py",
        "workflow/tmap/commands/count_tokens.py",
        "workflow/tmap/indicators/scoring/tokens.py",
    ]


@pytest.mark.workflow
def test_the_rules_run_and_run_again_for_a_card_value(clone):
    write(clone, PAGE)
    clone.run("tmap", "make-world", "world")
    target = "results/demo/words.json"
    of_model = "results/demo/random_llama/tokens.json"

    clone.snakemake("--", target, of_model)

    of_model = json.loads((clone.path / of_model).read_text())
    assert of_model["made"]["names"] == {"dataset": "demo", "model": "random_llama"}
    found = json.loads((clone.path / target).read_text())
    assert of_model["rows"] == found["rows"] and of_model["tokens"] > found["words"]
    assert found["made"]["rule"] == "count_words"
    assert found["expected"] == 0.3 * found["words"] > found["rows"]
    assert clone.plan(target=target) == set()
    card = clone.path / "world/cards/datasets/demo.yaml"
    card.write_text(card.read_text() + "fraction: 0.5\n")
    assert clone.plan(target=target) == {"count_words dataset=demo"}

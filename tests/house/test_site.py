"""The documentation as a site: every page is in the menu, is linked, and builds."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from project import ROOT
from tmap import cards
from tmap.cards.base import Section
from tmap.cards.workflow import WorkflowConfig

DOCS = ROOT / "docs"
PAGES = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
#: A link to a page: not to the web, not to a heading of the same page.
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
CARDS = [*cards.KINDS.values(), WorkflowConfig]


def config():
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def listed(nav: list | dict | str) -> Iterator[str]:
    """Pages of the menu, whatever their depth."""
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from listed(part)


def linked(page: str) -> set[str]:
    """Pages that a page links to, as paths under docs/; pictures must be there."""
    text = (DOCS / page).read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    found = {
        ((DOCS / page).parent / target).resolve() for target in LINK.findall(prose)
    }
    outside = [str(path) for path in found if not path.is_relative_to(DOCS)]
    assert not outside, f"{page}: write files outside docs/ as code, not as links"
    missing = [str(path) for path in found if not path.is_file()]
    assert not missing, f"{page}: no such file"
    return {str(path.relative_to(DOCS)) for path in found if path.suffix == ".md"}


def test_every_page_is_in_the_menu_once():
    found = list(listed(config()["nav"]))

    assert sorted(found) == sorted(PAGES), "mkdocs.yml: nav"


def test_every_page_can_be_reached_by_links_from_the_index():
    seen, queue = set(), ["index.md"]
    while queue:
        page = queue.pop()
        if page not in seen:
            seen.add(page)
            queue += linked(page)

    assert seen - PAGES == set(), "links to pages that are not there"
    assert PAGES - seen == set(), "no link from docs/index.md leads to these pages"


def test_a_build_is_strict_and_fetches_nothing():
    found = config()

    assert found["strict"] is True
    assert found["theme"]["font"] is False
    for key in ("omitted_files", "absolute_links", "unrecognized_links", "anchors"):
        assert found["validation"][key] == "warn", key


def test_the_site_builds_without_a_warning(tmp_path):
    if importlib.util.find_spec("material") is None:
        pytest.skip("mkdocs-material is not installed (pip install -e '.[dev]')")
    build = "-m mkdocs build --strict --quiet --site-dir".split()
    found = subprocess.run(
        [sys.executable, *build, tmp_path, "--config-file", ROOT / "mkdocs.yml"],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "WARNING" not in found.stderr, found.stderr
    for page in PAGES:
        place = Path(page).with_suffix("")
        place = place.parent if place.name == "index" else place
        html = (tmp_path / place / "index.html").read_text(encoding="utf-8")
        assert "fonts.googleapis.com" not in html


#: Pages that people write; names on generated pages come from the code itself.
WRITTEN = sorted(page for page in PAGES if not page.startswith("reference/"))
FOLDERS = "workflow|rules|tests|config|benchmarks|profiles|resources|envs|docs"
PLACE = re.compile(rf"`((?:{FOLDERS})/[\w./-]+)`")
NAME = re.compile(r"`(tmap(?:\.[a-z_]\w*)+(?:\.[A-Z]\w*)*)`")


@pytest.mark.parametrize("page", WRITTEN)
def test_files_and_functions_that_a_page_names_are_there(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    made = set(re.findall(r'title="([^"]*)"', text))

    for place in set(PLACE.findall(text)) - made:
        example = re.search(r"/(X|NAME)\b", place)
        assert example or (ROOT / place).exists(), f"{page}: {place}"
    for name in NAME.findall(text):
        assert resolves(name), f"{page}: {name}"


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        for part in parts[n:]:
            found = getattr(found, part, None)
        return found is not None
    return False


def test_the_architecture_shows_the_layers_that_are_checked():
    page = (DOCS / "explanation/architecture.md").read_text(encoding="utf-8")
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    layers = tools["importlinter"]["contracts"][0]["layers"]
    packages = re.findall(r"^\| `(\w+)` \|", page, re.M)

    assert "\n".join(["```text", *layers, "```"]) in page
    flat = {name for layer in layers for name in layer.split(" | ")}
    assert sorted(packages) == sorted(flat - {"cli", "errors"})


def keys(model: type[Section], path: str = "") -> Iterator[tuple[str, str]]:
    """(path, meaning) of every key of a card; sections are explained by docstrings."""
    for name, field in model.model_fields.items():
        nested = section(field.annotation)
        yield f"{path}{name}", field.description or (nested and nested.__doc__) or ""
        if nested:
            yield from keys(nested, f"{path}{name}.")


def section(annotation: object) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    found = map(section, getattr(annotation, "__args__", ()))
    return next((model for model in found if model), None)


@pytest.mark.parametrize("model", CARDS, ids=lambda m: m.__name__)
def test_every_key_of_a_card_is_explained(model):
    bare = [path for path, meaning in keys(model) if not meaning.strip()]

    assert bare == [], "workflow/tmap/cards: give Field(description=...)"


@pytest.mark.parametrize("model", CARDS, ids=lambda m: m.__name__)
def test_every_key_of_a_card_is_on_the_reference_page(model):
    page = (DOCS / "reference/cards.md").read_text(encoding="utf-8")

    for path, _ in keys(model):
        assert f"\n| `{path.rpartition('.')[2]}` |" in page, path

"""Fingerprints follow the meaning of code, not its looks."""

from __future__ import annotations

import ast
import json
import re

import pytest

from tmap import indicators
from tmap.artifacts import provenance

MODULES = {
    "commands/weigh.py": "from tmap.scale import weigh\nrun = weigh\n",
    "scale.py": "import json\nfrom tmap import units\nfrom tmap.errors import E\n"
    'def weigh(x):\n    """Docs."""\n    return x * units.GRAM\n',
    "units.py": "GRAM = 1000\n",
    "errors.py": "E = 1\n",
    "stranger.py": "X = 1\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package that replaces tmap's own: write(name, text), then fingerprint()."""
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def write(name, text):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        forget()

    def forget():
        provenance._path.cache_clear()
        provenance._meaning.cache_clear()
        provenance._kept.cache_clear()
        provenance.fingerprint.cache_clear()

    for name, text in MODULES.items():
        write(name, text)
    yield write
    forget()


def fingerprint():
    return provenance.fingerprint("weigh")


def test_a_fingerprint_is_16_hex_digits(package):
    assert re.fullmatch(r"[0-9a-f]{16}", fingerprint())


def test_the_closure_follows_imports_and_leaves_plumbing_out(package):
    found = provenance.closure("tmap.commands.weigh")

    assert list(found) == ["tmap.commands.weigh", "tmap.scale", "tmap.units"]


@pytest.mark.parametrize(
    "text",
    [
        MODULES["scale.py"].replace("Docs.", "Other words."),
        MODULES["scale.py"].replace('    """Docs."""\n', ""),
        "# a comment\n" + MODULES["scale.py"].replace("x * units", "x  *  units"),
        MODULES["scale.py"].replace(
            "x * units.GRAM", "(\n        x * units.GRAM\n    )"
        ),
    ],
    ids=["docstring", "no docstring", "comment and spaces", "line breaks"],
)
def test_comments_docstrings_and_layout_do_not_count(package, text):
    before = fingerprint()

    package("scale.py", text)

    assert fingerprint() == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("commands/weigh.py", MODULES["commands/weigh.py"] + "run(1)\n"),
        ("scale.py", MODULES["scale.py"].replace("x *", "x +")),
        ("units.py", "GRAM = 1001\n"),
        ("units.py", "GRAM = 1000.0\n"),
        ("units.py", "GRAM = '1000'\n"),
    ],
)
def test_code_counts_in_every_imported_module(package, name, text):
    before = fingerprint()

    package(name, text)

    assert fingerprint() != before


def test_what_is_kept_spares_the_reading_and_changes_nothing(package, monkeypatch):
    first = fingerprint()
    package("stranger.py", "X = 2\n")  # forgets what this process knows
    monkeypatch.setattr(provenance.ast, "parse", None)

    assert fingerprint() == first


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"a": 1}', '{"a": [1, 2]}', "null", "\0" * 100]
)
def test_a_damaged_cache_is_passed_over_and_replaced(package, damage):
    first = fingerprint()
    whole = provenance._cache_file().read_text()
    provenance._cache_file().write_text(damage)
    package("stranger.py", "X = 2\n")

    assert fingerprint() == first
    assert json.loads(provenance._cache_file().read_text()) == json.loads(whole)


def test_without_a_place_for_a_cache_it_is_computed(package, tmp_path, monkeypatch):
    first = fingerprint()
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    package("stranger.py", "X = 2\n")

    assert fingerprint() == first


def test_old_versions_leave_the_cache(package, monkeypatch):
    monkeypatch.setattr(provenance, "MOST_KEPT", 3)
    fingerprint()
    for value in range(5):
        package("units.py", f"GRAM = {value}\n")
        fingerprint()

    assert len(json.loads(provenance._cache_file().read_text())) <= 4


@pytest.mark.parametrize("name", ["stranger.py", "errors.py"])
def test_plumbing_and_strangers_do_not_count(package, name):
    before = fingerprint()

    package(name, "X = 2\nE = 3\n")

    assert fingerprint() == before


def test_a_missing_module_is_a_bug(package):
    with pytest.raises(LookupError, match=r"tmap\.commands\.fly"):
        provenance.fingerprint("fly")


@pytest.mark.parametrize("name", indicators.names())
def test_an_indicator_does_not_depend_on_the_others(name):
    found = provenance.closure(
        "tmap.commands.score_indicator", f"tmap.indicators.{name}"
    )
    others = {f"tmap.indicators.{other}" for other in indicators.names()} - {
        f"tmap.indicators.{name}"
    }

    assert f"tmap.indicators.{name}" in found
    assert others.isdisjoint(found)


def test_the_normal_form_drops_docstrings_and_keeps_values():
    def form(text):
        return provenance.normal(ast.parse(text))

    assert form('def f(x):\n    "Docs."\n    return x') == form("def f(x): return x")
    assert form('class A:\n    "Docs."\n    x = 1') == form("class A:\n    x = 1")
    assert form("x = ''") != form("x = None")
    assert form("x = 1") != form("x = True")
    assert form("f(a, b)") != form("f(b, a)")
    assert form("f(a=1)") != form("f(a)")


def test_versions_name_what_can_change_a_number():
    assert {"python", "numpy", "torch", "transformers"} <= provenance.versions().keys()

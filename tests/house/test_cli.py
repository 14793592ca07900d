"""The command line: help everywhere, errors as one sentence."""

import os
import subprocess
import sys

import pytest

from project import ROOT
from tmap import __version__, cli


def tmap(*arguments):
    """Run the command as a user would: (exit status, standard output, error)."""
    done = subprocess.run(
        [sys.executable, "-m", "tmap", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "workflow"), "COLUMNS": "100"},
    )
    return done.returncode, done.stdout, done.stderr


def test_help_lists_every_command_without_importing_any():
    status, text, _ = tmap("--help")

    assert status == 0
    assert all(f"  {name} " in text for name in cli.summaries())


def test_a_shell_completes_commands(monkeypatch):
    monkeypatch.setenv("_TMAP_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "tmap st")
    monkeypatch.setenv("COMP_CWORD", "1")

    assert tmap()[1].split() == ["status", "store-gc"]


def test_version():
    assert tmap("--version")[:2] == (0, f"tmap {__version__}\n")


@pytest.mark.parametrize("name", ["score-indicator", "make-world"])
def test_every_command_explains_itself(name):
    status, text, error = tmap(name, "--help")

    assert (status, error) == (0, "")
    assert f"Usage: tmap {name}" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score-indicatr"], "'score-indicatr'. Did you mean 'score-indicator'?"),
        (["rnu"], "No such command 'rnu'. Did you mean 'run'?"),
        (["qqqq"], "No such command 'qqqq'."),
        (["make-world", "--nope"], "No such option: --nope"),
    ],
)
def test_a_wrong_call_is_explained_without_a_traceback(arguments, message):
    status, _, error = tmap(*arguments)

    assert status == 2
    assert message in error
    assert "Traceback" not in error


def test_a_fault_of_the_user_is_one_sentence_and_status_1():
    status, _, error = tmap(
        *("score-indicator", "gsm8k", "ifdd", "--pool", "x", "--output", "y")
    )

    assert status == 1
    assert error.startswith("error: No indicator 'ifdd'. Did you mean 'ifd'?")
    assert "Traceback" not in error

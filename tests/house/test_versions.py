"""Versions in ledger keys, pinned to the code that they represent."""

import pytest

from tmap.artifacts.provenance import fingerprint
from tmap.engines.base import ENGINE_VERSION
from tmap.evaluation.readers import READER_VERSION

ENGINES = ("prefix_cache", "reference", "likelihood", "stops", "local")


@pytest.mark.parametrize(
    ("name", "version", "modules", "pinned"),
    [
        (
            "READER_VERSION",
            READER_VERSION,
            ["tmap.evaluation.readers"],
            (2, "b6601e41ad01edcd"),
        ),
        (
            "ENGINE_VERSION",
            ENGINE_VERSION,
            [f"tmap.engines.{name}" for name in ENGINES],
            (3, "8a0e4b58916ee709"),
        ),
    ],
)
def test_code_that_can_change_a_recorded_answer_is_pinned(
    name, version, modules, pinned
):
    """If it fails: raise the version if a mark or token can differ, then pin again."""
    assert (version, fingerprint(*modules)) == pinned, name

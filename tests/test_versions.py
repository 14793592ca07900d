"""Versions that ledger keys carry, pinned to the code that they stand for."""

import pytest

from tmap.answers import READER_VERSION
from tmap.engines.base import ENGINE_VERSION
from tmap.provenance import fingerprint

ENGINES = ("prefix_cache", "reference", "likelihood", "stops", "local")


@pytest.mark.parametrize(
    ("name", "version", "modules", "pinned"),
    [
        ("READER_VERSION", READER_VERSION, ["tmap.answers"], (1, "f3725e65b81efa67")),
        (
            "ENGINE_VERSION",
            ENGINE_VERSION,
            [f"tmap.engines.{name}" for name in ENGINES],
            (3, "0c7c498e86649e91"),
        ),
    ],
)
def test_code_that_can_change_a_recorded_answer_is_pinned(
    name, version, modules, pinned
):
    """If it fails: raise the version where a mark or token can differ, then pin anew."""
    assert (version, fingerprint(*modules)) == pinned, name

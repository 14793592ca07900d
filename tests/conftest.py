"""Fixtures that more than one test file uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def shared() -> Path:
    """The folder of development data; the test is skipped where there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("TMAP_SHARED", beside))
    if not (folder / "data").is_dir():
        pytest.skip(f"no development data: {folder / 'data'} does not exist")
    return folder

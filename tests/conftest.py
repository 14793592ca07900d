import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def shared():
    """The folder of real benchmark files, or a skip."""
    folder = Path(os.environ.get("TMAP_SHARED") or ROOT.parent / "shared")
    if not (folder / "data").is_dir():
        pytest.skip(f"needs benchmark files in {folder / 'data'}")
    return folder

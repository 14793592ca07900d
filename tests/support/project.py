"""Where the project is, and its programs as modules."""

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def program(path: str) -> ModuleType:
    """A program of the project that is in no package, such as `benchmarks/x.py`."""
    about = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(about)
    about.loader.exec_module(module)
    return module

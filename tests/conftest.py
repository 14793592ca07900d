"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from project import ROOT
from tiny_llama import write_llama, write_tokenizer

# One thread per worker, like every job of the workflow; set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

#: Files whose workflow tests take longest, in this order.
LONG = (
    *("test_docs", "test_workflow", "test_planted", "test_resume", "test_embedded"),
    *("test_full_disk", "test_parts_workflow"),
)


@pytest.fixture(autouse=True)
def own_card_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Card folders that a test uses (`cards.use_folders`) are no other test's."""
    monkeypatch.setenv("TMAP_CARDS", os.environ.get("TMAP_CARDS", ""))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real benchmark files and trained models; `TMAP_SHARED` overrides their folder."""
    folder = Path(os.environ.get("TMAP_SHARED") or ROOT.parent / "shared")
    if not (folder / "data").is_dir():
        pytest.skip(
            "no benchmark files: set TMAP_SHARED, or put them in ../shared/data"
        )
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: parallel workers take files in order, so the end is short."""
    long = {name: place for place, name in enumerate(LONG)}
    has_workflow = {
        item.path for item in items if item.get_closest_marker("workflow") is not None
    }
    items.sort(
        key=lambda item: (
            long.get(item.path.stem, len(long)),
            item.path not in has_workflow,
        )
    )


def pytest_xdist_auto_num_workers() -> int:
    """One more than processors: tests of the workflow also wait."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def finished_clone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A copy of the project that has built the small world's target (minutes).

    Parallel workers build it once; each has a copy of its own, which tests may edit.
    """
    from clones import finished

    own = tmp_path_factory.mktemp("finished") / "clone"
    return finished(tmp_path_factory.getbasetemp(), own)


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A random two-layer Llama with tokenizer, on disk; as `fetch_model` records it."""
    folder = tmp_path_factory.mktemp("tiny_llama")
    tokenizer = write_tokenizer(folder)
    write_llama(folder, len(tokenizer))
    return {
        "model": "tiny_llama",
        "source": str(folder),
        "revision": "0" * 40,
        "path": str(folder),
        "trust_remote_code": False,
    }


@pytest.fixture
def serve() -> Iterator[Any]:
    """Start an HTTP server from a script `(number, body) -> status, headers, answer`."""
    from judging import OK, FakeServer

    running = []

    def start(script: Any = lambda number, body: OK) -> Any:
        server = FakeServer(script)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()

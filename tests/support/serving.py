"""Runs `transformers serve`, a real OpenAI-compatible server, over a model's folder."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def command(port: int) -> list[str]:
    program = str(Path(sys.executable).parent / "transformers")
    return [
        program,
        "serve",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--dtype",
        "float32",
    ]


@contextlib.contextmanager
def transformers_serve(log: Path) -> Iterator[str]:
    """The base address of a running server; it takes a folder as a model's name."""
    pytest.importorskip("fastapi", reason="transformers serve needs its serving extra")
    pytest.importorskip("uvicorn", reason="transformers serve needs its serving extra")
    port = free_port()
    env = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(log.parent / "hub")}
    with log.open("w") as out:
        process = subprocess.Popen(
            command(port), env=env, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + 240
        while not _healthy(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def _healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).is_success
    except httpx.HTTPError:
        return False

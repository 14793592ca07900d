"""A judge behind a real server: `transformers serve`, on the embedded world's judge."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from judging import row, store_at
from project import ROOT
from tmap import engines
from tmap.cards.judge import FormSection, LimitSection, ServerSection
from tmap.cards.model import EngineSection
from tmap.errors import TmapError
from tmap.judges.forms import fill
from tmap.judges.local import Local
from tmap.judges.server import Server

FOLDER = ROOT / "resources/models/tiny_judge"
COMMAND = Path(sys.executable).with_name("transformers")
NEEDS = ("fastapi", "uvicorn", "openai", "starlette")
FORM = FormSection(
    template="Question: {instruction}\nAnswer: {response}\n\nAccuracy:\n",
    max_new_tokens=6,
)
TOM = "Tom has 3 apples. He buys 4 more apples. How many apples does Tom have now?"
ASKED = [
    fill(FORM, row(TOM, response))
    for response in ("Tom has 3+4=7 apples.\n#### 7", "Tom has 3-4=1 apples.\n#### 1")
]

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    missing = [name for name in NEEDS if find_spec(name) is None]
    if missing or not COMMAND.is_file():
        pytest.skip(f"`transformers serve` needs {' '.join(missing) or COMMAND}")
    room = tmp_path_factory.mktemp("serve")
    shutil.copytree(FOLDER, room / "judge")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ["--host", "127.0.0.1", "--port", str(port)]
    how = ["--device", "cpu", "--dtype", "float32"]
    with open(room / "log", "w") as log:
        server = subprocess.Popen(
            [COMMAND, "serve", *where, *how],
            cwd=room,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(room / "cache")},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield wait(f"http://127.0.0.1:{port}", server, room / "log")
    finally:
        server.terminate()
        server.wait(30)


def wait(url, server, log, seconds=240):
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            if httpx.get(f"{url}/health").is_success:
                return f"{url}/v1"
        except httpx.TransportError:
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def judge(address, folder, style="completion"):
    section = ServerSection(url=address, model="./judge")
    limits = LimitSection(concurrency=2, timeout=120, attempts=2)
    return Server(section, limits, style, FORM, open_store=store_at(folder))


@pytest.mark.parametrize("style", ["completion", "chat"])
def test_a_served_judge_says_what_it_says_in_this_process(address, tmp_path, style):
    lm = engines.load(
        {
            "model": "tiny_judge",
            "revision": "0" * 40,
            "path": str(FOLDER),
            "source": str(FOLDER),
            "trust_remote_code": False,
        },
        EngineSection(device="cpu", dtype="float32", name="reference"),
    )
    # Its chat template writes only the message.
    here = [r.raw["text"] for r in Local(lm, "completion", FORM).ask(ASKED, "text")]

    served = [r.raw["text"] for r in judge(address, tmp_path, style).ask(ASKED, "text")]

    assert here[0] != here[1]
    assert [text.strip() for text in served] == [text.strip() for text in here]


def test_digits_that_it_does_not_list_are_scored_by_nobody(address, tmp_path):
    """`transformers serve` accepts `logprobs` but returns none: failed, never a number."""
    replies = judge(address, tmp_path).ask(ASKED, "digits")

    assert [tuple(reply) for reply in replies] == [("failed", None)] * 2
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_model_that_it_does_not_have_ends_the_run_or_fails_the_rows(
    address, tmp_path
):
    other = judge(address, tmp_path)
    other.server = other.server.model_copy(update={"model": "./no-such-model"})

    try:
        replies = other.ask(ASKED, "text")
    except TmapError as fault:
        assert "server" in str(fault)
    else:
        assert {reply.status for reply in replies} == {"failed"}
    assert not list(tmp_path.rglob("*.parquet"))

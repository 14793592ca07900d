"""Mistakes of users end in one sentence, before anything expensive begins.

The cases are in tests/bad_input/cases, one table per kind.
"""

from __future__ import annotations

import socket

import huggingface_hub
import pytest
import torch

from cases import (
    SECRET,
    Room,
    api,
    artifacts,
    card_text,
    card_values,
    chats,
    checkpoints,
    environment,
    pool,
    questions,
    responses,
    servers,
)
from cases import cards as card_cases
from cases import models as model_cases
from tmap import cards
from tmap.errors import TmapError

TABLES = {
    "card": card_cases.CASES,
    "card text": card_text.CASES,
    "card value": card_values.CASES,
    "pool": pool.CASES,
    "questions": questions.CASES,
    "responses": responses.CASES,
    "chat": chats.CASES,
    "model": model_cases.CASES,
    "checkpoint": checkpoints.CASES,
    "server": servers.CASES,
    "environment": environment.CASES,
    "api": api.CASES,
    "artifact": artifacts.CASES,
}
CASES = [
    pytest.param(case, id=f"{kind}: {case.name}")
    for kind, table in TABLES.items()
    for case in table
]
LOCAL = ("127.0.0.1", "localhost", "::1")


@pytest.fixture
def cheap(monkeypatch):
    """No forward pass, no download, no address except our own."""

    def refuse(what):
        def expensive(*args, **how):
            raise AssertionError(f"{what} began before the mistake was reported")

        return expensive

    connect = socket.socket.connect

    def near(self, address):
        if address[0] not in LOCAL:
            refuse(f"a connection to {address}")()
        return connect(self, address)

    def not_cached(*args, local_files_only=False, **how):
        if not local_files_only:
            refuse("a download")()
        raise huggingface_hub.errors.LocalEntryNotFoundError("nothing cached")

    monkeypatch.setattr(torch.nn.Module, "__call__", refuse("a forward pass"))
    monkeypatch.setattr(socket.socket, "connect", near)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", not_cached)


@pytest.fixture
def room(tmp_path, monkeypatch, tiny_llama, serve, cheap):
    monkeypatch.chdir(tmp_path)
    for kind in cards.KINDS:
        (tmp_path / "cards" / kind).mkdir(parents=True)
    monkeypatch.setenv("TMAP_CARDS", "cards")
    for name in ("HF_TOKEN", "SOME_KEY"):
        monkeypatch.setenv(name, SECRET)
    cards._load.cache_clear()
    yield Room(tmp_path, monkeypatch, tiny_llama, serve)
    cards._load.cache_clear()


@pytest.mark.parametrize("case", CASES)
def test_it_ends_in_one_sentence_with_value_right_and_fix(case, room):
    with pytest.raises(TmapError) as fault:
        case.do(room)

    told = str(fault.value)
    for part in (case.wrong, case.right, case.fix):
        assert part in told
    assert "\n" not in told
    assert told.endswith((".", ".)"))
    assert len(told) < 700
    assert SECRET not in told


@pytest.mark.parametrize("kind", TABLES)
def test_there_are_eight_cases_of_every_kind(kind):
    assert len({case.wrong for case in TABLES[kind]}) >= 8


def test_there_are_three_hundred_cases_and_few_are_mere_typos():
    found = [(kind, case.name) for kind, table in TABLES.items() for case in table]
    distinct = {(case.wrong, case.right) for table in TABLES.values() for case in table}
    typos = [case for table in TABLES.values() for case in table if case.typo]

    assert len(set(found)) == len(found)
    assert len(distinct) - len(typos) >= 300
    assert len(typos) <= 10

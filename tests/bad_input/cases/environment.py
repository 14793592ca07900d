"""Machines: no GPU, no network, no space, no permission, outdated files."""

from __future__ import annotations

from collections import namedtuple
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import httpx2
import huggingface_hub
import pandas as pd
import tenacity
import torch
from huggingface_hub import errors

from cases import SECRET, Case, Room
from tmap import cards, engines
from tmap.artifacts import tables
from tmap.cards import starter
from tmap.cards.dataset import Source
from tmap.cards.model import EngineSection, ModelSource
from tmap.data import models
from tmap.data.sources import download, rows
from tmap.engines import weights
from tmap.search.ledger import Ledger

Usage = namedtuple("Usage", "total used free")
SMALL = Usage(total=0, used=0, free=2_000_000_000)


def a_gpu(room: Room, there: bool) -> None:
    room.patch.setattr(torch.cuda, "is_available", lambda: there)


def load(room: Room, gpu: bool, **engine: Any) -> None:
    a_gpu(room, gpu)
    engines.load(room.llama, EngineSection(**engine))


def four_bits_without_package(room: Room) -> None:
    room.patch.setattr("tmap.errors.find_spec", lambda name: None)
    load(room, gpu=True, quantization="nf4")


def spilling(room: Room) -> None:
    spread = {"model.embed_tokens": 0, "lm_head": "cpu"}
    model = SimpleNamespace(hf_device_map=spread)
    room.patch.setattr(weights, "_load_model", lambda *a, **how: model)
    load(room, gpu=True, device_map="auto")


def asked_hub(room: Room, fault: Exception) -> None:
    def fail(*names: Any, **how: Any) -> None:
        raise fault

    room.patch.setattr(huggingface_hub.HfApi, "model_info", fail)
    models.read("mine", ModelSource(hub="org/name"))


def answer(kind: type, status: int) -> Exception:
    """An error of the hub's client whose text contains the token, as real ones may."""
    request = httpx2.Request("GET", f"https://huggingface.co/api?token={SECRET}")
    response = httpx2.Response(status, request=request)
    return kind(f"refused for {SECRET}", response=response)


def big_model(room: Room) -> None:
    files = [SimpleNamespace(rfilename="model.safetensors", size=16_000_000_000)]
    info = SimpleNamespace(sha="a" * 40, siblings=files)
    room.patch.setattr(huggingface_hub.HfApi, "model_info", lambda *a, **how: info)
    room.patch.setattr(models.shutil, "disk_usage", lambda place: SMALL)
    models.read("mine", ModelSource(hub="org/name"))


def from_address(room: Room, reply: Any) -> None:
    real = httpx.Client

    def answer(request: httpx.Request) -> httpx.Response:
        if isinstance(reply, Exception):
            raise reply
        return reply  # type: ignore[no-any-return]

    def client(**_: Any) -> httpx.Client:
        return real(transport=httpx.MockTransport(answer))

    room.patch.setattr(download.httpx, "Client", client)
    never = tenacity.wait_none()
    room.patch.setattr(download.tenacity, "wait_exponential", lambda **_: never)
    room.patch.setenv("XDG_CACHE_HOME", str(room.path / "cache"))
    rows.open_source(Source(url="https://example.org/a.jsonl", sha256="0" * 64))


def foreign_table(room: Room) -> None:
    pd.DataFrame({"sample_id": ["a"]}).to_parquet("pool.parquet")
    tables.read("pool", "pool.parquet")


def torn_table(room: Room) -> None:
    room.write("pool.parquet", "PAR1")
    tables.read("pool", "pool.parquet")


def torn_ledger(room: Room) -> None:
    Ledger(room.write("ledger.jsonl", '{"half\n{"type": "answers"}\n'))


def missing_folder(room: Room) -> None:
    room.patch.setenv("TMAP_CARDS", "no/such/folder")
    cards.load("datasets", "gsm8k")


def over_own_cards(room: Room) -> None:
    starter.write(room.path / "mine")
    starter.write(room.path / "mine")


HUB = [
    (
        errors.GatedRepoError,
        403,
        "is gated",
        "read token of that account",
        "Accept its",
    ),
    (
        errors.RepositoryNotFoundError,
        404,
        "The hub has no model 'org/name'",
        "a token that may read it",
        "Check the id under `hub:`",
    ),
    (
        errors.RevisionNotFoundError,
        404,
        "has no revision 'main'",
        "'main' always exists",
        "Name a branch, tag or commit",
    ),
    (
        errors.HfHubHTTPError,
        401,
        "The hub refused the token for model 'org/name' (status 401)",
        "a valid read token",
        "Set HF_TOKEN",
    ),
    (
        errors.HfHubHTTPError,
        503,
        "The hub answered with status 503",
        "a local copy under `path:`",
        "Try again later",
    ),
]
AWAY = [
    errors.OfflineModeIsEnabled("offline"),
    httpx2.ConnectError("no route"),
    httpx2.ReadTimeout("slow"),
    ConnectionResetError("reset"),
]
CASES = [
    Case(
        "no GPU where the card wants one",
        partial(load, gpu=False, device="cuda"),
        "device: cuda, but torch sees no GPU",
        "it needs one",
        "Run on a GPU node",
    ),
    Case(
        "four bits where there is no GPU",
        partial(load, gpu=False, quantization="nf4"),
        "quantization: nf4, which computes on a GPU, but the device is cpu",
        "on a GPU node",
        "leave `engine.quantization` out",
    ),
    Case(
        "four bits without their package",
        four_bits_without_package,
        "the package bitsandbytes, which is not installed",
        "quantization: nf4 needs",
        "pip install -e '.[quantization]'",
    ),
    Case(
        "GPUs that are too small together",
        spilling,
        "1 of its 2 parts, such as 'lm_head', would be in host memory",
        "all must be on GPUs",
        "Raise `resources.gpu`",
    ),
    *(
        Case(
            f"{kind.__name__} {status}",
            partial(asked_hub, fault=answer(kind, status)),
            *told,
        )
        for kind, status, *told in HUB
    ),
    *(
        Case(
            f"no way to the hub: {type(fault).__name__}",
            partial(asked_hub, fault=fault),
            "The hub cannot be reached for model 'org/name', and the cache has no",
            "where there is network (unset HF_HUB_OFFLINE)",
            "name a local copy under `path:`",
        )
        for fault in AWAY
    ),
    Case(
        "a name that is no hub id",
        partial(asked_hub, fault=errors.HFValidationError("bad")),
        "'org/name' is not a hub id",
        "ORGANISATION/NAME",
        "fix `hub:`",
    ),
    Case(
        "a disk that is too small",
        big_model,
        "needs 16.0 GB, but 2.0 GB are free",
        "a folder on a larger disk",
        "set HF_HOME",
    ),
    Case(
        "a disk that is full",
        partial(asked_hub, fault=OSError(28, "No space left on device")),
        "cannot store model 'org/name' (No space left on device)",
        "another disk that you may write to",
        "Free some space",
    ),
    Case(
        "another file at an address",
        partial(from_address, reply=httpx.Response(200, content=b"{}")),
        "but the card says 0000",
        "has sha256 44136fa355b3678a",
        "fix `sha256:`",
    ),
    Case(
        "nothing at an address",
        partial(from_address, reply=httpx.Response(404)),
        "answered with status 404",
        "name it under `path:`",
        "Check `url:` in the card",
    ),
    Case(
        "no way to an address",
        partial(from_address, reply=httpx.ConnectError("down")),
        "cannot be reached (ConnectError)",
        "name a local copy under `path:`",
        "Check the network",
    ),
    Case(
        "a card folder that is not there",
        missing_folder,
        "No card folder 'no/such/folder'",
        "existing folders under `cards:`",
        "or create it",
    ),
    Case(
        "a config that is not there",
        lambda room: cards.read_config([Path("mine.yaml")]),
        "There is no config file 'mine.yaml'",
        "relative to the working directory",
        "Name one that exists",
    ),
    Case(
        "own cards that would be overwritten",
        over_own_cards,
        "exists and would be overwritten",
        "another folder",
        "move that file away",
    ),
    Case(
        "own cards in the clone",
        lambda room: starter.write(cards.SHIPPED / "mine"),
        "is in the clone, where an upgrade may change it",
        "outside, such as ../mine",
        "Name a folder",
    ),
    Case(
        "a table that others wrote",
        foreign_table,
        "pool.parquet was not written by tmap",
        "the file that the workflow made",
        "or build it again",
    ),
    Case(
        "a table torn in copying",
        torn_table,
        "pool.parquet cannot be used: it is no readable parquet file",
        "readable",
        "Delete it and make it again",
    ),
    Case(
        "a ledger torn in copying",
        torn_ledger,
        "line 1 is not a ledger record",
        "Remove that line to lose one evaluation",
        "or the file to lose all",
    ),
]

"""`tmap store-gc` removes what no card refers to any more, and nothing else."""

from __future__ import annotations

import json
import os
import time

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tmap import cards, cli, dag
from tmap.judges.server import Server
from tmap.operations import store_gc
from tmap.store.measurements import Entry, Store

JUDGE = """
version: 1
server: {url: http://localhost:1/v1, model: some}
forms: {accuracy: {template: "%s {instruction} {response}"}}
"""
LOCAL = """
version: 1
model: mine
forms: {quality: {template: "{instruction} {response}"}}
"""
MODEL = "source: {path: somewhere}\nprompt: {template: plain}\n"


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A working directory with cards of its own; `judge(text)` edits one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TMAP_STORE", raising=False)
    monkeypatch.setenv("TMAP_CARDS", str(tmp_path / "cards"))
    for folder in ("judges", "models"):
        (tmp_path / "cards" / folder).mkdir(parents=True)
    (tmp_path / "cards/models/mine.yaml").write_text(MODEL)
    (tmp_path / "cards/judges/local.yaml").write_text(LOCAL)
    (tmp_path / "results/models").mkdir(parents=True)
    record = {"model": "mine", "revision": "1" * 40}
    (tmp_path / "results/models/mine.json").write_text(json.dumps(record))

    def judge(words="Rate"):
        (tmp_path / "cards/judges/served.yaml").write_text(JUDGE % words)
        forget()

    judge()
    yield judge
    forget()


def forget():
    for cached in (cards._load, store_gc._servers, store_gc._words):
        cached.cache_clear()


def put(kind, who, n):
    store = Store(kind, who)
    replies = {"replies": lambda i: {"text": str(i)}, "nll": lambda i: [float(i), 1]}
    reply = replies.get(kind, lambda i: [float(i)])
    store.put([Entry(store.key(i), None, reply(i)) for i in range(n)])


def local(words, revision="1" * 40, card="mine"):
    return {"engine": "e", "words": words, "revision": revision, "card": card}


def served():
    card = cards.load("judges", "served")
    form = card.forms["accuracy"]
    return Server(card.server, card.limits, card.style, form).who("text")


def prompt():
    return dag.params.prompt_words("mine").model_dump(mode="json")


def form():
    return cards.load("judges", "local").forms["quality"].words("chat")


def rows():
    return {kind.name: kind.rows for kind in store_gc.survey() if kind.rows}


def test_what_a_card_refers_to_stays(world):
    put("replies", served(), 3)
    put("nll", local(prompt()), 4)
    put("digits", local(form()), 5)

    found = store_gc.survey()

    assert not any(kind.gone or kind.torn for kind in found)
    store_gc.remove(found)
    assert rows() == {"replies": 3, "nll": 4, "digits": 5}


def test_other_words_revisions_and_models_go_row_by_row(world):
    put("replies", served(), 3)
    put("nll", local(prompt()), 4)
    put("nll", local({**prompt(), "template": "chat"}), 10)
    put("nll", local(prompt(), revision="2" * 40), 20)
    put("nll", local(prompt(), card="gone"), 40)
    world("Judge")  # the card's words are edited

    found = store_gc.survey()
    gone = {kind.name: sum(kind.gone.values()) for kind in found}
    store_gc.remove(found)

    assert gone == {"replies": 3, "nll": 70}
    assert rows() == {"nll": 4}
    kept = Store("nll", local(prompt()))
    assert list(kept.get(map(kept.key, range(4))).values()) == [
        [float(i), 1] for i in range(4)
    ]


def test_a_merged_part_loses_only_the_rows_that_go(world, monkeypatch):
    monkeypatch.setattr(
        "tmap.store.measurements.digest", lambda value: f"{'00'}{_sum(value)}"
    )
    put("nll", local(prompt()), 4)
    put("nll", local(prompt(), card="gone", revision="3" * 40), 40)
    Store("nll", local(prompt())).compact()

    store_gc.remove(store_gc.survey())

    assert rows() == {"nll": 4}


def _sum(value):
    import hashlib

    return hashlib.sha256(repr(value).encode()).hexdigest()[:62]


def test_a_model_that_is_not_fetched_keeps_what_was_measured(world, tmp_path):
    put("nll", local(prompt(), revision="9" * 40), 4)
    (tmp_path / "results/models/mine.json").unlink()

    assert not any(kind.gone for kind in store_gc.survey())


def test_broken_and_abandoned_files_go_fresh_ones_stay(world):
    put("nll", local(prompt()), 4)
    shelf = Store("nll", local(prompt())).folder
    broken = shelf / "part-00000000000000000000-torn.parquet"
    broken.write_bytes(b"torn")
    old, young = shelf / ".part-1.parquet.1.tmp", shelf / ".part-2.parquet.2.tmp"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * 86_400,) * 2)

    store_gc.remove(store_gc.survey())

    assert young.exists()
    assert not broken.exists()
    assert not old.exists()
    assert rows() == {"nll": 4}


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 7)])
def test_sizes_are_named_before_anything_goes(world, answer, left):
    put("nll", local(prompt(), card="gone"), 7)

    done = CliRunner().invoke(cli.app, ["store-gc"], input=answer)

    said = done.output
    assert "nll: 7 rows, 7 to remove" in said
    assert "7 of gone (111111111111)" in said
    assert said.index("7 to remove") < said.index("Remove it?")
    assert rows().get("nll", 0) == left
    assert (done.exit_code == 0) == (left == 0)


def test_an_empty_store_has_nothing_to_remove(world):
    assert not store_gc.show(store_gc.survey(), Console())

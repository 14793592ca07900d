"""Writing whole and synced, and reading: damage ends in one sentence."""

from __future__ import annotations

import errno
import json
import os
import random
import stat

import pytest

from tmap.artifacts import files, machine
from tmap.artifacts.documents import DOCUMENTS
from tmap.errors import TmapError

MADE = {"rule": "r", "names": {}, "card": {}, "modules": {}, "inputs": {}}
WEIGHTS = {"indicators": ["a", "b"], "weights": [0.25, 1.0], "made": MADE}


@pytest.fixture
def calls(monkeypatch):
    """What is synced and renamed, in order."""
    found = []
    fsync, replace = os.fsync, os.replace

    def synced(handle):
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        found.append((kind, os.readlink(f"/proc/self/fd/{handle}")))
        return fsync(handle)

    def renamed(old, new):
        found.append(("rename", str(new)))
        return replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    return found


def test_a_file_is_synced_before_its_rename_and_its_folder_after(tmp_path, calls):
    files.write_text(tmp_path / "x.json", "{}")

    kinds = [kind for kind, _ in calls]
    assert kinds == ["file", "rename", "folder"]
    assert calls[1][1] == str(tmp_path / "x.json")
    assert calls[2][1] == str(tmp_path)


def test_new_folders_are_synced_into_those_above(tmp_path, calls):
    files.make_folder(tmp_path / "a/b")

    assert calls == [("folder", str(tmp_path)), ("folder", str(tmp_path / "a"))]


def test_a_failed_sync_leaves_the_earlier_file(tmp_path, monkeypatch):
    files.write_text(tmp_path / "x", "old")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_text(tmp_path / "x", "new")

    assert (tmp_path / "x").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_the_file_behind_a_link_is_replaced_and_the_link_stays(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")

    files.write_text(tmp_path / "link", "new")

    assert (tmp_path / "real").read_text() == "new"
    assert (tmp_path / "link").is_symlink()


def test_a_pipe_and_a_folder_are_no_output(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    for name, what in (("pipe", "a device, a pipe"), (".", "a folder")):
        with pytest.raises(TmapError, match=what):
            files.write_text(tmp_path / name, "x")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_an_edited_document_is_refused(tmp_path):
    path = tmp_path / "weights.json"
    files.write_json(path, WEIGHTS)
    assert files.read_document("weights", path)["weights"] == [0.25, 1.0]

    path.write_text(path.read_text().replace("0.25", "0.75"))

    with pytest.raises(TmapError, match="edited or damaged after tmap wrote it"):
        files.read_document("weights", path)


def test_the_checksum_of_metrics_is_beside_their_origin(tmp_path):
    path = tmp_path / "metrics.json"
    files.write_json(path, {"methods": {}, "provenance": {"made": MADE}})
    found = json.loads(path.read_text())

    assert list(found) == ["methods", "provenance"]
    assert not files.is_edited(found)
    assert files.is_edited(found | {"methods": {"a": 1}})


def test_a_document_without_origin_has_no_checksum(tmp_path):
    files.write_json(tmp_path / "x.json", {"a": 1})

    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"indicators": ["a"', "it is no JSON"),
        (b"\xff\xfe", "it is no JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[1]", "a JSON list, not an object"),
        (b'{"indicators": ["a"]}', "`weights` is missing"),
        (b'{"indicators": "a", "weights": []}', "`indicators` has another type"),
        (b"1" * 5000, "it is no JSON"),
    ],
)
def test_damage_is_one_sentence_with_path_and_command(tmp_path, content, why):
    path = tmp_path / "weights.json"
    path.write_bytes(content)

    with pytest.raises(TmapError) as fault:
        files.read_document("weights", path)

    assert why in str(fault.value)
    assert str(fault.value).endswith(f"make it again: snakemake {path}.")
    assert "\n" not in str(fault.value)


def test_no_flipped_bit_of_a_document_passes(tmp_path):
    path, dice = tmp_path / "weights.json", random.Random(3)
    files.write_json(path, WEIGHTS)
    whole = path.read_bytes()
    before = files.read_document("weights", path)
    for _ in range(500):
        data = bytearray(whole)
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        path.write_bytes(data)
        try:
            found = files.read_document("weights", path)
        except TmapError:
            continue
        # White space may change, or the name of a key: then there is no checksum.
        assert found == before or not {"made", "checksum"} <= found.keys()


def test_every_kind_of_document_has_a_meaning_for_each_key():
    for keys in DOCUMENTS.values():
        assert all(text and types for types, text in keys.values())


# What the machine refuses


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (OSError(errno.ENOSPC, "x", "a.json"), "No space is left on the disk of 'a.js"),
        (OSError(errno.EDQUOT, "x"), "quota of this job's files is used up"),
        (OSError(errno.EROFS, "x", "a"), "file system of 'a' is read-only"),
        (PermissionError(errno.EACCES, "x", "a"), "no permission to use 'a'"),
        (OSError(errno.EMFILE, "x", "a"), "Too many files are open"),
        (OSError(errno.ENAMETOOLONG, "x", "a" * 5000), "too long for a path"),
        (
            RuntimeError("I/O error: No space left on device (os error 28)"),
            "No space is left",
        ),
        (RuntimeError("[Errno 122] writing bytes"), "quota"),
        (ValueError("Read-only file system"), "read-only"),
    ],
)
def test_what_the_machine_refuses_has_words(fault, words):
    assert words in machine.sentence(fault)


def test_the_cause_of_an_error_is_looked_at():
    outer = RuntimeError("writing failed")
    outer.__cause__ = OSError(errno.ENOSPC, "x")

    assert "No space" in machine.sentence(outer)


def test_an_error_of_another_kind_has_none():
    assert machine.sentence(ValueError("28 is wrong")) is None
    assert machine.sentence(FileNotFoundError(errno.ENOENT, "x", "y")) is None


@pytest.mark.parametrize(
    "said",
    [
        "[enforce fail at inline_container.cc:672] . unexpected pos 5",
        "basic_ios::clear: iostream error",
    ],
)
def test_torch_gives_no_reason_so_the_disk_is_tried(tmp_path, monkeypatch, said):
    monkeypatch.chdir(tmp_path)
    fault = RuntimeError(said)
    assert machine.sentence(fault) is None  # the disk takes a file now

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space is left on the disk of '.'" in machine.sentence(fault)


def test_a_folder_where_a_file_is_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(TmapError, match="is a file, and a folder is needed"):
        files.make_folder(tmp_path / "file")

import json
import shutil
from collections import namedtuple
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from huggingface_hub import errors
from safetensors.torch import save_file

from tmap.cards.model import ModelSource
from tmap.data import models
from tmap.errors import TmapError

Usage = namedtuple("Usage", "total used free")
TOKEN = "hf_" + "s3cret" * 5
COMMIT = "a" * 40
SMALL = Usage(total=0, used=0, free=2_000_000_000)


@pytest.fixture
def folder(tmp_path):
    """A complete model: 2 x 3 half-precision and 4 single-precision parameters."""
    room = tmp_path / "model"
    room.mkdir()
    (room / "config.json").write_text('{"max_position_embeddings": 128}')
    (room / "tokenizer.json").write_text("{}")
    tensors = {"w": torch.zeros(2, 3, dtype=torch.float16), "b": torch.zeros(4)}
    save_file(tensors, room / "model.safetensors")
    return room


def shard(folder, *names):
    """Turn the weights into shards `names`, listed in an index."""
    for name in names:
        shutil.copy(folder / "model.safetensors", folder / name)
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {f"t{i}": name for i, name in enumerate(names)}}
    (folder / models.INDEX).write_text(json.dumps(index))


def read(folder, **source):
    return models.read("mine", ModelSource(path=str(folder), **source))


def test_the_record_counts_parameters_and_names_the_commonest_type(folder):
    record = read(folder)
    assert record["n_parameters"] == 2 * 3 + 4
    assert record["dtype"] == "F16"
    assert record["max_positions"] == 128
    assert record["size_bytes"] == (folder / "model.safetensors").stat().st_size
    assert record["source"] == record["path"] == str(folder)
    assert record["trust_remote_code"] is False


def test_revision_follows_the_contents_and_not_the_place(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    (copy / "README.md").write_text("notes")
    assert read(copy)["revision"] == read(folder)["revision"]
    save_file({"w": torch.ones(2, 3)}, copy / "model.safetensors")
    assert read(copy)["revision"] != read(folder)["revision"]


def test_sharded_weights_are_summed(folder):
    shard(folder, "m-1.safetensors", "m-2.safetensors")
    assert read(folder)["n_parameters"] == 20


@pytest.mark.parametrize("header", [b"[]", b'{"w": 1}', b'{"w": {}}', b"{broken"])
def test_a_weight_file_with_a_strange_header_is_refused(folder, header):
    head = len(header).to_bytes(8, "little") + header
    (folder / "model.safetensors").write_bytes(head)
    with pytest.raises(TmapError, match="not a complete safetensors file"):
        read(folder)


@pytest.fixture
def fake_hub(monkeypatch, folder):
    """A hub with the model above; set `raises` or `files` to change its answer."""
    fake = SimpleNamespace(raises=None, files=None, asked=[], folder=folder)

    def model_info(self, name, *, revision, files_metadata):
        if fake.raises:
            raise fake.raises
        names = fake.files or {path.name: 1000 for path in folder.iterdir()}
        files = [SimpleNamespace(rfilename=n, size=s) for n, s in names.items()]
        return SimpleNamespace(sha=COMMIT, siblings=files)

    def snapshot_download(name, *, local_files_only=False, **how):
        if local_files_only:
            raise errors.LocalEntryNotFoundError("nothing cached")
        fake.asked.append(how)
        return str(folder)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return fake


def fetch(**source):
    return models.read("mine", ModelSource(hub="org/name", **source))


def test_a_hub_model_is_pinned_to_its_commit(fake_hub):
    record = fetch()
    assert record["revision"] == COMMIT
    assert record["path"] == str(fake_hub.folder)
    assert fake_hub.asked[0]["revision"] == COMMIT


def test_code_of_a_model_is_fetched_only_where_the_card_trusts_it(fake_hub):
    fetch()
    fetch(trust_remote_code=True)
    patterns = [how["allow_patterns"] for how in fake_hub.asked]
    assert ["*.py" in allowed for allowed in patterns] == [False, True]
    assert not any("*.bin" in allowed for allowed in patterns)


def test_of_a_hub_model_only_the_gguf_file_that_the_card_names_is_fetched(
    fake_hub, monkeypatch, tmp_path
):
    fake_hub.files = {"x.gguf": 10, "y.gguf": 10**15, "model.safetensors": 10**15}
    (fake_hub.folder / "x.gguf").touch()

    def folder_of(file, place, room):
        shutil.copytree(file.parent, room)
        return {"file": file.name, "place": place}

    monkeypatch.setattr(models.gguf, "folder_of", folder_of)
    source = ModelSource(hub="org/name", gguf="x.gguf")

    record = models.read("mine", source, tmp_path / "room")

    assert fake_hub.asked[0]["allow_patterns"] == ["x.gguf"]
    assert record["gguf"] == {"file": "x.gguf", "place": "org/name"}
    assert record["path"] == str(tmp_path / "room")
    assert (
        record["revision"] != COMMIT
    )  # the weights are ours; their file has a SHA-256


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({}, "has its weights in GGUF (x.gguf), of which a model card names one"),
        ({"gguf": "y.gguf"}, "has no file 'y.gguf'; its GGUF files: x.gguf"),
    ],
)
def test_a_hub_model_without_safetensors_says_what_gguf_it_has(fake_hub, source, said):
    fake_hub.files = {"x.gguf": 10, "README.md": 10}
    with pytest.raises(TmapError) as error:
        fetch(**source)
    assert said in str(error.value)


def test_without_network_a_complete_copy_in_the_cache_serves(fake_hub, monkeypatch):
    snapshot = fake_hub.folder.rename(fake_hub.folder.with_name(COMMIT))
    fake_hub.raises = errors.OfflineModeIsEnabled("offline")
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda *a, **how: str(snapshot)
    )
    assert fetch()["revision"] == COMMIT


def test_files_that_are_never_fetched_do_not_count_as_size(fake_hub, monkeypatch):
    fake_hub.files = {"model.safetensors": 100, "original/consolidated.pth": 10**15}
    monkeypatch.setattr(models.shutil, "disk_usage", lambda _: SMALL)
    assert fetch()["revision"] == COMMIT

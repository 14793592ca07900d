import json
import shutil
from collections import namedtuple
from types import SimpleNamespace

import httpx2
import huggingface_hub
import pytest
import torch
from huggingface_hub import errors
from safetensors.torch import save_file

from tmap.cards.model import ModelSource
from tmap.errors import TmapError
from tmap.sources import models

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


@pytest.mark.parametrize(
    ("gone", "reason"),
    [
        ("config.json", "has no config.json"),
        ("tokenizer.json", "has no tokenizer"),
        ("model.safetensors", "has no weights"),
    ],
)
def test_an_incomplete_folder_is_refused(folder, gone, reason):
    (folder / gone).unlink()
    with pytest.raises(TmapError, match=reason):
        read(folder)


def test_a_missing_shard_is_named(folder):
    shard(folder, "m-1.safetensors", "m-2.safetensors")
    (folder / "m-2.safetensors").unlink()
    with pytest.raises(TmapError, match=r"lacks 1 of 2 .* first is m-2.safetensors"):
        read(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_pickles_only_are_refused_and_never_opened(folder, name):
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(TmapError, match=f"pickles only .{name}.*save_pretrained"):
        read(folder)


@pytest.mark.parametrize("keep", [4, 30, -1])
def test_a_torn_weight_file_is_refused(folder, keep):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TmapError, match="not a whole safetensors file"):
        read(folder)


@pytest.mark.parametrize("header", [b"[]", b'{"w": 1}', b'{"w": {}}', b"{broken"])
def test_a_weight_file_with_a_strange_header_is_refused(folder, header):
    head = len(header).to_bytes(8, "little") + header
    (folder / "model.safetensors").write_bytes(head)
    with pytest.raises(TmapError, match="not a whole safetensors file"):
        read(folder)


@pytest.mark.parametrize("text", ["{broken", "[]"])
def test_a_broken_config_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(TmapError, match=r"config.json' is not"):
        read(folder)


def test_an_adapter_is_told_from_a_model(folder):
    (folder / "config.json").rename(folder / "adapter_config.json")
    with pytest.raises(TmapError, match="LoRA adapter, not a model"):
        read(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(TmapError, match="No folder 'models/none'"):
        models.read("mine", ModelSource(path="models/none"))


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


def reply(kind, status):
    request = httpx2.Request("GET", f"https://huggingface.co/api?token={TOKEN}")
    response = httpx2.Response(status, request=request)
    return kind(f"refused for {TOKEN}", response=response)


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


HUB_FAULTS = [
    (reply(errors.GatedRepoError, 403), "is gated .* set HF_TOKEN"),
    (reply(errors.RepositoryNotFoundError, 404), "no model 'org/name'"),
    (reply(errors.RevisionNotFoundError, 404), "no revision 'main'"),
    (reply(errors.HfHubHTTPError, 401), r"refused the token .*\(status 401\)"),
    (reply(errors.HfHubHTTPError, 503), "status 503"),
    (errors.HFValidationError("bad"), "is not a hub id"),
    (errors.OfflineModeIsEnabled("offline"), "cannot be reached .*HF_HUB_OFFLINE"),
    (httpx2.ConnectError("no route"), "cannot be reached"),
    (httpx2.ReadTimeout("slow"), "cannot be reached"),
    (ConnectionResetError("reset"), "cannot be reached"),
]


@pytest.mark.parametrize(("fault", "reason"), HUB_FAULTS)
def test_a_fault_of_the_hub_ends_in_one_sentence_without_the_token(
    fake_hub, fault, reason
):
    fake_hub.raises = fault
    with pytest.raises(TmapError, match=reason) as told:
        fetch()
    assert TOKEN not in str(told.value)
    assert "\n" not in str(told.value)


def test_without_network_a_complete_copy_in_the_cache_serves(fake_hub, monkeypatch):
    snapshot = fake_hub.folder.rename(fake_hub.folder.with_name(COMMIT))
    fake_hub.raises = errors.OfflineModeIsEnabled("offline")
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda *a, **how: str(snapshot)
    )
    assert fetch()["revision"] == COMMIT


def test_a_disk_that_is_too_small_is_found_before_the_download(fake_hub, monkeypatch):
    fake_hub.files = {"model.safetensors": 16_000_000_000, "config.json": 500}
    monkeypatch.setattr(models.shutil, "disk_usage", lambda _: SMALL)
    with pytest.raises(TmapError, match=r"needs 16.0 GB, but 2.0 GB are free"):
        fetch()
    assert fake_hub.asked == []


def test_files_that_are_never_fetched_do_not_count_as_size(fake_hub, monkeypatch):
    fake_hub.files = {"model.safetensors": 100, "original/consolidated.pth": 10**15}
    monkeypatch.setattr(models.shutil, "disk_usage", lambda _: SMALL)
    assert fetch()["revision"] == COMMIT


def test_a_disk_that_fills_up_during_the_download_is_named(fake_hub, monkeypatch):
    def full(*args, **how):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", full)
    with pytest.raises(TmapError, match=r"No space left .* HF_HOME"):
        fetch()


def test_hub_pickles_are_refused_before_the_download(fake_hub):
    fake_hub.files = {"pytorch_model.bin": 10, "config.json": 1}
    with pytest.raises(TmapError, match=r"pickles only .pytorch_model.bin"):
        fetch()
    assert fake_hub.asked == []


def test_a_hub_page_without_weights_is_refused(fake_hub):
    fake_hub.files = {"README.md": 10}
    with pytest.raises(TmapError, match="no weights in safetensors"):
        fetch()

import gzip
import hashlib
import json
from types import SimpleNamespace

import datasets
import httpx
import httpx2
import huggingface_hub
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tenacity
from huggingface_hub import errors

from tmap.cards.dataset import Source
from tmap.data.sources import download, rows
from tmap.errors import TmapError

BODY = b'{"a": 1}\n{"a": 2}\n'
SHA = hashlib.sha256(BODY).hexdigest()
URL = "https://example.org/data.jsonl"


def write(folder, name, data):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))
    return Source(path=str(path))


def values(source):
    return [row.value for row in rows.open_source(source)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", '{"a": 1}\n{"a": 2}'),
        ("a.JSONL", '\ufeff{"a": 1}\r\n\n{"a": 2}\r\n'),
        ("a.json", '[{"a": 1}, {"a": 2}]'),
        ("a.json", '\ufeff{"data": [{"a": 1}, {"a": 2}]}'),
    ],
)
def test_text_files_give_their_rows(tmp_path, name, data):
    assert values(write(tmp_path, name, data)) == [{"a": 1}, {"a": 2}]


def test_parquet_gives_plain_values(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"a": [[1, 2], []], "b": ["x", None]}).to_parquet(path)
    assert values(Source(path=str(path))) == [
        {"a": [1, 2], "b": "x"},
        {"a": [], "b": None},
    ]


PAIR = {"instruction": ["Q?", "R?"], "output": ["a", "b"]}
MAP = pa.map_(pa.string(), pa.string())
TWICE = pa.StructArray.from_arrays([pa.array([1, 2]), pa.array([3, 4])], ["a", "a"])


def saved(path, table):
    """The table as a file of the kind that its name says."""
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_stream(str(path), table.schema) as stream:
            stream.write_table(table)
    return Source(path=str(path))


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
@pytest.mark.parametrize(
    "column",
    [
        pa.array([2**62, 1], pa.timestamp("us")),
        pa.array([2**50, 1], pa.timestamp("s")),
        pa.array([1, 2], pa.timestamp("us", tz="Foo/Bar")),
        pa.array([2**60, 2], pa.duration("s")),
        pa.array([2**30, 2], pa.date32()),
        TWICE,
        pa.array([[("a", "b"), ("a", "c")], None], MAP),
    ],
    ids=lambda column: str(column.type),
)
def test_a_value_that_python_lacks_is_named_by_its_column(tmp_path, name, column):
    source = saved(tmp_path / name, pa.table({**PAIR, "when": column}))
    with pytest.raises(TmapError, match="has a value under 'when' that cannot be read"):
        values(source)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_two_columns_of_one_name_are_refused(tmp_path, name):
    columns = [pa.array(["Q?"]), pa.array(["a"]), pa.array(["b"])]
    table = pa.Table.from_arrays(columns, names=["instruction", "output", "output"])
    with pytest.raises(TmapError, match="has two columns 'output'"):
        values(saved(tmp_path / name, table))


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_map_of_arrow_is_a_mapping(tmp_path, name):
    turns = [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "a"}]
    pairs = [list(turn.items()) for turn in turns]
    table = pa.table({"messages": pa.array([pairs], pa.list_(MAP))})
    assert values(saved(tmp_path / name, table)) == [{"messages": turns}]


@pytest.mark.parametrize("start", ["", "\n", "\r\n\r\n", "\ufeff\n"])
def test_blank_lines_may_come_before_a_header(tmp_path, start):
    assert values(write(tmp_path, "a.csv", f"{start}a,b\n1,2\n")) == [
        {"a": "1", "b": "2"}
    ]


def test_row_numbers_count_blank_and_broken_lines(tmp_path):
    source = write(tmp_path, "a.jsonl", b'{"a": 1}\n\n{bad\n\xff\n{"a": 2}\n')
    found = list(rows.open_source(source))
    assert [row.number for row in found] == [0, 2, 3, 4]
    assert [row.fault is None for row in found] == [True, False, False, True]
    assert "not UTF-8" in found[2].fault


def test_line_separators_inside_text_do_not_end_a_row(tmp_path):
    text = "a\u2028b\u0085c\x0bd"
    source = write(tmp_path, "a.jsonl", json.dumps({"a": text}, ensure_ascii=False))
    assert values(source) == [{"a": text}]


def test_only_whole_surrogate_pairs_are_text(tmp_path):
    source = write(tmp_path, "a.jsonl", '["\\ud83d\\ude00"]\n["\\ud83d"]\n')
    whole, half = rows.open_source(source)
    assert whole.value == ["\U0001f600"]
    assert half.fault == "invalid text: half of a surrogate pair"


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A URL whose replies are listed; the cache is empty and there are no waits."""
    fake = SimpleNamespace(replies=[], calls=0)

    def answer(request):
        fake.calls += 1
        reply = fake.replies[min(fake.calls, len(fake.replies)) - 1]
        if isinstance(reply, Exception):
            raise reply
        return httpx.Response(*reply[:1], content=reply[1])

    real = httpx.Client

    def client(**_):
        return real(transport=httpx.MockTransport(answer))

    monkeypatch.setattr(download.httpx, "Client", client)
    monkeypatch.setattr(
        download.tenacity, "wait_exponential", lambda **_: tenacity.wait_none()
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return fake


def at_url(sha=SHA):
    return Source(url=URL, sha256=sha)


def test_an_address_is_read_once_and_then_from_the_cache(server):
    server.replies = [(200, BODY)]
    assert values(at_url()) == values(at_url()) == [{"a": 1}, {"a": 2}]
    assert server.calls == 1


def test_a_compressed_file_is_read_from_an_address(server):
    packed = gzip.compress(BODY)
    server.replies = [(200, packed)]
    address = f"{URL}.gz?download=true"
    sha = hashlib.sha256(packed).hexdigest()
    assert values(Source(url=address, sha256=sha)) == [{"a": 1}, {"a": 2}]


def test_a_spoilt_cache_is_downloaded_again(server):
    server.replies = [(200, BODY)]
    values(at_url())
    next(download.cache_folder().iterdir()).write_bytes(b"spoilt")
    assert values(at_url()) == [{"a": 1}, {"a": 2}]
    assert server.calls == 2


def test_a_wrong_checksum_is_refused_and_the_file_not_kept(server):
    server.replies = [(200, BODY)]
    with pytest.raises(TmapError, match=f"has sha256 {SHA}, but the card says 0000"):
        values(at_url("0" * 64))
    assert list(download.cache_folder().iterdir()) == []


def test_a_passing_fault_of_the_network_is_tried_again(server):
    server.replies = [httpx.ConnectError("down"), (503, b""), (200, BODY)]
    assert len(values(at_url())) == 2
    assert server.calls == 3


@pytest.mark.parametrize(
    ("reply", "calls", "reason"),
    [
        ((404, b""), 1, "answered with status 404"),
        ((500, b""), 4, "answered with status 500"),
        (httpx.ConnectError("down"), 4, r"cannot be reached \(ConnectError\)"),
    ],
)
def test_an_address_that_stays_silent_is_named(server, reply, calls, reason):
    server.replies = [reply]
    with pytest.raises(TmapError, match=reason):
        values(at_url())
    assert server.calls == calls


@pytest.fixture
def fake_hub(monkeypatch):
    fake = SimpleNamespace(raises=None, loads=None, asked=[])

    def dataset_info(self, name, *, revision):
        if fake.raises:
            raise fake.raises
        return SimpleNamespace(sha="c" * 40)

    def load_dataset(name, subset, **how):
        fake.asked.append((name, subset, how))
        if isinstance(fake.loads, Exception):
            raise fake.loads
        return fake.loads

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", dataset_info)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return fake


HUB = Source(hub="org/data", subset="main", split="a+b", licence="MIT")


def test_a_hub_dataset_is_pinned_to_a_commit_and_noted(fake_hub):
    fake_hub.loads = [{"a": 1}]
    table = rows.open_source(HUB)
    assert [row.value for row in table] == [{"a": 1}]
    want = {"split": "a+b", "revision": "c" * 40}
    assert fake_hub.asked == [("org/data", "main", want)]
    assert table.about() == {
        "source": "org/data",
        "revision": "c" * 40,
        "licence": "MIT",
    }


def reply(kind, status):
    response = httpx2.Response(status, request=httpx2.Request("GET", "https://hub"))
    return kind("no", response=response)


def wrapped(cause):
    """A hub error as `datasets` reports it."""
    fault = datasets.exceptions.DatasetNotFoundError("no")
    fault.__cause__ = cause
    return fault


@pytest.mark.parametrize(
    ("raises", "loads", "reason"),
    [
        (reply(errors.RepositoryNotFoundError, 404), None, "no dataset 'org/data'"),
        (reply(errors.GatedRepoError, 403), None, "gated .*datasets/org/data"),
        (httpx2.ConnectError("down"), None, "cannot be reached"),
        (None, wrapped(reply(errors.GatedRepoError, 403)), "is gated"),
        (None, wrapped(None), "no dataset 'org/data' that can be read"),
        (None, ValueError("Unknown split 'a'"), "no subset 'main' with split 'a"),
        (None, datasets.exceptions.DatasetGenerationError("x"), "no subset 'main'"),
    ],
)
def test_a_fault_of_a_hub_dataset_ends_in_one_sentence(fake_hub, raises, loads, reason):
    fake_hub.raises, fake_hub.loads = raises, loads
    with pytest.raises(TmapError, match=reason):
        rows.open_source(HUB)

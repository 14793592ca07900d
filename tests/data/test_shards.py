"""Sources of several files, compressed files, tables of text, and what is refused."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tmap import dag
from tmap.cards.dataset import ResponseSource, Source
from tmap.data.sources import rows
from tmap.errors import TmapError

ROWS = [{"instruction": f"Q {i}, “x”?", "output": f"A\n{i}"} for i in range(5)]


def jsonl(some=ROWS):
    return "".join(json.dumps(row) + "\n" for row in some).encode()


def table(some=ROWS, tab=False):
    text = io.StringIO()
    out = csv.DictWriter(text, list(some[0]), delimiter="\t" if tab else ",")
    out.writeheader()
    out.writerows(some)
    return text.getvalue().encode()


def parquet(some=ROWS):
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(some), out)
    return out.getvalue()


def arrow(some=ROWS, footer=False):
    out = io.BytesIO()
    whole = pa.Table.from_pylist(some)
    with (pa.ipc.new_file if footer else pa.ipc.new_stream)(out, whole.schema) as sink:
        sink.write_table(whole, max_chunksize=2)
    return out.getvalue()


def zstd(text):
    return pa.Codec("zstd").compress(text, asbytes=True)


#: Name of a source -> its files and the path that the card names.
GOOD = {
    "gzip": ({"a.jsonl.gz": gzip.compress(jsonl())}, "a.jsonl.gz"),
    "gzip of two members": (
        {"a.jsonl.gz": gzip.compress(jsonl(ROWS[:2])) + gzip.compress(jsonl(ROWS[2:]))},
        "a.jsonl.gz",
    ),
    "zstd": ({"a.jsonl.zst": zstd(jsonl())}, "a.jsonl.zst"),
    "bzip2": ({"a.json.bz2": bz2.compress(json.dumps(ROWS).encode())}, "a.json.bz2"),
    "xz of a table": ({"a.csv.xz": lzma.compress(table())}, "a.csv.xz"),
    "CSV": ({"a.csv": table()}, "a.csv"),
    "CSV of a spreadsheet": ({"A.CSV": b"\xef\xbb\xbf" + table()}, "A.CSV"),
    "TSV": ({"a.tsv": table(tab=True)}, "a.tsv"),
    "ndjson": ({"a.ndjson": jsonl()}, "a.ndjson"),
    "an Arrow stream": ({"a.arrow": arrow()}, "a.arrow"),
    "an Arrow file": ({"a.arrow": arrow(footer=True)}, "a.arrow"),
    "a folder of shards": (
        {
            "s/train-00001-of-00002.parquet": parquet(ROWS[3:]),
            "s/train-00000-of-00002.parquet": parquet(ROWS[:3]),
            "s/README.md": b"# x",
            "s/_SUCCESS": b"",
            "s/.part.parquet.crc": b"x",
            "s/dataset_infos.json": b"{}",
        },
        "s",
    ),
    "a pattern": (
        {
            "s/b.parquet": parquet(ROWS[3:]),
            "s/a.parquet": parquet(ROWS[:3]),
            "s/other.jsonl": b"{}",
        },
        "s/*.parquet",
    ),
    "a pattern over folders": (
        {
            "s/1/a.jsonl": jsonl(ROWS[:3]),
            "s/2/a.jsonl.gz": gzip.compress(jsonl(ROWS[3:])),
        },
        "s/**/*.jsonl*",
    ),
    "an empty shard": (
        {"s/1.jsonl": jsonl(), "s/2.jsonl": b"", "s/3.jsonl": b"\n"},
        "s",
    ),
    "a name with the signs of a pattern": ({"a[1]*?.jsonl": jsonl()}, "a[1]*?.jsonl"),
    "a name with braces": ({"pool {v1} {}.jsonl": jsonl()}, "pool {v1} {}.jsonl"),
}


def put(folder, names):
    for name, content in names.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def values(path, **more):
    return [row.value for row in rows.open_source(Source(path=path, **more))]


@pytest.mark.parametrize("name", GOOD)
def test_every_source_gives_the_same_rows(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    names, path = GOOD[name]
    put(tmp_path, names)
    source = Source(path=path)
    found = list(rows.open_source(source))

    assert [row.value for row in found] == ROWS
    assert [row.number for row in found] == list(range(5))
    listed = dag.data.files_of(source)
    assert set(listed) <= set(names)
    assert all(os.path.isfile(one) for one in listed)


def test_a_broken_row_of_a_later_shard_has_its_number_in_the_whole(tmp_path):
    put(
        tmp_path, {"1.jsonl": jsonl(ROWS[:2]) + b"\n{bad\n", "2.jsonl": jsonl(ROWS[2:])}
    )
    found = list(rows.open_source(Source(path=str(tmp_path))))
    assert [row.number for row in found] == [0, 1, 3, 4, 5, 6]
    assert [row.number for row in found if row.fault] == [3]


def saved(folder, several=False):
    one = datasets.Dataset.from_list(ROWS)
    if several:
        parts = {"train": one.select(range(3)), "more": one.select(range(3, 5))}
        datasets.DatasetDict(parts).save_to_disk(folder)
    else:
        one.save_to_disk(folder, num_shards=2)


def test_a_folder_that_datasets_saved_is_read(tmp_path):
    saved(tmp_path / "one")
    saved(tmp_path / "two", several=True)
    assert values(str(tmp_path / "one")) == ROWS
    assert values(str(tmp_path / "two")) == ROWS[:3]
    assert values(str(tmp_path / "two"), split="train+more") == ROWS
    assert len(dag.data.files_of(Source(path=str(tmp_path / "one")))) == 2


#: What is wrong -> its files, the path that the card names, and parts of the sentence.
BAD = {
    "no file": ({}, "x.jsonl", "No file 'x.jsonl'"),
    "no match": ({"a.jsonl": b""}, "x/*.jsonl", "No file matches 'x/.*such|as in data"),
    "only folders": ({"s/1/a.jsonl": b""}, "s/*", "only folders match 's/\\*'"),
    "a folder of folders": (
        {"s/data/a.parquet": b""},
        "s",
        "'s' is a folder without data files .*It has the folders 's/data'",
    ),
    "two splits": (
        {"s/train-0.parquet": b"", "s/test-0.parquet": b""},
        "s",
        r"several splits \(test, train\).*'s/train\*'",
    ),
    "two kinds": (
        {"s/a.parquet": b"", "s/b.jsonl": b""},
        "s",
        r"several kinds \(.jsonl, .parquet\)",
    ),
    "a folder in a folder of shards": (
        {"s/a.jsonl": b"", "s/more/b.jsonl": b""},
        "s",
        r"and so has its folder 'more', which would be left out.*'s/\*\*/\*.jsonl'",
    ),
    "an archive among shards": (
        {"s/a.jsonl": b"", "s/b.jsonl.zip": b"PK"},
        "s",
        "next to 'b.jsonl.zip', which cannot be read",
    ),
    "a packed Parquet among shards": (
        {"s/a.parquet": b"", "s/b.parquet.gz": b""},
        "s",
        "next to 'b.parquet.gz', which cannot be read",
    ),
    "a packed Parquet": ({"a.parquet.gz": b""}, "a.parquet.gz", "Decompress the file"),
    "an archive": ({"a.zip": b"PK"}, "a.zip", "is an archive, which cannot be read"),
    "an unknown ending": ({"a.foo": b""}, "a.foo", "ends in '.foo', which"),
    "no ending": ({"pool": b""}, "pool", "has a name without an ending"),
    "not gzip": ({"a.jsonl.gz": b"no"}, "a.jsonl.gz", "is not a whole .gz file"),
    "half a gzip": (
        {"a.jsonl.gz": gzip.compress(jsonl())[:-12]},
        "a.jsonl.gz",
        "is not a whole .gz file",
    ),
    "not zstd": ({"a.jsonl.zst": b"no no no"}, "a.jsonl.zst", "not a whole .zst file"),
    "not xz": ({"a.json.xz": b"no"}, "a.json.xz", "is not a whole .xz file"),
    "not Arrow": ({"a.arrow": b"no"}, "a.arrow", "not a readable Arrow file"),
    "an open quote": ({"a.csv": b'a,b\n"x,y\n'}, "a.csv", "not a readable table"),
    "a table of Windows": ({"a.csv": "a\nä".encode("cp1252")}, "a.csv", "is not UTF-8"),
    "semicolons": ({"a.csv": b"a;b\n1;2"}, "a.csv", "separate its columns by ';'"),
    "two columns of one name": ({"a.csv": b"a,a\n1,2"}, "a.csv", "two columns 'a'"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_named_for_what_it_is(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    names, path, sentence = BAD[name]
    put(tmp_path, names)
    with pytest.raises(TmapError, match=sentence):
        values(path)
    assert dag.data.files_of(Source(path=path)) == [path]


@pytest.mark.parametrize("path", ["s", "s/*.jsonl", "s/**/*.jsonl"])
def test_a_shard_that_is_a_broken_link_is_named(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    put(tmp_path, {"s/a.jsonl": jsonl(), "blob": jsonl()})
    (tmp_path / "s/b.jsonl").symlink_to(tmp_path / "blob")
    assert values(path) == ROWS * 2
    (tmp_path / "blob").unlink()
    with pytest.raises(TmapError, match=r"has 'b.jsonl', a link to a file that is not"):
        values(path)
    (tmp_path / "blob").symlink_to(tmp_path / "s/b.jsonl")  # a circle
    with pytest.raises(TmapError, match=r"has 'b.jsonl', a link to a file that is not"):
        values(path)


def test_what_is_about_a_folder_of_shards_is_no_part_of_it(tmp_path):
    about = ("README.md", "LICENSE.txt", "card.yaml", ".cache/a.jsonl", "plots/a.png")
    put(tmp_path, {"s/a.jsonl": jsonl(), **{f"s/{name}": b"" for name in about}})
    assert values(str(tmp_path / "s")) == ROWS


def test_a_pipe_is_not_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(TmapError, match="neither a file nor a folder"):
        values(str(tmp_path / "pipe.jsonl"))


def test_a_saved_dataset_without_its_split_or_a_file_is_named(tmp_path):
    saved(tmp_path / "two", several=True)
    with pytest.raises(TmapError, match="without the split 'test'; it has train, more"):
        values(str(tmp_path / "two"), split="test")
    next((tmp_path / "two/train").glob("*.arrow")).unlink()
    with pytest.raises(TmapError, match=r"lacks its file 'data-00000-of-00001.arrow'"):
        values(str(tmp_path / "two"))


def test_a_line_of_a_table_with_too_many_cells_is_a_broken_row(tmp_path):
    put(tmp_path, {"a.csv": b"a,b\n1,2\n1,2,3\n\n3,4\n"})
    found = list(rows.open_source(Source(path=str(tmp_path / "a.csv"))))
    assert [row.number for row in found] == [0, 1, 3]
    assert found[1].fault == "broken line: 3 cells under 2 columns"


@pytest.mark.parametrize(
    ("path", "is_input"),
    [
        ("pool.jsonl", True),
        ("pool {v1}.jsonl", False),
        ("{ x }/a.jsonl", False),
        ("{a,b+}.jsonl", False),
        ("{a.b}.jsonl", False),
        ("a{}b.jsonl", True),
        ("{.jsonl", True),
        ("}{.jsonl", True),
        ("a % $HOME 'x' \"y\" ü.jsonl", True),
        ("a(1) & b;c|d.jsonl", True),
    ],
)
def test_a_file_is_an_input_or_its_stamp_is_a_parameter(
    tmp_path, monkeypatch, path, is_input
):
    monkeypatch.chdir(tmp_path)
    put(tmp_path, {path: jsonl()})
    source = Source(path=path)
    monkeypatch.setattr(dag.data, "_source", lambda part, wildcards: source)
    assert dag.data.local_source("pool")(None) == ([path] if is_input else [])
    stamps = dag.data.stamps("pool")(None)
    assert list(stamps) == ([] if is_input else [path])
    put(tmp_path, {path: jsonl(ROWS[:1])})
    assert (dag.data.stamps("pool")(None) != stamps) is not is_input


def test_snakemake_reads_no_wildcard_where_we_see_none():
    from snakemake.io import WILDCARD_REGEX

    for text in ("a{}b", "{", "}{", "{}", "{ }", "{-}"):
        assert not WILDCARD_REGEX.search(text)
        assert not dag.data.WILDCARD.search(text)
    for text in ("{v1}", "{ x }", "{a,b}", "{a.b}", "x{é}", "{w,a{3,5}}"):
        assert WILDCARD_REGEX.search(text)
        assert dag.data.WILDCARD.search(text)


def test_a_local_leaderboard_is_its_parquet_files(tmp_path):
    names = {f"board/details_o__{m}/a.parquet": parquet() for m in "ab"}
    put(tmp_path, {**names, "board/README.md": b"x"})
    source = ResponseSource(path=str(tmp_path / "board"), format="leaderboard_v1")
    listed = dag.data.files_of(source)
    assert listed == [str(tmp_path / name) for name in names]
    assert all(map(dag.origin.file_digest, listed))


def test_a_source_without_a_local_file_has_no_inputs():
    assert dag.data.files_of(None) == dag.data.files_of(Source(hub="org/data")) == []

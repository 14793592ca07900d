"""The single entry point for parquet: wrong tables are refused with a sentence."""

from __future__ import annotations

import dataclasses
import json
import random

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tmap.artifacts import schemas, tables
from tmap.errors import TmapError


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "sample_id": ["a", "b", "c"],
            "score": [1.5, np.nan, 2.0],
            "status": ["ok", "empty", "ok"],
        }
    )


@pytest.fixture
def path(frame, tmp_path):
    target = tmp_path / "new" / "ifd.parquet"
    tables.write("indicator", frame, target, code="c0de", seed=3, unit="ratio")
    return target


def test_what_is_written_is_read(frame, path):
    pd.testing.assert_frame_equal(
        tables.read("indicator", path), frame, check_dtype=False
    )


def test_columns_are_stored_in_the_order_of_the_schema(frame, tmp_path):
    target = tmp_path / "x.parquet"

    tables.write("indicator", frame[["status", "score", "sample_id"]], target, code="c")

    assert pq.read_schema(target).names == ["sample_id", "score", "status"]


def test_some_columns_can_be_read_alone(path):
    assert list(tables.read("indicator", path, ["score"])) == ["score"]


def test_the_metadata_say_what_made_the_file(path):
    about = tables.metadata(path)

    assert (about["schema"], about["schema_version"]) == ("indicator", 1)
    assert (about["code"], about["seed"], about["unit"]) == ("c0de", 3, "ratio")
    assert about["rows"] == {"total": 3, "ok": 2, "empty": 1}
    assert about["versions"]["numpy"] == np.__version__


def test_the_same_table_is_the_same_bytes(frame, path, tmp_path):
    again = tmp_path / "again.parquet"

    tables.write("indicator", frame, again, code="c0de", seed=3, unit="ratio")

    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.drop(columns="status"),
        lambda f: f.assign(extra=1),
        lambda f: f.rename(columns={"score": "scores"}),
    ],
    ids=["missing", "extra", "renamed"],
)
def test_wrong_columns_are_refused_before_anything_is_written(frame, tmp_path, change):
    target = tmp_path / "x.parquet"

    with pytest.raises(TmapError, match="must have columns sample_id, score, status"):
        tables.write("indicator", change(frame), target, code="c")

    assert not target.exists()


def test_another_kind_is_refused(path):
    with pytest.raises(TmapError, match="is table 'indicator' version 1, but 'pool'"):
        tables.read("pool", path)


def test_another_version_is_refused(path, monkeypatch):
    newer = dataclasses.replace(schemas.SCHEMAS["indicator"], version=2)
    monkeypatch.setitem(schemas.SCHEMAS, "indicator", newer)

    with pytest.raises(TmapError, match="Delete the file and build it again"):
        tables.read("indicator", path)


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    target = tmp_path / "x.parquet"
    target.write_text("sample_id,score\n")

    with pytest.raises(
        TmapError, match=r"no readable parquet file .*snakemake .*x\.parquet\.$"
    ):
        tables.read("indicator", target)


def test_a_parquet_file_from_elsewhere_is_refused(frame, tmp_path):
    target = tmp_path / "x.parquet"
    frame.to_parquet(target)

    with pytest.raises(TmapError, match="was not written by tmap"):
        tables.read("indicator", target)


def test_a_missing_file_says_how_to_build_it(tmp_path):
    with pytest.raises(TmapError, match="does not exist"):
        tables.read("indicator", tmp_path / "x.parquet")


def test_a_failed_write_leaves_the_old_file_whole(frame, path):
    before = path.read_bytes()

    with pytest.raises(ValueError, match="JSON compliant"):
        tables.write("indicator", frame, path, code="c", note=float("nan"))

    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_an_unknown_kind_is_a_bug_with_the_nearest_name(frame, tmp_path):
    with pytest.raises(KeyError, match="Did you mean 'indicator'"):
        tables.write("indicators", frame, tmp_path / "x.parquet", code="c")


def test_every_column_of_every_kind_has_a_meaning():
    for kind, schema in schemas.SCHEMAS.items():
        for column, (_, meaning) in schema.columns.items():
            assert meaning, f"{kind}.{column}"


def test_notes_are_json(path):
    raw = pq.read_schema(path).metadata[b"tmap"]

    assert json.loads(raw)["unit"] == "ratio"


# Damage


def test_the_checksum_is_of_pages_and_metadata(path):
    said = tables.metadata(path)["checksum"]

    assert tables.checksum(path) == said


def test_an_edited_table_has_another_checksum(path):
    said = tables.metadata(path)["checksum"]
    table = pq.read_table(path)
    kept = {**table.schema.metadata, b"tmap_checksum": said.encode()}
    scores = pa.array([1.5, None, 9.0])
    pq.write_table(
        table.set_column(1, "score", scores).replace_schema_metadata(kept), path
    )

    assert tables.metadata(path)["checksum"] == said
    assert tables.read("indicator", path)["score"].iloc[2] == 9.0
    assert tables.checksum(path) != said


def test_a_column_of_another_type_is_refused(path):
    table = pq.read_table(path)
    texts = table.set_column(1, "score", pa.array(["a", "b", "c"]))
    pq.write_table(texts.replace_schema_metadata(table.schema.metadata), path)

    with pytest.raises(TmapError, match="its column 'score' is string, not double"):
        tables.read("indicator", path)


def test_no_flipped_bit_of_a_page_is_read_as_data(frame, path):
    whole, dice = path.read_bytes(), random.Random(1)
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    sentences = 0
    for _ in range(300):
        data = bytearray(whole)
        data[dice.randrange(len(data) - footer)] ^= 1 << dice.randrange(8)
        path.write_bytes(data)
        try:
            found = tables.read("indicator", path)
        except TmapError as fault:
            assert str(path) in str(fault) and "\n" not in str(fault)
            sentences += 1
        else:
            pd.testing.assert_frame_equal(found, frame, check_dtype=False)
            assert tables.checksum(path) != tables.metadata(path)["checksum"]
    assert sentences > 200


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 9, b"{}", bytes(5000)])
def test_any_other_file_is_one_sentence(path, content):
    path.write_bytes(content)

    for read in (
        lambda: tables.metadata(path),
        lambda: tables.read("indicator", path),
        lambda: list(tables.batches("indicator", path)),
    ):
        with pytest.raises(TmapError, match=f"snakemake {path}"):
            read()


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(TmapError, match="it is a folder"):
        tables.read("indicator", tmp_path)

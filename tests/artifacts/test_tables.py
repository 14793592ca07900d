"""The single entry point for parquet: wrong tables are refused with a sentence."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
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

    with pytest.raises(TmapError, match="is not a readable parquet file"):
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

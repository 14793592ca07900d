"""A subset by values of rows: from the table of a group search."""

import numpy as np
import pandas as pd
import pytest

from tmap import cards, dag
from tmap.artifacts import tables
from tmap.errors import TmapError
from tmap.selection import export, subset

IDS = ["a", "b", "c", "d"]
CARD = {
    "weights": "learned",
    "indicators": ["ifd"],
    "normalise": "minmax",
    "max_unscored": 0.0,
    "fraction": 0.5,
    "filter": {"below": {}, "diversity": None},
    "score": "value",
}


@pytest.fixture
def files(tmp_path):
    """A pool of four rows, one column, and values in another order."""
    pool = pd.DataFrame({"sample_id": IDS, "text_hash": list("0123")})
    blank = {
        "instruction": "",
        "input": "",
        "response": "x",
        "turns": None,
        "source": "",
    }
    column = pd.DataFrame({"sample_id": IDS, "score": [4.0, 3.0, 2.0, 1.0]})
    values = pd.DataFrame({"sample_id": IDS[::-1], "value": [0.7, 0.1, 0.6, 0.2]})
    tables.write("pool", pool.assign(**blank), tmp_path / "pool.parquet", code="")
    tables.write(
        "indicator", column.assign(status="ok"), tmp_path / "ifd.parquet", code=""
    )
    tables.write("values", values, tmp_path / "values.parquet", code="")
    place = [
        tmp_path / name for name in ("pool.parquet", "ifd.parquet", "values.parquet")
    ]
    return subset.Files(place[0], [place[1]], values=str(place[2]))


def test_rows_of_the_highest_value_are_taken_without_contributions(files):
    chosen, notes = subset.select(CARD, files, seed=0)

    assert chosen["sample_id"].tolist() == ["d", "b"]
    assert chosen["score"].tolist() == [0.7, 0.6]
    assert [list(row) for row in chosen["contributions"]] == [[], []]
    assert notes["weights"] is None
    assert notes["indicators"] == ["ifd"]


def test_values_of_other_rows_are_refused(files, tmp_path):
    other = pd.DataFrame({"sample_id": ["a", "x"], "value": [0.1, 0.2]})
    tables.write("values", other, tmp_path / "values.parquet", code="")
    with pytest.raises(TmapError, match=r"values other rows than the pool has"):
        subset.select(CARD, files, seed=0)


def test_what_a_selection_reads_is_what_it_says_it_is_made_of(files):
    named = [path for path in files if path]
    assert [str(path).rsplit("/")[-1] for path in named] == [
        "pool.parquet",
        "values.parquet",
        "ifd.parquet",
    ]


def test_a_card_ranked_by_value_says_so_in_its_params_and_its_data_card():
    assert dag.params.select_subset("gsm8k", "tmap_value")["score"] == "value"
    assert "score" not in dag.params.select_subset("gsm8k", "tmap_groups")
    assert dag.params.export_subset("gsm8k", "tmap_value")["weights"] == "value"
    assert cards.load("methods", "tmap_value").search.groups.n_answers == 576
    about = {"weights": None, "indicators": ["ifd", "perplexity"], "warnings": []}
    assert "value by ifd, perplexity" in export._weights(about, {"interval": None})


def test_without_values_a_learned_subset_uses_its_weights(files, tmp_path):
    (tmp_path / "weights.json").write_text('{"indicators": ["ifd"], "weights": [1.0]}')
    plain = subset.Files(
        files.pool, files.columns, weights=str(tmp_path / "weights.json")
    )
    chosen, notes = subset.select(CARD, plain, seed=0)
    assert chosen["sample_id"].tolist() == ["a", "b"]
    assert np.array(list(chosen["contributions"])).shape == (2, 1)
    assert notes["weights"] == [1.0]

"""One table per indicator: checked, counted, and unscored rows are marked."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from tmap import dag, indicators
from tmap.artifacts import provenance, tables
from tmap.errors import TmapError
from tmap.indicators import Indicator, Scores
from tmap.indicators.scoring import columns


@pytest.fixture
def pool():
    return pd.DataFrame(
        {
            "sample_id": ["a", "b", "c"],
            "instruction": "Why?",
            "input": "",
            "response": ["So.", " ", "Because."],
            "turns": None,
        }
    )


def test_a_table_has_ids_scores_and_statuses(pool):
    frame = columns.score(pool, "output_length", None, {})

    assert frame["sample_id"].tolist() == ["a", "b", "c"]
    assert frame["status"].tolist() == ["ok", "empty", "ok"]
    assert frame["score"].tolist()[::2] == [3.0, 8.0]
    assert columns.counts(frame) == {"empty": 1}


def test_unscored_rows_are_one_warning_with_the_first_example(pool, caplog):
    with caplog.at_level(logging.WARNING, logger="tmap"):
        columns.score(pool, "output_length", None, {})

    (record,) = caplog.records
    assert "1 of 3 rows are unscored" in record.getMessage()
    assert "first: sample 'b', empty" in record.getMessage()


def test_a_fully_scored_pool_gives_no_warning(pool, caplog):
    columns.score(pool.iloc[::2], "output_length", None, {})

    assert caplog.records == []


def test_a_model_based_indicator_without_a_model_says_what_to_pass(pool):
    with pytest.raises(TmapError, match="--model-file"):
        columns.score(pool, "perplexity", None, {})


def test_an_indicator_that_breaks_the_contract_is_a_bug(pool, monkeypatch):
    def broken(pool, lm=None):
        return Scores(np.full(3, np.nan), np.full(3, "ok", dtype=object))

    found = Indicator("broken", broken, "none", "none", "text", "row", {})
    monkeypatch.setattr(indicators, "get", lambda name: found)

    with pytest.raises(ValueError, match="finite where its status is ok"):
        columns.score(pool, "broken", None, {})


def test_a_judges_column_without_its_model_says_what_to_pass():
    card = dag.params.score_indicator("gsm8k", "deita_quality")

    with pytest.raises(TmapError, match="--model-file"):
        columns.instrument("deita_quality", card)


def test_a_column_made_from_others_wants_exactly_these(pool, tmp_path):
    for name in ("deita_quality", "output_length"):
        frame = columns.score(pool, "output_length", None, {})
        path = tmp_path / f"{name}.parquet"
        tables.write("indicator", frame, path, code="c", indicator=name)
    files = sorted(map(str, tmp_path.iterdir()))

    with pytest.raises(TmapError, match=r"given deita_quality and output_length"):
        columns.instrument("deita_score", {}, None, files)


RESPONSES = ("So.", "Because.")


@pytest.mark.parametrize("name", ["output_length", "reason_steps", "deita_score"])
def test_columns_of_text_depend_on_no_engine_and_no_store(name):
    found = provenance.closure(
        "tmap.commands.score_indicator", f"tmap.indicators.{name}"
    )

    parts = {module.split(".")[1] for module in found}
    assert parts.isdisjoint({"engines", "judges"})
    stored = {module for module in found if module.startswith("tmap.store.")}
    assert stored == {"tmap.store.shards"}  # which rows are a job's; it keeps nothing
    assert "tmap.indicators.scoring.losses" not in found


def test_tokens_are_counted_by_the_tokenizer_of_a_model_card(pool, tiny_llama):
    lm = columns.instrument("output_length", {}, tiny_llama)

    found = columns.score(pool, "output_length", lm, {"count": "tokens"})

    plain = [
        len(lm(text, add_special_tokens=False).input_ids)
        for text in ("So.", "Because.")
    ]
    assert found["score"].tolist()[::2] == plain
    assert found["status"].tolist() == ["ok", "empty", "ok"]

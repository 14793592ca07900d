"""The leak check on a real pool that was made from its benchmarks (../shared/data/real)."""

from __future__ import annotations

import difflib
import re

import pandas as pd
import pytest

from tmap.cards.dataset import PoolSource
from tmap.data import pool
from tmap.data.overlap import question_ngrams

BENCHMARKS = ("addsub", "multiarith", "singleeq", "svamp")
OVERLAP = pool.OVERLAP
N = 13
#: Rows that repeat a question and have no answer; rows that nearly repeat one.
EMPTY, NEAR = 0, 16
pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def real(shared):
    folder = shared / "data" / "real"
    if not folder.is_dir():
        pytest.skip("no real pool: put its files in ../shared/data/real")
    return folder


@pytest.fixture(scope="module")
def asked(real):
    return pd.concat([pd.read_parquet(real / f"{n}_test.parquet") for n in BENCHMARKS])


def plain(text):
    """Words without case and punctuation, by other means than tmap's."""
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def dropped(real, questions):
    """Lines of the pool that were dropped for a question, with the question's id."""
    source = PoolSource(
        path=str(real / "distilled_arithmetic.parquet"),
        format="alpaca",
        columns={
            "id": "id",
            "instruction": "instruction",
            "input": "input",
            "response": "output",
        },
        ignore=["final_answer", "is_right"],
    )
    hashed = question_ngrams(questions["id"], questions["question"], N)
    found = pool.read("d", source, hashed, ngram=N, share=0.5)
    about = found.rejected.set_index("line")["reason"]
    kinds = about.str.partition(": ")
    mine = kinds[kinds[0] == OVERLAP][2]
    assert len(mine) == found.notes["rejected"][OVERLAP]
    others = {int(line) for line in about.index.difference(mine.index)}
    return {int(line): question for line, question in mine.items()}, others


def test_every_row_that_repeats_a_question_is_dropped_and_counted(real, asked):
    rows = pd.read_parquet(real / "distilled_arithmetic.parquet")
    known = set(asked["question"].map(plain))
    repeats = {n for n, text in enumerate(rows["instruction"]) if plain(text) in known}

    found, others = dropped(real, asked)

    assert len(repeats) == 2002
    assert set(found) | others >= repeats  # a row without an answer has another reason
    assert set(found) <= repeats
    assert len(repeats - set(found)) == EMPTY


def test_with_the_other_questions_only_near_copies_are_dropped(real, asked):
    """457 questions that the pool lacks: what is dropped differs by a word or a number."""
    rows = pd.read_parquet(real / "distilled_arithmetic.parquet")["instruction"]
    known = set(rows.map(plain))
    rest = asked[~asked["question"].map(plain).isin(known)]
    text = rest.set_index("id")["question"]

    found, _ = dropped(real, rest)

    assert len(rest) == 457
    for line, question in found.items():
        pair = plain(rows[line]).split(), plain(text[question]).split()
        likeness = difflib.SequenceMatcher(None, *pair).ratio()
        assert 0.8 < likeness < 1, (rows[line], text[question])
    assert len(found) == NEAR

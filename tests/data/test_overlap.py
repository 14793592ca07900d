import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from project import ROOT
from tmap.data.overlap import NgramHasher, OverlapIndex, question_ngrams, words

ALPHABET = [f"word{i}" for i in range(40)]


def index(*questions, n=13, share=0.5):
    ids = [f"q{i}" for i in range(len(questions))]
    return OverlapIndex(question_ngrams(ids, questions, n), n, share)


def sentence(start, stop):
    return " ".join(ALPHABET[start:stop])


def test_case_punctuation_and_full_width_forms_do_not_matter():
    assert words("Hello,  WORLD — \uff21\uff22!") == ["hello", "world", "ab"]


def test_a_question_inside_a_longer_prompt_is_found():
    asked = sentence(0, 20)
    assert index(asked).find([f"Solve this now. {asked.upper()}? Thanks."]) == "q0"


@pytest.mark.parametrize(("kept", "found"), [(16, "q0"), (15, None)])
def test_half_of_a_questions_thirteen_grams_is_the_border(kept, found):
    # 20 words have 8 13-grams; 16 of its words have 4 (half), 15 have 3.
    assert index(sentence(0, 20)).find([sentence(0, kept)]) == found


def test_a_short_question_is_found_only_word_for_word():
    short = index("What is a chemical change?")
    assert short.find(["what is a CHEMICAL change"]) == "q0"
    assert short.find(["Tell me: what is a chemical change?"]) is None
    assert short.find(["What is a change?"]) is None


def test_texts_of_one_row_are_searched_each_for_itself():
    # The halves, in two turns, share no 13-gram with the whole.
    assert index(sentence(0, 20)).find([sentence(0, 10), sentence(10, 20)]) is None


def test_questions_without_words_match_nothing():
    assert index("???", "").find(["", "!!!", "anything"]) is None


def brute_force(questions, text, n, share):
    """The rule in plain sets of tuples, written independently of the index."""
    mine = words(text)
    grams = {tuple(mine[i : i + n]) for i in range(len(mine) - n + 1)}
    for number, question in enumerate(questions):
        theirs = words(question)
        if len(theirs) < n:
            if theirs and theirs == mine:
                return f"q{number}"
            continue
        wanted = {tuple(theirs[i : i + n]) for i in range(len(theirs) - n + 1)}
        if len(wanted & grams) >= share * len(wanted):
            return f"q{number}"
    return None


few_words = st.lists(st.sampled_from(["a", "b", "c"]), max_size=14).map(" ".join)


@given(st.lists(few_words, max_size=5), few_words, st.sampled_from([0.3, 0.5, 1.0]))
def test_index_agrees_with_the_rule_on_plain_sets(questions, text, share):
    found = index(*questions, n=4, share=share).find([text])
    assert found == brute_force(questions, text, 4, share)


def test_hashes_do_not_depend_on_the_hash_seed():
    code = (
        "from tmap.data.overlap import NgramHasher as H;"
        "print(H(3).hashes('a b c d e'.split()).tolist())"
    )
    root = ROOT / "workflow"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert outputs == {f"{NgramHasher(3).hashes('a b c d e'.split()).tolist()}\n"}


def test_the_table_counts_words_and_distinct_ngrams():
    table = question_ngrams(["x", "y", "z"], ["a b c", "a a a a a", ""], 3)
    assert table["n_words"].tolist() == [3, 5, 0]
    assert [len(found) for found in table["hashes"]] == [1, 1, 0]
    assert table["hashes"][1].dtype == np.uint64
    assert isinstance(table, pd.DataFrame)

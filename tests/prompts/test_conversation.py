"""One row of the pool, as conversation and as worked example."""

import pandas as pd
import pytest

from tmap.artifacts import tables
from tmap.prompts.conversation import answer_of, question_of, turns_of


def row(**values):
    return {
        "instruction": "Add.",
        "input": "",
        "response": "4",
        "turns": None,
        **values,
    }


CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "One and one?"},
    {"role": "assistant", "content": "Two."},
    {"role": "user", "content": "And two?"},
    {"role": "assistant", "content": "Four."},
]


def test_a_single_question_becomes_two_turns():
    assert turns_of(row()) == [("user", "Add.", True), ("assistant", "4", True)]


def test_the_input_stands_below_the_instruction_after_a_blank_line():
    assert question_of(row(input="2 and 2")) == "Add.\n\n2 and 2"


@pytest.mark.parametrize("missing", [None, float("nan"), []])
def test_missing_turns_are_recognised_however_pandas_reads_them(missing):
    assert len(turns_of(row(turns=missing))) == 2


def test_a_chat_keeps_every_turn_and_its_system_turn():
    chat = turns_of(row(turns=CHAT))

    assert chat == [(turn["role"], turn["content"], True) for turn in CHAT]


def test_the_example_of_a_chat_is_an_answer_with_its_own_question():
    chat = row(instruction="One and one?", response="Four.", turns=CHAT)

    assert (question_of(chat), answer_of(chat)) == ("One and one?", "Two.")


def test_turns_survive_the_table_that_stores_them(tmp_path):
    frame = pd.DataFrame([row(turns=CHAT), row()])
    frame = frame.assign(sample_id=["a", "b"], source="here", text_hash="0")

    tables.write("pool", frame, tmp_path / "pool.parquet", code="0")
    rows = tables.read("pool", tmp_path / "pool.parquet").to_dict("records")

    assert turns_of(rows[0]) == turns_of(row(turns=CHAT))
    assert turns_of(rows[1]) == turns_of(row())

import hashlib
import json
import math
from decimal import Decimal
from uuid import UUID

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tmap.artifacts import tables
from tmap.cards.dataset import PoolSource
from tmap.data import cells, pool
from tmap.data.overlap import question_ngrams
from tmap.errors import TmapError

GOOD = {"instruction": "Add 1 and 2.", "output": "3"}
NO_QUESTIONS = question_ngrams([], [], 13)


def jsonl(folder, rows, name="pool.jsonl"):
    path = folder / name
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(path, ngrams=NO_QUESTIONS, by_letter=False, **source):
    source = PoolSource(path=str(path), **source)
    return pool.read("mine", source, ngrams, by_letter=by_letter)


def reasons(found):
    pairs = zip(found.rejected["line"], found.rejected["reason"], strict=True)
    return dict(pairs)


def chat(*turns):
    return {"messages": [{"role": r, "content": c} for r, c in turns]}


def test_alpaca_rows_keep_instruction_input_and_output(tmp_path):
    rows = [GOOD, {"instruction": "Translate.", "input": "Hund", "output": "dog"}]
    kept = read(jsonl(tmp_path, rows)).kept
    assert kept["instruction"].tolist() == ["Add 1 and 2.", "Translate."]
    assert kept["input"].tolist() == ["", "Hund"]
    assert kept["response"].tolist() == ["3", "dog"]
    assert kept["sample_id"].tolist() == ["mine-0000000", "mine-0000001"]
    assert kept["turns"].tolist() == [None, None]


def test_text_hash_is_sha256_of_the_canonical_text(tmp_path):
    text = '{"input":"","instruction":"Ä","response":"3","turns":null}'
    kept = read(jsonl(tmp_path, [{"instruction": "Ä", "output": "3"}])).kept
    want = hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
    assert kept["text_hash"].tolist() == [want]


def test_one_exchange_is_a_plain_pair_and_more_keep_their_turns(tmp_path):
    rows = [
        chat(("user", "u"), ("assistant", "a")),
        chat(("system", "s"), ("user", "u"), ("assistant", "a")),
        chat(("user", "1"), ("assistant", "2"), ("user", "3"), ("assistant", "4")),
    ]
    kept = read(jsonl(tmp_path, rows)).kept
    assert kept["instruction"].tolist() == ["u", "u", "1"]
    assert kept["response"].tolist() == ["a", "a", "4"]
    assert kept["turns"][0] is None
    assert kept["turns"][1][0] == {"role": "system", "content": "s"}
    assert [turn["content"] for turn in kept["turns"][2]] == ["1", "2", "3", "4"]


def test_sharegpt_names_become_roles(tmp_path):
    turns = [("system", "s"), ("human", "h"), ("gpt", "g")]
    row = {"conversations": [{"from": who, "value": text} for who, text in turns]}
    kept = read(jsonl(tmp_path, [row])).kept
    roles = [turn["role"] for turn in kept["turns"][0]]
    assert roles == ["system", "user", "assistant"]


def test_question_answer_columns_are_named_in_the_card(tmp_path):
    path = jsonl(tmp_path, [{"q": "2+2?", "a": "4", "key": "k1"}])
    columns = {"instruction": "q", "response": "a", "id": "key"}
    kept = read(path, columns=columns).kept
    assert kept[["sample_id", "instruction", "response"]].values.tolist() == [
        ["k1", "2+2?", "4"]
    ]


@pytest.mark.parametrize(
    ("by_letter", "instruction", "response"),
    [(True, "Which?\n\n(A) dry\n(B) wet", "(B)"), (False, "Which?", "wet")],
)
def test_multiple_choice_rows_look_as_their_reader_asks(
    tmp_path, by_letter, instruction, response
):
    choices = {"text": ["dry", "wet"], "label": ["A", "B"]}
    row = {"question": "Which?", "choices": choices, "answerKey": "B"}
    path = jsonl(tmp_path, [row])
    kept = read(path, by_letter=by_letter, format="multiple_choice").kept
    assert kept["instruction"].tolist() == [instruction]
    assert kept["response"].tolist() == [response]


MMLU_PRO = {"question": "Largest?", "options": ["1", "9"], "answer": "B"}


@pytest.mark.parametrize(
    ("source", "response"),
    [
        ({"columns": {"choices": "options", "gold": "answer"}}, "9"),
        ({"format": "multiple_choice", "columns": {"gold": "answer"}}, "9"),
        ({"format": "qa"}, "B"),
        ({"columns": {"instruction": "question", "response": "answer"}}, "B"),
    ],
)
def test_options_are_read_as_the_card_says(tmp_path, source, response):
    kept = read(jsonl(tmp_path, [MMLU_PRO]), **source).kept
    assert kept["response"].tolist() == [response]


@pytest.mark.parametrize(
    ("golds", "how", "kept"),
    [
        ([1, 2, 3], {}, ["a", "b", "c"]),
        ([0, 1, 2], {}, ["a", "b", "c"]),
        ([0, 1, 3], {}, ["a", "b"]),
        ([1, 1, 2], {"gold_is": "from_1"}, ["a", "a", "b"]),
        ([1, 1, 2], {"gold_is": "from_0"}, ["b", "b", "c"]),
    ],
)
def test_a_pool_counts_its_options_as_its_questions_do(tmp_path, golds, how, kept):
    rows = [
        {"question": f"q{i}", "choices": ["a", "b", "c"], "gold": gold}
        for i, gold in enumerate(golds)
    ]
    found = read(jsonl(tmp_path, rows), format="multiple_choice", **how).kept
    assert found["response"].tolist() == kept


def test_ids_must_be_there_and_unique(tmp_path):
    rows = [
        {"id": 7, **GOOD},
        {"id": 7, "instruction": "x", "output": "y"},
        {"instruction": "z", "output": "y"},
    ]
    found = read(jsonl(tmp_path, rows), columns={"id": "id"})
    assert found.kept["sample_id"].tolist() == ["7"]
    assert reasons(found) == {1: "duplicate id: of line 0", 2: "missing id: no 'id'"}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (7, "7"),
        (7.0, "7"),
        (2.0**53, "9007199254740992"),
        (Decimal("7.00"), "7"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ("7.0", "7.0"),
        ("007", "007"),
        (" a", " a"),
        ("e\u0301", "e\u0301"),
        (0, "0"),
        *(
            (value, None)
            for value in (7.5, math.nan, math.inf, True, [7], {"$oid": "7"})
        ),
        *((value, None) for value in (None, "", " ", "\u200b", b"7", Decimal("NaN"))),
    ],
)
def test_an_id_is_a_text_or_a_whole_number_in_any_type(value, found):
    assert cells.identity(value) == found


def test_what_is_no_id_is_told(tmp_path):
    rows = [{"id": 1, **GOOD}, {"id": 1.5, **GOOD}, {"id": [1], **GOOD}]
    found = read(jsonl(tmp_path, rows), columns={"id": "id"})
    assert reasons(found) == {
        1: "missing id: 'id' is 1.5",
        2: "missing id: 'id' is [1]",
    }


def test_ids_of_a_column_that_pandas_made_floats_are_as_before(tmp_path):
    rows = pd.DataFrame([{"id": 1, **GOOD}, {"id": None, "instruction": "x"}])
    rows.to_parquet(tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet", columns={"id": "id"})
    assert found.kept["sample_id"].tolist() == ["1"]


def test_overlap_is_dropped_and_counted(tmp_path):
    question = "one two three four five six seven eight nine ten eleven twelve thirteen"
    ngrams = question_ngrams(["gsm-1"], [question], 13)
    rows = [GOOD, {"instruction": f"Now {question}!", "output": "x"}]
    found = read(jsonl(tmp_path, rows), ngrams)
    assert reasons(found) == {1: "contains benchmark question: gsm-1"}
    assert found.notes["rejected"] == {"contains benchmark question": 1}
    assert found.notes["overlap_share"] == 0.5


def test_a_question_in_the_response_does_not_count_as_overlap(tmp_path):
    question = "one two three four five six seven eight nine ten eleven twelve thirteen"
    ngrams = question_ngrams(["gsm-1"], [question], 13)
    found = read(
        jsonl(tmp_path, [{"instruction": "Count.", "output": question}]), ngrams
    )
    assert len(found.kept) == 1
    assert found.notes["overlap_share"] == 0


def test_overlap_sees_later_user_turns_and_input(tmp_path):
    ngrams = question_ngrams(["short"], ["What is ice?"], 13)
    talk = chat(
        ("user", "Hi"), ("assistant", "Hi"), ("user", "what is ICE"), ("assistant", "x")
    )
    pair = {"instruction": "Answer.", "input": "What is ice?", "output": "Water."}
    for rows in ([talk], [pair]):
        with pytest.raises(TmapError, match="contains benchmark question: short"):
            read(jsonl(tmp_path, rows), ngrams)


HOSTILE = [
    "<script>alert(1)</script>",
    "{{ config }} {0} %s ${HOME}",
    "a\x00b\x07c\x1b[31m",
    "#### 42\nQuestion: ignore the above",
    "\u202eright to left\u200f",
    "line\u2028separator\x85next",
    "é" * 1_000_000,
    "<|im_end|></s>[INST]",
]


def test_hostile_text_is_carried_through_unchanged(tmp_path):
    rows = [
        {"instruction": f"{i} {text}", "output": text} for i, text in enumerate(HOSTILE)
    ]
    found = read(jsonl(tmp_path, rows))
    out = tmp_path / "pool.parquet"
    tables.write("pool", found.kept, out, code="test", **found.notes)
    assert tables.read("pool", out)["response"].tolist() == HOSTILE


def test_both_tables_can_be_written_even_without_rejections(tmp_path):
    found = read(jsonl(tmp_path, [GOOD]))
    path = tmp_path / "rejected.parquet"
    tables.write("pool_rejected", found.rejected, path, code="test")
    assert len(tables.read("pool_rejected", path)) == 0


def test_a_pool_without_a_usable_row_stops_with_the_first_reasons(tmp_path):
    path = jsonl(tmp_path, [{"instruction": "", "output": "x"}, "{", "[]", "1"])
    with pytest.raises(TmapError) as fault:
        read(path)
    assert "all 4 were rejected (line 0: empty instruction; line 1: " in str(
        fault.value
    )
    assert "line 3" not in str(fault.value)


TEXT = st.text(max_size=8)
JSONISH = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
    ),
    max_leaves=8,
)
TURNS = st.lists(
    JSONISH
    | st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "assistant", "system", "x"]),
            "content": JSONISH,
        }
    ),
    max_size=4,
)
ROWS = st.one_of(
    JSONISH,
    st.fixed_dictionaries(
        {}, optional={"instruction": JSONISH, "input": JSONISH, "output": JSONISH}
    ),
    st.fixed_dictionaries({"messages": TURNS}),
    st.fixed_dictionaries(
        {"question": JSONISH, "choices": JSONISH, "answerKey": JSONISH}
    ),
)


@pytest.mark.parametrize(
    ("form", "good"),
    [
        ("alpaca", GOOD),
        ("messages", chat(("user", "u"), ("assistant", "a"))),
        ("multiple_choice", {"question": "Q", "choices": ["a", "b"], "answerKey": "A"}),
    ],
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROWS, max_size=6))
def test_every_row_ends_kept_or_rejected_with_a_reason(tmp_path, form, good, rows):
    lines = [json.dumps(row) for row in [good, *rows]]
    found = read(jsonl(tmp_path, lines), format=form)
    assert len(found.kept) + len(found.rejected) == 1 + len(rows)
    assert all(found.rejected["reason"])
    assert found.kept["sample_id"].is_unique


@pytest.mark.data
def test_all_real_gsm8k_rows_are_kept_or_counted_as_overlap(shared):
    test = pd.read_parquet(shared / "data" / "gsm8k_test.parquet")
    ngrams = question_ngrams(test["id"].tolist(), test["question"].tolist(), 13)
    path = shared / "data" / "gsm8k_train.parquet"
    found = read(path, ngrams, format="qa", columns={"id": "id"})
    assert len(found.kept) + len(found.rejected) == 7473
    assert set(found.notes["rejected"]) <= {"contains benchmark question"}
    assert found.notes["overlap_share"] < 0.01

"""Columns and turns of the usual dialects, what is missing, and what is left out."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tmap.cards.dataset import PoolSource
from tmap.data import cells, pool
from tmap.data.overlap import question_ngrams
from tmap.prompts.conversation import answer_of, question_of, turns_of
from tmap.selection import export

NO_QUESTIONS = question_ngrams([], [], 13)
S, U, A = "system", "user", "assistant"
#: What the dialects below mean: a system text, one exchange, and another.
TALK = [(S, "Be brief."), (U, "2+2?"), (A, "4"), (U, "And 3+3?"), (A, "6")]
SHORT = [TALK[0], *TALK[3:]]


def read(folder, rows, **source):
    path = folder / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return pool.read("mine", PoolSource(path=str(path), **source), NO_QUESTIONS)


def conversations(found):
    return [
        [turn[:2] for turn in turns_of(row)] for row in found.kept.to_dict("records")
    ]


def turns(talk, who="role", what="content", names=None):
    return [{who: (names or {}).get(role, role), what: text} for role, text in talk]


HUMAN = {U: "human", A: "gpt"}
LAST = {"instruction": "And 3+3?", "output": "6"}
#: Dialect -> a row in it, and the conversation that it is.
DIALECTS = {
    "LLaMA-Factory's Alpaca": (
        {**LAST, "input": "", "system": "Be brief.", "history": [["2+2?", "4"]]},
        TALK,
    ),
    "history in a table of text": (
        {**LAST, "system": "Be brief.", "history": '[["2+2?", "4"]]'},
        TALK,
    ),
    "history as turns": (
        {**LAST, "system_prompt": "Be brief.", "history": turns(TALK[1:3])},
        TALK,
    ),
    "an input below the last question": (
        {**LAST, "input": "Sum.", "history": [["2+2?", "4"]]},
        [*TALK[1:3], (U, "And 3+3?\n\nSum."), TALK[4]],
    ),
    "ShareGPT with a system column": (
        {
            "conversations": turns(TALK[1:], "from", "value", HUMAN),
            "system": "Be brief.",
        },
        TALK,
    ),
    "ShareGPT with the same system text twice": (
        {"conversations": turns(TALK, "from", "value", HUMAN), "system": "Be brief."},
        TALK,
    ),
    "messages as text": ({"messages": json.dumps(turns(TALK))}, TALK),
    "messages of two spellings, filled up with nulls": (
        {
            "messages": [
                {"role": None, "content": None, "from": name, "value": text}
                for name, text in TALK
            ]
        },
        TALK,
    ),
    "developer": ({"messages": turns(TALK, names={S: "developer"})}, TALK),
    "roles of other programs": (
        {"messages": turns(TALK, names={U: " User ", A: "model"})},
        TALK,
    ),
    "parts of text": (
        {
            "messages": [
                {
                    "role": role,
                    "content": [
                        {"type": "text", "text": text[:2], "image_url": None},
                        {"type": "text", "text": text[2:]},
                    ],
                }
                for role, text in TALK
            ]
        },
        TALK,
    ),
    "Dolly": (
        {"instruction": "Sum up.", "context": "A text.", "response": "Text."},
        [(U, "Sum up.\n\nA text."), (A, "Text.")],
    ),
    "OpenOrca": (
        {"system_prompt": "Be brief.", "question": "And 3+3?", "response": "6"},
        SHORT,
    ),
    "MetaMath": ({"query": "And 3+3?", "response": "6"}, TALK[3:]),
    "TRL, prompt and completion": ({"prompt": "And 3+3?", "completion": "6"}, TALK[3:]),
    "TRL, conversational": (
        {"prompt": turns(TALK[:4]), "completion": turns(TALK[4:])},
        TALK,
    ),
    "a prompt of turns, a completion of text": (
        {"prompt": turns(TALK[:4]), "completion": "6"},
        TALK,
    ),
    "LIMA, texts in turn": ({"conversations": [t for _, t in TALK[1:]]}, TALK[1:]),
    "UltraChat, with the column named": (
        {"messages": json.dumps([t for _, t in TALK[1:]])},
        TALK[1:],
    ),
    "a Sequence of structs, as datasets has it": (
        {
            "messages": {
                "role": [role for role, _ in TALK],
                "content": [text for _, text in TALK],
            }
        },
        TALK,
    ),
    "Python's own list as text": ({"messages": str(turns(TALK))}, TALK),
    "a history as Python writes it": (
        {**LAST, "system": "Be brief.", "history": "[('2+2?', '4')]"},
        TALK,
    ),
    "Super-NaturalInstructions": (
        {"definition": "Add.", "inputs": "3 and 3", "targets": "6"},
        [(U, "Add.\n\n3 and 3"), (A, "6")],
    ),
    "Super-NaturalInstructions, renamed": (
        {"definition": "Add.", "input": "3 and 3", "output": "6"},
        [(U, "Add.\n\n3 and 3"), (A, "6")],
    ),
    "axolotl's context_qa": (
        {"article": "It is red.", "question": "Colour?", "answer": "Red."},
        [(U, "Colour?\n\nIt is red."), (A, "Red.")],
    ),
    "a passage": (
        {"passage": "It is red.", "question": "Red?", "answer": "Yes."},
        [(U, "Red?\n\nIt is red."), (A, "Yes.")],
    ),
    "swift": (
        {
            "query": "And 3+3?",
            "response": "6",
            "system": "Be brief.",
            "history": [["2+2?", "4"]],
        },
        TALK,
    ),
    "human and ai": (
        {"messages": turns(TALK, names={U: "Human", A: "AI"})},
        TALK,
    ),
    "TRL, a wanted answer": (
        {"prompt": "And 3+3?", "completion": "6", "label": True},
        TALK[3:],
    ),
    "LLaMA-Factory, a wanted answer": (
        {"messages": turns(TALK), "kto_tag": True},
        TALK,
    ),
    "a history by another name": (
        {"prompt": "And 3+3?", "response": "6", "chat_history": [["2+2?", "4"]]},
        TALK[1:],
    ),
    "a conversation so far": (
        {**LAST, "conversation_history": turns(TALK[1:3]), "systemPrompt": "Be brief."},
        TALK,
    ),
    "a system instruction": ({**LAST, "system_instruction": "Be brief."}, SHORT),
    "FLAN": ({"inputs": "And 3+3?", "targets": "6"}, TALK[3:]),
    "input and output": ({"input": "And 3+3?", "output": "6"}, TALK[3:]),
    "an answer that is JSON": (
        {"instruction": '[{"role": "user"}]', "output": '[{"name": "x"}]'},
        [(U, '[{"role": "user"}]'), (A, '[{"name": "x"}]')],
    ),
    "a chat column that nobody filled": (
        {**LAST, "messages": None, "conversations": []},
        TALK[3:],
    ),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_is_read_as_what_it_means(tmp_path, name):
    row, talk = DIALECTS[name]
    found = read(tmp_path, [row])
    assert conversations(found) == [talk]
    assert found.notes["not_read"] == {}


@pytest.mark.parametrize("name", DIALECTS)
def test_what_arrow_makes_of_a_dialect_is_the_same(tmp_path, name):
    row, talk = DIALECTS[name]
    path = tmp_path / "a.parquet"
    pd.DataFrame([row, row]).to_parquet(path)
    found = pool.read("mine", PoolSource(path=str(path)), NO_QUESTIONS)
    assert conversations(found) == [talk]


def test_a_column_that_appears_late_is_read(tmp_path):
    plain = [{"instruction": f"{i}?", "output": "x"} for i in range(150)]
    found = read(tmp_path, [*plain, {**LAST, "system": "Be brief.", "note": "n"}])
    assert conversations(found)[-1] == SHORT
    assert found.notes["not_read"] == {"note": 1}


def test_other_talks_with_the_same_last_exchange_are_other_rows(tmp_path):
    rows = [{**LAST, "history": [[f"{i}?", "x"]]} for i in range(3)]
    assert len(read(tmp_path, rows).kept) == 3


#: A row, the card's `pool:`, and what is reported with the number of rows.
LEFT = {
    "a column": ({**LAST, "topic": "sums"}, {}, {"topic": 1}),
    "a column that is not wanted": (
        {**LAST, "topic": "sums"},
        {"ignore": ["topic"]},
        {},
    ),
    "the id that the card names": ({**LAST, "id": 7}, {"columns": {"id": "id"}}, {}),
    "an id that it does not name": ({**LAST, "id": 7}, {}, {"id": 1}),
    "context next to input": (
        {**LAST, "input": "x", "context": "y"},
        {},
        {"context": 1},
    ),
    "a second system text": (
        {**LAST, "system": "x", "system_prompt": "y"},
        {},
        {"system_prompt": 1},
    ),
    "tools": ({"messages": turns(TALK), "tools": "[{}]"}, {}, {"tools": 1}),
    "empty tools": ({"messages": turns(TALK), "tools": " "}, {}, {}),
    "a name in a turn": (
        {"messages": [{**turn, "name": "x"} for turn in turns(TALK)]},
        {},
        {"messages[].name": 1},
    ),
    "a name that is not wanted": (
        {"messages": [{**turn, "name": "x"} for turn in turns(TALK)]},
        {"ignore": ["messages[].name"]},
        {},
    ),
    "columns filled up": ({**LAST, "a": None, "b": [], "c": {"d": None}}, {}, {}),
    "false and zero are values": ({**LAST, "a": 0, "b": False}, {}, {"a": 1, "b": 1}),
    "a choice's explanation": (
        {"question": "Q?", "choices": ["a", "b"], "answerKey": "A", "why": "x"},
        {"format": "multiple_choice"},
        {"why": 1},
    ),
}


@pytest.mark.parametrize("name", LEFT)
def test_no_column_is_left_out_without_a_word(tmp_path, caplog, name):
    row, source, expected = LEFT[name]
    with caplog.at_level("INFO"):
        found = read(tmp_path, [row], **source)
    assert found.notes["not_read"] == expected
    assert all(f"{column} (1)" in caplog.text for column in expected)


#: A row that has more than is wanted, the card's `ignore:`, and the talk that is left.
UNWANTED = {
    "a system text": ({**LAST, "system": "x"}, ["system"], TALK[3:]),
    "a history": ({**LAST, "history": [["a", "b"]]}, ["history"], TALK[3:]),
    "an input": ({**LAST, "input": "x"}, ["input"], TALK[3:]),
    "the weights": ({**LAST, "weights": [0]}, ["weights"], TALK[3:]),
    "an input, so that another is read": (
        {**LAST, "input": "x", "context": "Sum."},
        ["input"],
        [(U, "And 3+3?\n\nSum."), (A, "6")],
    ),
    "a chat next to a pair": (
        {**LAST, "messages": turns(TALK)},
        ["messages"],
        TALK[3:],
    ),
    "the system text of a chat": (
        {"messages": turns(TALK[3:]), "system": "x"},
        ["system"],
        TALK[3:],
    ),
    "options next to a pair": ({**LAST, "options": ["6", "7"]}, ["options"], TALK[3:]),
    "a key of turns that may be a weight": (
        {"messages": [{**turn, "mask": 1} for turn in turns(TALK)]},
        ["messages[].mask"],
        TALK,
    ),
    "a weight that is none": (
        {"messages": [{**turn, "weight": 0.5} for turn in turns(TALK)]},
        ["messages[].weight"],
        TALK,
    ),
    "reasoning": (
        {"messages": [{**turn, "reasoning": "x"} for turn in turns(TALK)]},
        ["messages[].reasoning"],
        TALK,
    ),
    "calls of tools in a history": (
        {**LAST, "history": [{**turn, "tool_calls": "x"} for turn in turns(TALK[1:3])]},
        ["history[].tool_calls"],
        TALK[1:],
    ),
}


@pytest.mark.parametrize("name", UNWANTED)
def test_what_is_not_wanted_counts_as_absent(tmp_path, name):
    row, ignore, talk = UNWANTED[name]
    found = read(tmp_path, [row], ignore=ignore)
    assert conversations(found) == [talk]
    assert found.notes["not_read"] == {}


def test_a_column_is_not_both_read_and_unwanted():
    with pytest.raises(ValueError, match="both name 'q'; a column is read or not"):
        PoolSource(path="x", columns={"instruction": "q"}, ignore=["p", "q"])


def test_one_turn_that_says_two_things_is_reported(tmp_path):
    talk = turns(TALK[3:])
    talk[0] |= {"from": "human", "value": "Another text."}
    talk[1] |= {"from": "user", "value": "6"}
    found = read(tmp_path, [{"messages": talk}])
    assert conversations(found) == [TALK[3:]]
    assert found.notes["not_read"] == {"messages[].from": 1, "messages[].value": 1}


MISSING = [None, math.nan, "", " \n", "\u200b\ufeff", "\u3164", "\u00ad\u2060", [], {}]
MISSING += [{"a": None}, [None, math.nan], [{"role": None, "content": ""}], "\ufe0f"]


@pytest.mark.parametrize("value", MISSING, ids=repr)
def test_missing_is_missing_in_every_form(tmp_path, value):
    assert cells.missing(value)
    more = dict.fromkeys(("input", "system", "history", "topic"), value)
    found = read(tmp_path, [{**LAST, **more}])
    assert conversations(found) == [TALK[3:]]
    assert found.kept["input"].tolist() == [""]
    assert found.notes["not_read"] == {}
    for name in ("instruction", "output"):
        rows = [{"instruction": "x", "output": "y"}, {**LAST, name: value}]
        (reason,) = read(tmp_path, rows).rejected["reason"]
        assert reason.partition(" ")[0] in ("missing", "empty")


@pytest.mark.parametrize(
    "value", ["x", "0", "\U0001f600", "ิ", "\ue000", "-", 0, False, ["", "x"], "\u0301"]
)
def test_what_a_reader_sees_is_not_missing(value):
    assert not cells.missing(value)


@pytest.mark.parametrize(
    "text",
    "<noinput>|No input.|<none>|NOINPUT|[No Input]|<no input>|<NULL>|None|N/A|"
    "no input required.|<no_input>|(none)|<nan>| <noinput> ".split("|"),
)
def test_a_placeholder_is_an_empty_input_and_is_counted(tmp_path, text):
    found = read(tmp_path, [{**LAST, "input": text}])
    assert found.kept["input"].tolist() == [""]
    assert found.notes["placeholders"] == {text.strip(): 1}


@pytest.mark.parametrize(
    "text",
    "null|nan|input|none of these|<p>|No input is bad.|0|<input> none|no|any".split(
        "|"
    ),
)
def test_an_input_that_may_be_meant_stays(tmp_path, text):
    found = read(tmp_path, [{**LAST, "input": text}])
    assert found.kept["input"].tolist() == [text]


@pytest.mark.parametrize(
    "text",
    "NaN|nan|null|NULL|None|<NA>|NaT|nil|{}|N/A|[none]| null \n|[no input]".split("|"),
)
@pytest.mark.parametrize("column", ["system", "history"])
def test_a_word_for_nothing_is_no_system_text_and_no_history(tmp_path, column, text):
    found = read(tmp_path, [{**LAST, column: text}])
    assert conversations(found) == [TALK[3:]]
    assert found.notes["placeholders"] == {text.strip(): 1}
    said = read(tmp_path, [{**LAST, "output": text}])
    assert conversations(said) == [[TALK[3], (A, text)]]
    talk = read(tmp_path, [{"messages": turns([(S, text), *TALK[3:]])}])
    assert conversations(talk) == [TALK[3:]]
    assert talk.notes["placeholders"] == {text.strip(): 1}


def test_a_list_of_nothing_is_an_input_and_no_history(tmp_path):
    found = read(tmp_path, [{**LAST, "input": "[]", "history": "[]"}])
    assert conversations(found) == [[(U, "And 3+3?\n\n[]"), (A, "6")]]
    assert found.notes["placeholders"] == {}


@pytest.mark.parametrize("column", ["label", "kto_tag"])
@pytest.mark.parametrize(
    ("row", "other"),
    [
        (LAST, {**LAST, "output": "x"}),
        ({"messages": turns(TALK)}, {"messages": turns(TALK[1:])}),
        ({"prompt": "3?", "completion": "6"}, {"prompt": "3?", "completion": "7"}),
    ],
)
def test_an_answer_that_is_marked_as_bad_is_not_taught(tmp_path, column, row, other):
    rows = [{**row, column: False}, {**other, column: True}]
    found = read(tmp_path, rows)
    assert found.rejected["line"].tolist() == [0]
    assert list(found.notes["rejected"]) == ["not wanted"]
    assert found.notes["not_read"] == {}
    assert len(read(tmp_path, rows, ignore=[column]).kept) == 2


@pytest.mark.parametrize("text", ["False", "false", " FALSE "])
def test_a_truth_value_in_a_table_of_text_is_one(tmp_path, text):
    rows = [{**LAST, "label": text}, {**LAST, "output": "x", "label": "True"}]
    found = read(tmp_path, rows)
    assert found.kept["response"].tolist() == ["x"]
    assert list(found.notes["rejected"]) == ["not wanted"]
    assert found.notes["not_read"] == {}


@pytest.mark.parametrize("value", [0, 1, "0", "positive", 0.5, [True]])
def test_a_label_that_is_no_truth_value_is_reported_and_not_read(tmp_path, value):
    found = read(tmp_path, [{**LAST, "label": value}])
    assert found.notes["not_read"] == {"label": 1}


LISTS = st.lists(st.text(max_size=9), min_size=2, max_size=5)


@given(LISTS)
def test_a_list_of_texts_is_read_in_every_spelling(texts):
    assert cells.literal(json.dumps(texts)) == texts
    assert cells.literal(repr(texts)) == texts
    assert cells.literal(str(np.array(texts, dtype=object))) == texts


@pytest.mark.parametrize(
    "text",
    ["[x]", "['a',", "__import__('os')", "['a' + 1]", "[" * 9999, "'a' 'b'x", "[f'a']"],
)
def test_text_that_is_no_value_is_told_and_nothing_runs(text):
    with pytest.raises(ValueError):
        cells.literal(text)


#: A chat that cannot be read, and the start of the reason.
REFUSED = [
    (
        [*turns(TALK[:2]), {"role": "tool", "content": "x"}],
        "tool call: a turn of 'tool'",
    ),
    (
        [*turns(TALK[:2]), {"from": "function_call", "value": "x"}],
        "tool call: a turn of 'function_call'",
    ),
    (
        [*turns(TALK[:2]), {"role": A, "content": None, "tool_calls": [{"id": "1"}]}],
        "tool call: a turn calls one",
    ),
    (
        [{"role": U, "content": [{"type": "image_url", "image_url": "x"}]}],
        "not text: content is list with a part 'image_url'",
    ),
    ([{"role": U, "content": {"a": 1}}], "not text: content is dict"),
    ([{"role": U, "content": []}, *turns(TALK[2:3])], "empty instruction"),
    (turns([TALK[1], (A, "\u200b")]), "empty response"),
    ([turns(TALK)[1], {"role": A, "content": "4", "weight": 0}], "nothing to learn"),
    (
        [*turns(TALK[:4]), {"role": A, "content": "6", "weight": 0.5}],
        "weight of a turn: weight is '0.5'",
    ),
    (
        [turns(TALK)[1], {"role": A, "content": "4", "train": "some"}],
        "weight of a turn",
    ),
    (
        [turns(TALK)[1], {"role": A, "content": "", "reasoning_content": "2 and 2."}],
        "empty response: reasoning in reasoning_content",
    ),
    (
        [
            turns(TALK)[1],
            {"role": A, "content": "4", "reasoning": "a", "thinking": "b"},
        ],
        "unclear reasoning",
    ),
    (
        [turns(TALK)[1], {"role": A, "content": "4", "reasoning": ["a"]}],
        "unclear reason",
    ),
    (
        [turns(TALK)[1], {"role": A, "content": "<think>a</think>4", "reasoning": "b"}],
        "unclear reasoning: <think> in the answer",
    ),
    *(
        (
            [turns(TALK)[1], {"role": A, "content": "4", key: value}],
            f"weight of a turn: '{key}' may say what the loss counts",
        )
        for key, value in {
            "mask": True,
            "masked": 1,
            "loss_scale": 0.5,
            "loss_weight": 0,
            "train_on_turn": False,
            "train_detail": [{"begin_offset": 0, "end_offset": 1, "train": False}],
            "token_weights": [0, 1],
        }.items()
    ),
    *(
        (
            [*turns(TALK[:2]), {"role": role, "content": "x"}],
            f"tool call: a turn of '{role}'",
        )
        for role in (
            "tool_response",
            "tool_calls",
            "tool-result",
            "function_results",
            "Tools",
            "environment",
        )
    ),
    (
        [{"role": U, "text": "x"}, {"role": A, "text": "y"}],
        "empty instruction: a turn has neither content nor value, but role, text",
    ),
    (
        [{"role": U, "parts": [{"text": "x"}]}, {"role": "model", "parts": []}],
        "empty instruction: a turn has neither content nor value, but role, parts",
    ),
    (
        [{"user": "x", "assistant": "y"}],
        "unknown role: None, its keys are user, assistant; write system, user or",
    ),
    (["a", "b", "c"], "roles out of order: user assistant user; a system text, if any"),
    (
        {"role": [U], "content": []},
        "missing instruction: 'messages' is no chat, a list",
    ),
    (
        "[{'role': 'user'}\n {'role': 'assistant'}]",
        "missing instruction: 'messages' is",
    ),
]


@pytest.mark.parametrize(("talk", "reason"), REFUSED)
def test_what_a_chat_cannot_be_is_told(tmp_path, talk, reason):
    found = read(tmp_path, [{"messages": turns(TALK)}, {"messages": talk}])
    (told,) = found.rejected["reason"]
    assert told.startswith(reason)


@pytest.mark.parametrize("history", ["x", [["a"]], [["a", "b", "c"]], [7], {"a": 1}])
def test_a_history_of_no_pairs_is_refused(tmp_path, history):
    found = read(tmp_path, [LAST, {**LAST, "history": history}])
    assert list(found.notes["rejected"]) == ["unknown history"]


def test_two_system_texts_are_refused(tmp_path):
    found = read(tmp_path, [{"messages": turns(TALK)}, CLASH])
    assert list(found.notes["rejected"]) == ["two system texts"]


CLASH = {"messages": turns(TALK), "system": "Be long."}


def test_weights_that_change_nothing_are_read(tmp_path):
    talk = [
        {**turn, "weight": int(turn["role"] == A), "train": turn["role"] == A}
        for turn in turns(TALK)
    ]
    found = read(tmp_path, [{"messages": talk}])
    assert conversations(found) == [TALK]
    assert found.notes["not_read"] == {}


#: A first answer's turn that the loss does not count, as data has it.
UNCOUNTED = {
    "weight 0": {"weight": 0},
    "weight 0.0": {"weight": 0.0},
    "weight as text": {"weight": "0"},
    "train": {"train": False},
    "train as text": {"train": "False"},
    "trainable": {"trainable": False},
    "trainable 0": {"trainable": 0},
    "loss_mask": {"loss_mask": 0},
    "swift's loss": {"loss": False},
    "loss 0": {"loss": 0},
    "training": {"training": False},
    "loss_mask false": {"loss_mask": False},
    "one of two flags": {"weight": 1, "train": False},
    "beside nulls": {"weight": None, "loss_mask": 0},
}


@pytest.mark.parametrize("flag", UNCOUNTED.values(), ids=UNCOUNTED)
def test_an_answer_that_the_loss_leaves_out_is_kept_as_context(tmp_path, flag):
    talk = turns(TALK)
    talk[2] |= flag
    found = read(tmp_path, [{"messages": talk}, {"messages": turns(TALK)}])
    first, second = (turns_of(row) for row in found.kept.to_dict("records"))
    assert [turn.counts for turn in first] == [True, True, False, True, True]
    assert [turn[:2] for turn in first] == [turn[:2] for turn in second] == TALK
    assert all(turn.counts for turn in second)
    assert found.notes["not_read"] == {}
    row = found.kept.to_dict("records")[0]
    assert (question_of(row), answer_of(row)) == ("And 3+3?", "6")


def test_a_flag_on_a_question_is_reported_if_it_asks_for_loss(tmp_path):
    talk = [{**turn, "train": turn["role"] == U} for turn in turns(TALK)]
    talk[4]["train"] = True
    found = read(tmp_path, [{"messages": talk}])
    assert found.notes["not_read"] == {"messages[].train": 1}


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
@pytest.mark.parametrize("what", ["content", "value"])
def test_reasoning_under_a_key_of_its_own_is_read(tmp_path, key, what):
    talk = turns(TALK[3:], what=what)
    talk[1] |= {key: "\n3 and 3.\n"}
    found = read(tmp_path, [{"messages": talk}])
    said = "<think>\n3 and 3.\n</think>\n\n6"
    assert conversations(found) == [[TALK[3], (A, said)]]
    assert found.kept["response"].tolist() == [said]
    assert found.notes["not_read"] == {}


def test_reasoning_that_the_answer_has_already_is_not_doubled(tmp_path):
    said = "<think>3 and 3.</think>6"
    talk = [*turns(TALK[3:4]), {"role": A, "content": said, "reasoning": "3 and 3."}]
    found = read(tmp_path, [{"messages": talk}])
    assert found.kept["response"].tolist() == [said]


def test_one_number_under_weights_is_the_row_s_own(tmp_path):
    row = {**LAST, "history": [["2+2?", "4"]], "weights": 0.3}
    found = read(tmp_path, [row])
    assert found.notes["not_read"] == {"weights": 1}
    assert conversations(found) == [TALK[1:]]


# --- what export-subset writes is read back


seen = st.text(
    st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12
).filter(cells.visible)
INPUTS = seen.filter(lambda text: not cells.is_placeholder(text)) | st.just("")
WORDS = ["None", "NaN", "null", "[]", "{}", "N/A", "0", "false"]
SYSTEMS = seen | st.just("") | st.sampled_from(WORDS)
seen = seen | st.sampled_from([*WORDS, '[["a", "b"]]', "['a' 'b']", "A) x"])
answers = seen | st.builds("<think>\n{}\n</think>\n\n{}".format, seen, seen)
exchanges = st.lists(st.tuples(seen, answers, st.booleans()), min_size=1, max_size=3)


def as_row(system, pairs, given):
    talk = turns([(S, system)]) if system else []
    for asked, said, counts in pairs:
        talk += turns([(U, asked), (A, said)])
        if not counts and pairs[-1][2]:
            talk[-1]["weight"] = 0
    if len(talk) > 2:
        return {"messages": talk}
    return {"instruction": pairs[0][0], "input": given, "output": pairs[0][1]}


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.builds(as_row, SYSTEMS, exchanges, INPUTS), min_size=1, max_size=5))
def test_an_exported_subset_is_read_back_as_the_same_rows(tmp_path, rows):
    by_form = [[row for row in rows if key in row] for key in ("messages", "output")]
    kept = [
        row
        for some in by_form
        if some
        for row in read(tmp_path, some).kept.to_dict("records")
    ]
    # Both forms are read apart, and one pool has a row only once.
    once = {row["text_hash"]: row for row in kept}.values()
    kept = [{**row, "sample_id": f"s{number}"} for number, row in enumerate(once)]
    path = tmp_path / "again.jsonl"
    source = PoolSource(path=str(path), columns={"id": "id"})

    path.write_text(export.alpaca_lines(kept), encoding="utf-8")
    again = pool.read("mine", source, NO_QUESTIONS)
    texts = ["sample_id", "instruction", "input", "response", "turns", "text_hash"]
    first = pd.DataFrame(kept)
    assert again.kept[texts].to_dict("list") == first[texts].to_dict("list")
    assert again.notes["not_read"] == again.notes["rejected"] == {}

    path.write_text(export.message_lines(kept), encoding="utf-8")
    again = pool.read("mine", source, NO_QUESTIONS)
    talks = {row["sample_id"]: turns_of(row) for row in kept}
    distinct = {json.dumps(talk): talk for talk in talks.values()}
    found = [turns_of(row) for row in again.kept.to_dict("records")]
    assert found == list(distinct.values())
    assert set(again.kept["sample_id"]) <= set(talks)

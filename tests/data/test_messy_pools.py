"""Pools as people keep them: every broken row is reported with its reason, or fixed."""

import json

import pandas as pd
import pytest

from project import ROOT
from tmap import cards
from tmap.cards.dataset import PoolSource
from tmap.data import pool
from tmap.data.overlap import question_ngrams
from tmap.operations import preflight

CARDS = ROOT / "tests/real/cards"
BOM = "\ufeff"


def read(folder, lines, form="auto", ending="\n"):
    """Read JSON Lines; a dict is a row, text is an unchanged line."""
    text = ending.join(
        line if isinstance(line, str) else json.dumps(line) for line in lines
    )
    path = folder / "pool.jsonl"
    path.write_bytes(text.encode("utf-8"))
    source = PoolSource(path=str(path), format=form)
    return pool.read("mine", source, question_ngrams([], [], 13))


def told(found):
    """Line -> kind of reason, of the rejected rows."""
    pairs = zip(found.rejected["line"], found.rejected["reason"], strict=True)
    return dict(pairs)


def pair(instruction="Add 1 and 2.", output="3", **more):
    return {"instruction": instruction, "output": output, **more}


ALPACA = [
    ("[1, 2]", "not an object: list"),
    ('"text"', "not an object: str"),
    ("{broken", "invalid JSON: Expecting property name"),
    ('{"instruction": "cut o', "invalid JSON: Invalid control character"),
    ({"output": "3"}, "missing instruction: no 'instruction'"),
    (pair(instruction=None), "missing instruction: no 'instruction'"),
    (pair(instruction=" \n"), "empty instruction"),
    ({"instruction": "x"}, "missing response: no 'output'"),
    (pair("x", ""), "empty response"),
    (pair("x", 3), "not text: response is int"),
    (pair(["x"]), "not text: instruction is list"),
    (pair("x", input={"a": 1}), "not text: input is dict"),
    (pair(), "duplicate: of line 0"),
    (pair("half \ud800"), "invalid text: half of a surrogate pair"),
    ("[" * 100_000, "invalid JSON: nested too deeply"),
]
TALK = [("human", "Hi"), ("gpt", "Hello")]
TURNS = [
    ([], "missing instruction: 'TURNS' is no chat"),
    ("hello", "missing instruction: 'TURNS' is no chat"),
    (None, "missing instruction: 'TURNS' is no chat"),
    ([("human", "u")], "roles out of order: user"),
    ([("gpt", "a"), ("human", "u")], "roles out of order: assistant user"),
    ([("human", "u"), ("human", "v"), ("gpt", "a")], "roles out of order: user user"),
    ([("human", "u"), ("gpt", "a"), ("human", "v")], "roles out of order: user assist"),
    (
        [("human", "u"), ("system", "s"), ("gpt", "a")],
        "roles out of order: user system",
    ),
    ([("system", "s")], "roles out of order: system"),
    ([("bing", "b"), ("gpt", "a")], "unknown role: 'bing'"),
    ([(None, "u"), ("gpt", "a")], "unknown role: None"),
    ([("human", None), ("gpt", "a")], "empty instruction"),
    ([("human", 3), ("gpt", "a")], "not text: content is int"),
    ([("human", ["u"]), ("gpt", "a")], "not text: content is list"),
    ([("human", "u"), ("gpt", "  ")], "empty response"),
    ([("human", ""), ("gpt", "a")], "empty instruction"),
    ([17], "not text: a turn is int"),
    (TALK, "duplicate: of line 0"),
]
#: Names of a chat's columns: turns, speaker and text.
SPELLINGS = {
    "sharegpt": ("conversations", "from", "value"),
    "messages": ("messages", "role", "content"),
}


def chat(turns, spelling="sharegpt"):
    turns_name, who, what = SPELLINGS[spelling]
    if isinstance(turns, list):
        turns = [
            {who: turn[0], what: turn[1]} if isinstance(turn, tuple) else turn
            for turn in turns
        ]
    return {turns_name: turns}


def check(found, broken):
    """Line 0 is kept, line i is rejected for reason i."""
    reasons = told(found)
    assert found.kept["sample_id"].tolist() == ["mine-0000000"]
    assert list(reasons) == list(range(1, len(broken) + 1))
    for line, (_, reason) in enumerate(broken, 1):
        assert reasons[line].startswith(reason)
    assert sum(found.notes["rejected"].values()) == len(broken)


def test_every_kind_of_broken_row_of_an_alpaca_file_is_told(tmp_path):
    found = read(tmp_path, [pair(), *(row for row, _ in ALPACA)])

    check(found, ALPACA)
    assert len({reason for _, reason in ALPACA}) >= 10


@pytest.mark.parametrize("form", SPELLINGS)
def test_every_kind_of_broken_row_of_a_chat_file_is_told(tmp_path, form):
    name = SPELLINGS[form][0]
    broken = [(turns, reason.replace("TURNS", name)) for turns, reason in TURNS]

    found = read(tmp_path, [chat(turns, form) for turns, _ in [(TALK, ""), *broken]])

    check(found, broken)
    assert len({reason for _, reason in broken}) >= 10


FIXED = [
    (BOM + json.dumps(pair("a byte order mark")), "a byte order mark"),
    ("", None),
    (pair("a missing input"), "a missing input"),
    (pair("a null input", input=None), "a null input"),
    (pair("columns that nobody asked for", score=4.5, tags=["x"]), "columns that n"),
    (
        '{"instruction": "an escaped \\ud83d\\ude00", "output": "x"}',
        "an escaped \U0001f600",
    ),
    (
        '{"instruction": "twice", "instruction": "the later", "output": "x"}',
        "the later",
    ),
]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_what_is_only_untidy_in_an_alpaca_file_is_fixed(tmp_path, ending):
    found = read(tmp_path, [line for line, _ in FIXED], ending=ending)

    kept = [text for _, text in FIXED if text]
    assert told(found) == {}
    for text, expected in zip(found.kept["instruction"], kept, strict=True):
        assert text.startswith(expected)


def test_roles_in_other_cases_and_mixed_spellings_are_fixed(tmp_path):
    rows = [
        chat([("Human", "a"), ("GPT", "b")]),
        chat([("user", "c"), ("assistant", "d")]),
        {
            "conversations": [
                {"role": "user", "content": "e"},
                {"from": "gpt", "value": "f"},
            ]
        },
        chat([("system", ""), ("human", "g"), ("gpt", "h")]),
    ]

    found = read(tmp_path, rows)

    assert told(found) == {}
    assert found.kept["instruction"].tolist() == ["a", "c", "e", "g"]
    assert found.kept["response"].tolist() == ["b", "d", "f", "h"]


@pytest.mark.data
def test_a_card_of_twenty_lines_makes_instruction_data_of_the_real_arc_files(
    shared, tmp_path, monkeypatch
):
    card = (CARDS / "datasets/arc_c.yaml").read_text()
    assert len(card.splitlines()) <= 20
    (tmp_path / "shared").symlink_to(shared)
    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    monkeypatch.setenv("TMAP_CARDS", str(CARDS))
    cards._load.cache_clear()

    found = preflight.look("arc_c")

    source = pd.read_parquet(shared / "data/arc_challenge_train.parquet")
    kept = found.pool.kept.set_index("sample_id")
    right = {
        row.id: row.choices[row.answer_index] for row in source.itertuples(index=False)
    }
    assert found.missing == []
    assert len(kept) + found.pool.n_rejected == len(source) == 1119
    assert len(kept) > 1100
    assert {kind for kind in found.pool.reasons} <= {
        "contains benchmark question",
        "duplicate",
        "not a multiple-choice question",
    }
    assert kept["response"].to_dict() == {name: right[name] for name in kept.index}
    assert found.questions.n_reward + found.questions.n_test == 1172
    assert found.pool.overlap < 0.05
    assert found.pool.n_chosen == round(0.30 * len(kept))

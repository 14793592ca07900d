"""The ledger loses at most an unfinished line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmap.errors import TmapError
from tmap.search.ledger import Ledger

ANSWERS = {"type": "answers", "key": "k1", "correct": "01", "new_tokens": 7}
PROPOSAL = {
    "type": "proposal",
    "search": "s",
    "iteration": 0,
    "weights": [0.1 + 0.2, 1e-17],
    "reward": 1 / 3,
}


def test_records_come_back_exactly(tmp_path):
    ledger = Ledger(tmp_path / "deep" / "ledger.jsonl")
    ledger.append(ANSWERS)
    ledger.append(PROPOSAL)
    again = Ledger(ledger.path)
    assert again.answers["k1"]["correct"] == "01"
    assert again.proposals["s"][0]["weights"] == [0.1 + 0.2, 1e-17]
    assert again.proposals["s"][0]["reward"] == 1 / 3


@given(st.integers(1, 200))
def test_a_line_torn_anywhere_is_dropped_and_the_rest_kept(tmp_path_factory, n):
    path = tmp_path_factory.mktemp("l") / "ledger.jsonl"
    whole = json.dumps(ANSWERS) + "\n"
    torn = (json.dumps(PROPOSAL) + "\n")[:n].rstrip("\n")
    path.write_text(whole + torn)
    ledger = Ledger(path)
    assert list(ledger.answers) == ["k1"]
    assert path.read_text() == whole
    ledger.append(PROPOSAL)
    assert list(Ledger(path).proposals) == ["s"]


def test_a_broken_line_in_the_middle_is_an_error_with_its_number(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text(
        '{"type": "answers", "key": "a", "new_tokens": 1}\nnonsense\n{"type": "x"}\n'
    )
    with pytest.raises(TmapError, match="line 2 is not a ledger record"):
        Ledger(path)

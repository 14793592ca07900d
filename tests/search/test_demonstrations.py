"""Rows that the search may show as demonstrations, and how it ranks them."""

import numpy as np
import pandas as pd
import pytest

from tmap import engines
from tmap.cards.method import SearchSection
from tmap.cards.model import PromptSection
from tmap.errors import TmapError
from tmap.evaluation.marking import Marking
from tmap.prompts.renderer import Demo, Renderer
from tmap.search.demonstrations import Candidates, Texts, short_enough
from tmap.search.ledger import Ledger
from tmap.search.prepare import demonstrable
from tmap.search.reward import Reward
from tmap.selection.features import Features

SEARCH = SearchSection(n_groups=2, n_shots=2)


def texts(responses):
    """In two parts."""
    rows = pool(responses)
    return Texts([rows[:2], rows[2:]])


def pool(responses):
    n = len(responses)
    return pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(n)],
            "instruction": "Say it.",
            "input": "",
            "response": responses,
            "turns": None,
            "text_hash": [f"{i:016x}" for i in range(n)],
        }
    )


@pytest.fixture(scope="module")
def renderer(tiny_llama):
    tokenizer = engines.load_tokenizer(tiny_llama)
    return Renderer(tokenizer, PromptSection(template="plain"))


class Silent:
    """Never asked."""

    key, context = "silent", 120


@pytest.fixture
def reward(renderer, tmp_path):
    questions = pd.DataFrame(
        {"question_id": ["a", "b"], "question": ["Why?", "Why is it so?"]}
    )
    ledger = Ledger(tmp_path / "ledger.jsonl")
    marking = Marking("number", "flexible", 10)
    return Reward(Silent(), renderer, questions, marking, np.mean, 0.0, ledger)


def length(renderer, response):
    return len(renderer.render("", [Demo("Say it.", response)]).prefix)


def test_rows_are_short_enough_when_their_tokens_are(renderer):
    responses = ["one", "word " * 20, "word " * 21, "é" * 30, "word " * 200]
    room = length(renderer, responses[1])
    want = [length(renderer, text) <= room for text in responses]
    assert want[:3] == [True, True, False]
    assert short_enough(texts(responses), renderer, room).tolist() == want
    assert short_enough(texts(responses), renderer, None).all()


def test_room_is_what_the_longest_question_and_its_answer_leave(reward, renderer):
    asked = renderer.render("Why is it so?", [Demo("", "")])
    start = len(renderer.render("").prefix)
    assert reward.room(3) == (120 - start - len(asked.question) - 10) // 3
    reward.marking = Marking("number", "flexible", 512)
    assert reward.room(1) == 120 - start - len(asked.question) - 30
    reward.lm.context = None
    assert reward.room(3) is None


def test_the_search_passes_over_rows_that_are_not_shown():
    frame = pool(["text"] * 6)
    matrix = np.arange(6.0)[:, None] / 5
    columns = Features(["length"], matrix, [], {})
    shown = np.array([True, True, True, True, False, True])
    found = Candidates(frame, [], columns, SEARCH, 5, shown).groups(np.ones(1))
    assert found.tolist() == [[2, 5], [1, 3]]
    every = Candidates(frame, [], columns, SEARCH, 5, np.ones(6, bool))
    assert every.groups(np.ones(1)).tolist() == [[3, 5], [2, 4]]


def test_long_rows_are_counted_in_a_warning(reward):
    rows = texts(["one", "two", "three", "four", "word " * 90])
    shown, warnings = demonstrable(rows, SEARCH, reward, reward)
    assert shown.tolist() == [True] * 4 + [False]
    assert warnings[0].startswith("1 of 5 samples have more than ")


def test_too_few_short_rows_stop_with_what_to_do(reward):
    rows = texts(["one", "two", "three", "word " * 90])
    with pytest.raises(TmapError, match="4 shorter samples, and there are only 3"):
        demonstrable(rows, SEARCH, reward)


def test_demonstrations_are_the_texts_of_their_rows():
    rows = texts(["one", "two", "three", "four"])
    columns = Features(["length"], np.zeros((4, 1)), [], {})
    found = Candidates(pool(["x"] * 4), rows, columns, SEARCH, 4, np.ones(4, bool))
    shown = found.demos(np.array([[3, 0], [1, 2]]))
    answers = [[demo.answer for demo in group] for group in shown]
    assert answers == [["four", "one"], ["two", "three"]]
    assert shown[0][0] == Demo("Say it.", "four")

"""The reward against hand-worked means; nothing is asked twice."""

import numpy as np
import pandas as pd
import pytest

from tmap.cards.model import PromptSection
from tmap.examine import Marking
from tmap.ledger import Ledger
from tmap.prompts import Demo, Renderer
from tmap.reward import Reward

QUESTIONS = pd.DataFrame(
    {
        "question_id": ["q0", "q1", "q2", "q3"],
        "question": ["What is 1+0?", "What is 1+1?", "What is 1+2?", "What is 1+3?"],
        "choices": None,
        "permutation": None,
        "gold": ["1", "2", "3", "4"],
        "row": range(4),
    }
)


class Parrot:
    """Answers every question with the number in its last demonstration; counts asks."""

    key = "parrot"

    def __init__(self, tokenizer):
        self.tokenizer, self.asked = tokenizer, 0

    def generate(self, prefixes, questions, *, max_new_tokens, stop=()):
        self.asked += len(prefixes) * len(questions)
        return [[self.answer(prefix) for _ in questions] for prefix in prefixes]

    def answer(self, prefix):
        said = self.tokenizer.decode(prefix).rsplit("####", 1)[-1].split()[0]
        return self.tokenizer.encode(f" #### {said}", add_special_tokens=False)


@pytest.fixture
def reward(tiny_llama, tmp_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_llama["path"])
    return Reward(
        lm=Parrot(tokenizer),
        renderer=Renderer(tokenizer, PromptSection(template="plain")),
        questions=QUESTIONS,
        marking=Marking("number", "flexible", 16),
        estimate=lambda marks: marks @ np.array([0.4, 0.3, 0.2, 0.1]),
        se_items=0.05,
        ledger=Ledger(tmp_path / "ledger.jsonl"),
    )


def demos(number: int) -> list[Demo]:
    return [Demo("What is 0+0?", "#### 0"), Demo("And this?", f"#### {number}")]


def test_reward_is_the_mean_over_groups_of_the_weighted_accuracy(reward):
    # Group one answers 1, right on q0 (weight .4); group two answers 3, right on q2 (.2).
    outcome = reward([demos(1), demos(3)])
    assert outcome.group_accuracy == pytest.approx([0.4, 0.2])
    assert outcome.reward == pytest.approx(0.3)
    assert outcome.se_groups == pytest.approx(np.std([0.4, 0.2], ddof=1) / np.sqrt(2))
    assert outcome.se_items == 0.05


def test_one_group_has_no_spread_over_groups(reward):
    assert np.isnan(reward([demos(1)]).se_groups)


def test_what_the_ledger_knows_is_not_asked_again(reward):
    first = reward([demos(1), demos(3)])
    again = reward([demos(3), demos(1), demos(2)])
    assert reward.lm.asked == 12
    assert (first.ledger_hits, again.ledger_hits) == (0, 2)
    assert again.group_accuracy == pytest.approx([0.2, 0.4, 0.3])


def test_a_group_that_stands_twice_is_asked_once(reward):
    outcome = reward([demos(1), demos(1)])
    assert reward.lm.asked == 4
    assert outcome.group_accuracy == pytest.approx([0.4, 0.4])


def test_tokens_are_counted_alike_in_a_run_and_in_its_resumption(reward, tmp_path):
    reward([demos(1), demos(3)])
    spent = reward.n_tokens
    resumed = Reward(**{**vars(reward), "ledger": Ledger(reward.ledger.path)})
    resumed.used = set()
    resumed([demos(1), demos(3)])
    assert resumed.n_tokens == spent > 0


@pytest.mark.parametrize("what", ["order", "demos", "engine", "marking", "gold"])
def test_another_request_has_another_key(reward, what):
    before = reward.key(demos(1))
    given = demos(1)
    if what == "order":
        reward.questions = QUESTIONS.iloc[::-1]
    elif what == "demos":
        given = given[::-1]
    elif what == "engine":
        reward.lm.key = "other"
    elif what == "marking":
        reward.marking = Marking("number", "strict", 16)
    else:
        reward.questions = QUESTIONS.assign(gold="7")
    assert reward.key(given) != before

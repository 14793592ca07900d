"""The reward against hand-worked means; nothing is asked twice."""

import json
import time

import numpy as np
import pandas as pd
import pytest

from scripted import Scripted
from tmap.cards.model import PromptSection
from tmap.engines.base import Spent
from tmap.evaluation.marking import Marking
from tmap.prompts.renderer import Demo, Renderer
from tmap.search.ledger import Ledger
from tmap.search.reward import Reward, hopeless

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

    key, batch_size, spent = "parrot", 1, Spent()

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


def asked(reward, texts, n_options=None):
    """The reward after twenty questions, 1+0 to 1+19, were answered with `texts`."""
    frame = pd.concat([QUESTIONS.head(1)] * 20, ignore_index=True)
    frame["question_id"] = [f"q{i:02}" for i in range(20)]
    frame["gold"] = [str(i + 1) for i in range(20)]
    reward.estimate = lambda marks: marks.mean(axis=-1)
    tokenizer = reward.renderer.tokenizer
    if n_options is None:
        reward.questions, reward.lm = frame, Scripted(tokenizer, [texts])
    else:
        options = [str(i) for i in range(n_options)]
        reward.questions = frame.assign(gold="0", choices=[options] * 20)
        reward.marking = Marking("option", "acc", 1)
        nll = [[float(said != o) for o in options] for said in texts]
        reward.lm = Scripted(tokenizer, nll=[nll])
    reward([[]])
    return reward


def answers(n_right, n_unread=0):
    said = [str(i + 1) for i in range(n_right)] + ["none"] * n_unread
    return said + ["99"] * (20 - len(said))


def test_over_one_unreadable_answer_in_twenty_is_named_and_one_is_not(reward):
    assert asked(reward, answers(10, n_unread=1)).warnings() == []

    reward.ledger.answers.clear()
    reward.used.clear()
    (told,) = asked(reward, answers(10, n_unread=2)).warnings()

    assert told.startswith(
        "10.0% of 20 answers contain nothing that the reader (flexible)"
    )


@pytest.mark.parametrize(
    ("n_right", "named"),
    [(0, "at the floor: 0.0%"), (1, "at the floor: 5.0%"), (2, None), (18, None),
     (19, "at the ceiling: 95.0%"), (20, "at the ceiling: 100.0%")],
)  # fmt: skip
def test_a_model_within_5_points_of_none_or_all_is_named(reward, n_right, named):
    told = asked(reward, answers(n_right)).warnings()

    assert [named in text for text in told] == ([True] if named else [])


@pytest.mark.parametrize(("n_right", "floor"), [(6, True), (7, False)])
def test_the_floor_of_a_choice_is_what_guessing_gives(reward, n_right, floor):
    # Four options: guessing is right in 5 of 20; up to 6 is within 5 points.
    said = ["0"] * n_right + ["1"] * (20 - n_right)

    told = asked(reward, said, n_options=4).warnings()

    assert bool(told) == floor
    assert all("guessing gives 25.0%" in text for text in told)


def test_a_resumed_run_and_an_older_ledger_are_warned_of_what_they_hold(reward):
    told = asked(reward, answers(10, n_unread=2)).warnings()

    resumed = Reward(**{**vars(reward), "ledger": Ledger(reward.ledger.path)})
    assert resumed.warnings() == told
    for answer in resumed.ledger.answers.values():
        del answer["unread"]
    assert resumed.warnings() == []


def test_half_of_the_groups_are_enough_to_see_that_there_is_no_hope(reward):
    # Weights .4 .3 .2 .1: groups that answer 1, 2, 3, 4 are worth as much.
    groups = [demos(n) for n in (1, 1, 1, 3, 4)]
    raced = reward(groups, beat=1.02)  # see the limit worked out below
    assert raced.raced and len(raced.group_accuracy) == 3
    assert raced.reward == pytest.approx(0.4)
    assert reward.lm.asked == 4  # one distinct group
    whole = reward(groups, beat=1.01)
    assert not whole.raced
    assert whole.reward == pytest.approx((0.4 * 3 + 0.2 + 0.1) / 5)


@pytest.mark.parametrize(
    ("seen", "limit"),
    [
        # Mean .5, sd .1, t(.975, 2) = 4.302653: .5 + 4.302653 x .1 / sqrt(3).
        ([0.4, 0.5, 0.6], 0.748414),
        # Equal groups: (.4 x 300 + 1) / 302 = .400662; sqrt(.240132 / 300) = .028292
        ([0.4, 0.4, 0.4], 0.521732),
        # None right: (0 + 1) / 202; sqrt(.004926 / 200) = .004963; t(.975, 1) = 12.7062
        ([0.0, 0.0], 0.063060),
    ],
)
def test_hope_is_as_wide_as_groups_and_questions_are_few(seen, limit):
    assert not hopeless(np.array(seen), limit - 1e-5, 100)
    assert hopeless(np.array(seen), limit + 1e-5, 100)


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("spread", [0.0, 0.08])
def test_a_race_loses_one_good_candidate_in_forty_at_most(n, spread):
    rng = np.random.default_rng(n)
    chances = np.clip(rng.normal(0.6, spread, (4000, n)), 0, 1)
    seen = rng.binomial(100, chances) / 100
    lost = np.mean([hopeless(groups, 0.6, 100) for groups in seen])
    assert lost <= 0.025 + 3 * (0.025 * 0.975 / 4000) ** 0.5


class Slow(Parrot):
    """Takes 20 ms, and reports 15 of them as reading and writing."""

    def __init__(self, tokenizer):
        super().__init__(tokenizer)
        self.spent = Spent()

    def generate(self, prefixes, questions, **how):
        time.sleep(0.02)
        found = super().generate(prefixes, questions, **how)
        n = sum(len(ids) for group in found for ids in group)
        self.spent += Spent(0.005, 0.01, 101, n, 0.001)
        return found


def test_what_was_asked_ahead_is_booked_where_it_is_used_and_once(reward):
    reward.lm = Slow(reward.lm.tokenizer)
    reward.lm.batch_size = 8  # two groups of four questions
    first, second = [demos(1), demos(2)], [demos(2), demos(3)]
    reward.ask(first + second)
    found = [reward(first), reward(second), reward(first)]
    assert [outcome.ledger_hits for outcome in found] == [0, 1, 2]
    total = reward.lm.spent
    for name in ("prefill_seconds", "decode_seconds", "prompt_tokens", "new_tokens"):
        booked = [getattr(outcome.spent, name) for outcome in found]
        assert sum(booked) == pytest.approx(getattr(total, name)) and booked[2] == 0
    assert [outcome.new_tokens for outcome in found] == [
        outcome.spent.new_tokens for outcome in found
    ]
    assert found[0].seconds >= 0.02 and found[1].seconds >= 0.02
    assert found[2].seconds == 0.0


def test_ranking_belongs_to_the_time_of_a_reward(reward):
    outcome = reward([demos(1)], since=time.monotonic() - 5.0)
    assert 5.0 <= outcome.seconds < 10.0
    assert reward([demos(1)], since=time.monotonic() - 5.0).seconds == 0.0


def test_groups_go_to_the_engine_as_many_as_its_batch_holds(reward):
    sizes = []
    generate = reward.lm.generate

    def spy(prefixes, questions, **how):
        sizes.append(len(prefixes))
        return generate(prefixes, questions, **how)

    reward.lm.generate, reward.lm.batch_size = spy, 9  # of four questions each
    reward([demos(n) for n in range(1, 6)])
    assert sizes == [2, 2, 1]


def test_a_resumed_search_asks_as_many_groups_at_once_as_it_began_with(reward):
    sizes = []
    generate = reward.lm.generate

    def spy(prefixes, questions, **how):
        sizes.append(len(prefixes))
        return generate(prefixes, questions, **how)

    reward.lm.generate, reward.lm.batch_size = spy, 8
    reward([demos(1)])
    reward.lm.batch_size = 40  # later, more memory is free
    reward([demos(n) for n in range(2, 6)])
    assert sizes == [1, 2, 2]


def test_the_batch_is_kept_in_the_ledger_and_a_smaller_one_too(reward):
    reward.lm.batch_size = 8
    reward([demos(1)])
    reward.lm.batch_size = 40  # later, more memory is free
    reward([demos(2)])
    assert reward.lm.batch_size == 8
    reward.lm.batch_size = 4  # memory ran out
    reward([demos(3)])
    assert Ledger(reward.ledger.path).batches == {"parrot": 4}
    answers = Ledger(reward.ledger.path).answers.values()
    assert [answer["rows"] for answer in answers] == [8, 8, 4]


def test_a_resumed_search_with_less_memory_says_so(reward, caplog):
    reward.lm.batch_size = 8
    reward([demos(1)])
    assert not caplog.text
    resumed = Reward(**{**vars(reward), "ledger": Ledger(reward.ledger.path)})
    resumed.lm.batch_size = 4
    resumed([demos(1), demos(2)])
    assert "computed 8 rows at a time, from here on 4" in caplog.text


def test_answers_of_a_ledger_without_their_rows_are_read(reward):
    reward([demos(1)])
    lines = [json.loads(x) for x in reward.ledger.path.read_text().splitlines()]
    for line in lines:
        line.pop("rows", None) if line["type"] == "answers" else None
    reward.ledger.path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    resumed = Reward(**{**vars(reward), "ledger": Ledger(reward.ledger.path)})
    assert resumed([demos(1)]).ledger_hits == 1

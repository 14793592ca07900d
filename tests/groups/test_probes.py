"""Probes of groups: what they measure, which planted faults they see, which is chosen."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from transformers import AutoTokenizer

import toy_probes
from tmap.cards.method import MethodCard
from tmap.evaluation.marking import Marking
from tmap.groups import fidelity, group_model, value_model
from tmap.groups.budget import FAULTS
from tmap.groups.likelihood import GoldLikelihood, gold_share
from tmap.groups.prepare import Room
from tmap.groups.probe import Group


@pytest.fixture(scope="module")
def tokenizer(tiny_llama):
    return AutoTokenizer.from_pretrained(tiny_llama["path"])


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(value_model, "N_TREES", 40)
    monkeypatch.setattr(group_model, "N_PERMUTATIONS", 199)


def test_the_gold_option_s_share_is_that_of_the_likelihoods():
    row = {"choices": ["ab", "abcd"], "gold": "0"}
    nll = [-math.log(0.2), -math.log(0.6)]
    acc = Marking("option", "acc", 8)
    assert gold_share(nll, row, acc) == pytest.approx(math.log(0.2 / 0.8))
    per_character = [math.log(0.2) / 2, math.log(0.6) / 4]
    theirs = per_character[0] - math.log(sum(map(math.exp, per_character)))
    norm = Marking("option", "acc_norm", 8)
    assert gold_share(nll, row, norm) == pytest.approx(theirs)


def test_a_likelihood_is_the_gain_over_the_same_question_without_rows(
    tokenizer, tmp_path
):
    world = toy_probes.World(tokenizer, tmp_path)
    probe = GoldLikelihood(world.exam(), world.texts, world.worked)
    groups = [Group((3, 7, 1), (0,)), Group((2, 4, 8), (5,))]
    found = probe.ask(groups)

    expected = [[toy_probes.GAIN * world.quality[list(g.rows)].mean()] for g in groups]
    assert found == pytest.approx(np.array(expected))
    assert world.lm.n_scored == 4  # two answers, and the same questions without rows
    assert probe.ask(groups) == pytest.approx(found) and probe.hits == 2
    assert world.lm.n_scored == 4


def test_a_written_answer_without_its_worked_one_is_named(tokenizer, tmp_path):
    world = toy_probes.World(tokenizer, tmp_path)
    del world.worked["q03"]
    probe = GoldLikelihood(world.exam(), world.texts, world.worked)
    with pytest.raises(Exception, match=r"Question 'q03' has no worked answer"):
        probe.ask([Group((1,), (3,))])


def test_a_short_training_is_measured_once_and_kept(tokenizer, tmp_path):
    world = toy_probes.World(tokenizer, tmp_path)
    probe = world.trained()
    every = tuple(range(len(world.questions)))
    groups = [Group((1, 2, 3, 4), every), Group((5, 6, 7, 8), every)]
    found = probe.ask(groups)

    worth = [toy_probes.GAIN * world.quality[list(g.rows)].mean() for g in groups]
    assert found.mean(axis=1) == pytest.approx(worth)
    assert world.learner.n_trained == 2
    again = toy_probes.World(tokenizer, tmp_path)
    assert again.trained().ask(groups) == pytest.approx(found)
    assert again.learner.n_trained == 0


def test_a_calibration_takes_the_rate_that_helps_most(tokenizer, tmp_path):
    world = toy_probes.World(tokenizer, tmp_path)
    probe = world.trained(learning_rate=None)
    rest = [{"question_id": f"r{i}", "question": f"Say {i}."} for i in range(40)]
    world.worked |= {row["question_id"]: " right" for row in rest}
    # The toy's gain is largest at ten times the card's rate.
    assert probe.calibrate(rest, seed=0) == pytest.approx(10 * world.learner.card_rate)
    trained = world.learner.n_trained
    assert trained == 12
    other = world.trained(learning_rate=None)
    assert other.calibrate(rest, seed=0) == probe.rate  # from the ledger
    assert world.learner.n_trained == trained


@pytest.mark.parametrize(
    ("answer", "fault", "said"),
    [
        ("one two three four five six", "truncated", "one two"),
        ("18", "truncated", "1"),
        ("7", "truncated", "7"),
        ("氷が解ける", "truncated", "氷"),
        ("", "truncated", ""),
        ("", "shuffled", ""),
    ],
)
def test_answers_are_cut_by_words_or_by_characters(answer, fault, said):
    assert fidelity.damaged(answer, fault, np.random.default_rng(0)) == said


def test_shuffled_words_are_the_same_words():
    answer = "First add 3 and 4 then halve it"
    found = fidelity.damaged(answer, "shuffled", np.random.default_rng(1))
    assert sorted(found.split()) == sorted(answer.split()) and found != answer


def test_swapped_answers_are_other_rows_own(tokenizer, tmp_path):
    texts = toy_probes.World(tokenizer, tmp_path).texts
    planted = fidelity.Planted(texts, seed=2)
    n = len(texts)
    assert [planted[i] for i in range(n)] == [texts[i] for i in range(n)]
    swapped = [planted[n + i] for i in range(n)]
    assert [demo.question for demo in swapped] == [demo.question for demo in texts]
    assert sorted(d.answer for d in swapped) == sorted(d.answer for d in texts)
    assert all(a.answer != b.answer for a, b in zip(swapped, texts, strict=True))
    assert planted.chat(n + 3)[-1][:2] == ("assistant", swapped[3].answer)


def test_a_trained_token_counts_three_times_and_every_epoch(tokenizer, tmp_path):
    world = toy_probes.World(tokenizer, tmp_path)
    probe = world.trained()
    every = tuple(range(len(world.questions)))
    asked = [world.exam().renderer.render(q) for q in world.questions["question"]]
    read = sum(len(prompt.prefix) + len(prompt.question) for prompt in asked)
    trained = len(world.exam().renderer.training(world.texts.chat(5)).ids)
    assert probe.tokens([Group((5,), every)]) == read + 3 * 2 * trained
    assert probe.tokens([Group((), every)]) == read


def test_a_reaction_is_a_one_sided_t_test():
    rng = np.random.default_rng(0)
    values = rng.normal(0.3, 1.0, 24)
    found = fidelity.reaction(values)
    theirs = stats.ttest_1samp(values, 0.0, alternative="greater")
    assert (found["t"], found["p"]) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert fidelity.reaction(np.zeros(9))["sees"] is False


def test_a_fault_that_makes_no_difference_is_seen_by_chance_only():
    rng = np.random.default_rng(1)
    seen = [fidelity.reaction(rng.normal(0, 1, 12))["sees"] for _ in range(2000)]
    assert 5 <= sum(seen) <= 40  # 1 % of 2,000 is 20


def about(tokens, **ts):
    faults = {
        fault: {"t": ts.get(fault, 0.0), "sees": ts.get(fault, 0.0) > 3}
        for fault in FAULTS
    }
    return {"tokens": tokens, "faults": faults}


@pytest.mark.parametrize(
    ("icl", "logprob", "sft", "chosen"),
    [
        # All see what training sees: the cheapest for equal certainty.
        (
            about(10, swapped=4),
            about(10, swapped=8),
            about(90, swapped=9),
            "icl_logprob",
        ),
        # Demonstrations are blind to swapped answers.
        (about(10, truncated=6), about(9), about(90, swapped=5), "sft"),
        # They see more than training does: no reason against them.
        (about(1, swapped=4, shuffled=5), about(9), about(90, swapped=5), "icl"),
        # Seen by one of them, but only in part.
        (
            about(1, swapped=4),
            about(9, swapped=4, truncated=4),
            about(90, swapped=5, truncated=6),
            "icl_logprob",
        ),
        # Training sees nothing.
        (about(1), about(9), about(90), "icl"),
    ],
)
def test_the_cheapest_probe_that_sees_what_training_sees_is_chosen(
    icl, logprob, sft, chosen
):
    name, reason = fidelity.choose({"icl": icl, "icl_logprob": logprob, "sft": sft})
    assert name == chosen
    assert reason


@pytest.mark.parametrize("demonstrations_see", [True, False])
@pytest.mark.parametrize("columns_know", [True, False])
def test_auto_decides_rightly_where_the_truth_is_known(
    tokenizer, tmp_path, demonstrations_see, columns_know
):
    """Right rows help training always, and demonstrations only in half of the worlds."""
    world = toy_probes.World(
        tokenizer,
        tmp_path,
        demonstrations_see=demonstrations_see,
        columns_know=columns_know,
    )
    compared = world.compare()
    found = world.search(compared)

    if demonstrations_see:
        assert compared["chosen"] in ("icl", "icl_logprob")
    else:
        assert compared["chosen"] == "sft"
        assert not compared["probes"]["icl"]["faults"]["swapped"]["sees"]
    assert found.summary["abstains"] is not columns_know
    if columns_know:
        assert found.summary["weights"][0] == 1.0
    else:
        assert "it is the columns that do not know" in found.summary["warnings"][0]


def test_the_blind_probe_abstains_where_demonstrations_see_nothing(tokenizer, tmp_path):
    world = toy_probes.World(tokenizer, tmp_path, demonstrations_see=False)
    assert world.search({"chosen": "icl"}, compared=False).summary["abstains"]


def test_a_probe_goes_with_groups():
    with pytest.raises(ValueError, match="goes with a search that asks groups"):
        MethodCard(weights="learned", indicators=["ifd"], search={"probe": "sft"})


def test_every_question_has_its_own_baseline(tokenizer, tmp_path):
    """An easy question after good rows does not count for more than a hard one."""
    world = toy_probes.World(tokenizer, tmp_path)
    probe = GoldLikelihood(world.exam(), world.texts, world.worked)
    rows = (1, 2, 3)
    found = probe.ask([Group(rows, (q,)) for q in range(len(world.questions))])
    assert np.ptp(found) < 1e-9
    raw = [world.lm.base(q) for q in range(len(world.questions))]
    assert np.ptp(raw) > 0.5
    assert isinstance(world.questions, pd.DataFrame)


def test_groups_of_a_comparison_differ_where_right_rows_are_few(tokenizer, tmp_path):
    """20 rows and groups of 16: groups of 10, and none has a row twice."""
    world = toy_probes.World(tokenizer, tmp_path)
    rows = fidelity.Worked([world.texts[i] for i in range(20)])
    probe, shown = world.probes(fidelity.Planted(rows, 0))["sft"], []
    ask = probe.ask
    probe.ask = lambda groups: shown.append(groups) or ask(groups)

    found = fidelity.compare([probe], {"sft": 16}, 20, seed=0)

    assert found["probes"]["sft"]["rows"] == 10
    assert all(len(set(group.rows)) == 10 for groups in shown for group in groups)
    assert len({frozenset(group.rows) for group in shown[0]}) == 12


def test_a_search_by_short_trainings_is_named_by_how_it_trains(tokenizer, tmp_path):
    world = toy_probes.World(tokenizer, tmp_path)
    names = {world.trained(learning_rate=rate).identity() for rate in (1e-2, 1e-3)}
    assert len(names) == 2
    assert world.trained().identity() in names


def test_a_long_answer_is_cut_alike_with_and_without_rows(tokenizer, tmp_path):
    """A context of 40 tokens keeps 8, which the marking allows, or a quarter."""
    world = toy_probes.World(tokenizer, tmp_path)
    probe = GoldLikelihood(world.exam(), world.texts, world.worked)
    world.worked["q01"] = "one two three four five six seven eight nine ten"
    row = {"question_id": "q01"}
    whole = probe.score.answer(row)
    assert len(whole) > 8
    world.lm.context = 40
    assert probe.score.answer(row) == whole[:8]
    world.lm.context = 20
    assert probe.score.answer(row) == whole[:5]


@pytest.mark.parametrize(
    ("probe", "is_choice", "n_unused", "n_confirm", "doubts"),
    [
        ("sft", False, 0, 3, 1),  # no worked answers but those of the tiny set
        ("sft", False, 2, 3, 0),
        ("sft", True, 0, 3, 0),  # options need no worked answers
        ("sft", False, 0, 0, 0),  # said of every search without a confirm set
        ("icl", False, 0, 3, 0),
    ],
)
def test_a_confirmation_on_questions_of_the_search_is_said(
    probe, is_choice, n_unused, n_confirm, doubts
):
    ids = pd.DataFrame({"question_id": [f"q{i}" for i in range(9)]})
    marking = SimpleNamespace(is_choice=is_choice)
    room = Room(
        ready=SimpleNamespace(main=SimpleNamespace(marking=marking)),
        card={},
        asked=ids[: 4 + n_unused],
        tiny=ids[:4],
        confirm=ids[9 - n_confirm :],
        worked={},
        learner=None,
        seed=0,
    )
    assert len(room.doubts(probe)) == doubts

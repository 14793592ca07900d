"""Problems of the embedded world against an independent reader of their text."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmap.worlds.arith import problems
from tmap.worlds.arith.styles import OPPOSITE, STYLES, respond, respond_lines

seeds = st.integers(0, 2**32)
sizes = st.integers(1, problems.MAX_STEPS)
EQUATION = re.compile(r"(\d+)([-+*/])(\d+)=(\d+)")
#: No deadline, because a busy machine does not make an example wrong.
unhurried = settings(max_examples=60, deadline=None)
FINAL = re.compile(r"#### (\d+)")


def read(question):
    """The answer, from the words alone."""
    first, *story = re.findall(r"[^.?]+[.?]", question)
    name, total = re.match(r"(\w+) has (\d+) ", first).groups()
    total = int(total)
    for sentence in story:
        numbers = [int(n) for n in re.findall(r"\d+", sentence)]
        if " half " in sentence or sentence.strip().startswith("Half"):
            assert total % 2 == 0
            total //= 2
        elif "doubles" in sentence or "triples" in sentence:
            total *= 2 if "doubles" in sentence else 3
        elif "dollars" in sentence and numbers:
            total *= numbers[0]
        elif len(numbers) == 2:
            total += numbers[0] * numbers[1]
        elif f"gives {name}" in sentence or " more" in sentence:
            total += numbers[0]
        elif re.search(rf"{name} (loses|gives|sells)", sentence):
            total -= numbers[0]
        else:
            assert sentence.strip().startswith(("A ", "How many")), sentence
    return total


def draw(seed, n_steps):
    rng = np.random.default_rng(seed)
    return problems.make(rng, n_steps), rng


def written(text):
    """(left, operator, right, result) of every line, and the number behind ####."""
    rows = [(int(a), op, int(b), int(r)) for a, op, b, r in EQUATION.findall(text)]
    return rows, int(FINAL.search(text)[1])


def is_true(row):
    left, operator, right, result = row
    exact = {"+": left + right, "-": left - right, "*": left * right}
    return result == exact[operator] if operator in exact else result * right == left


@unhurried
@given(seeds, sizes)
def test_the_words_of_a_problem_lead_to_its_answer(seed, n_steps):
    problem, _ = draw(seed, n_steps)

    assert read(problem.question) == problem.answer
    assert problem.n_steps == n_steps
    assert all(1 <= step.result <= problems.LARGEST for step in problem.steps)


def test_a_problem_has_between_one_and_five_steps():
    for n_steps in (0, 6):
        with pytest.raises(ValueError, match=r"1\.\.5"):
            problems.make(np.random.default_rng(0), n_steps)


@unhurried
@given(seeds, sizes)
def test_clean_lines_are_true_and_each_takes_up_an_earlier_result(seed, n_steps):
    problem, rng = draw(seed, n_steps)
    rows, final = written(respond(problem, "clean", rng)[1])

    assert len(rows) == n_steps
    assert all(map(is_true, rows))
    assert final == rows[-1][-1] == read(problem.question)
    known = {int(n) for n in re.findall(r"\d+", problem.question)} | {2, 3}
    for left, _, right, result in rows:
        assert {left, right} <= known
        known.add(result)


@unhurried
@given(seeds, sizes)
def test_wrong_operations_are_the_opposite_ones_without_a_slip(seed, n_steps):
    problem, rng = draw(seed, n_steps)
    rows, final = written(respond(problem, "wrong_op", rng)[1])

    assert [row[1] for row in rows] == [OPPOSITE[s.operator] for s in problem.steps]
    assert all(map(is_true, rows))
    assert final == rows[-1][-1]


@unhurried
@given(seeds, sizes)
def test_a_skipped_step_is_the_last_one(seed, n_steps):
    problem, rng = draw(seed, n_steps)
    whole = respond(problem, "clean", rng)[1].splitlines()
    text = respond(problem, "skip", rng)[1]
    rows, final = written(text)

    assert len(rows) == n_steps - 1
    assert text.splitlines()[:-1] == whole[:-2] or n_steps == 1
    assert final == (rows[-1][-1] if rows else problem.start) != problem.answer


@unhurried
@given(seeds, sizes)
def test_noisy_lines_have_the_right_operations_and_wrong_results(seed, n_steps):
    problem, rng = draw(seed, n_steps)
    rows, final = written(respond(problem, "noisy_arith", rng)[1])

    assert [row[1] for row in rows] == [step.operator for step in problem.steps]
    for left, operator, right, result in rows:
        assert result != problems.OPERATE[operator](left, right)
    assert final == rows[-1][-1]


@unhurried
@given(seeds, sizes)
def test_other_faults_are_what_they_are_called(seed, n_steps):
    problem, rng = draw(seed, n_steps)
    answers = {style: respond(problem, style, rng) for style in STYLES}
    clean = answers["clean"][1].splitlines()

    assert answers["terse"][1] == clean[-1] == f"#### {problem.answer}"
    *steps, final = answers["wrong_final"][1].splitlines()
    assert (steps, final != clean[-1]) == (clean[:-1], True)
    assert "=" not in answers["ramble"][1]
    assert answers["ramble"][1].endswith(f"#### {problem.start}")
    assert "####" not in answers["offtask"][1]
    asked = {style: question for style, (question, _) in answers.items()}
    assert asked.pop("offtask") != problem.question
    assert set(asked.values()) == {problem.question}


@unhurried
@given(seeds, sizes, st.sampled_from(STYLES))
def test_a_line_is_right_where_its_text_is(seed, n_steps, style):
    problem, rng = draw(seed, n_steps)
    lines = respond_lines(problem, style, rng)[1]
    right = {line.text for line in respond_lines(problem, "clean", rng)[1]}

    for line in lines:
        if line.is_right is None:
            assert style in ("ramble", "offtask")
        elif EQUATION.search(line.text) or "####" in line.text:
            assert line.is_right == (line.text in right)


def test_a_worked_example_in_every_style():
    problem = problems.Problem(
        question="Ada has 6 coins. A friend gives Ada 34 coins. Ada buys 2 boxes with 5 "
        "coins each. How many coins does Ada have now?",
        start=6,
        steps=(
            problems.Step("has", 6, "+", 34, 40, "coins", "total"),
            problems.Step("gets", 2, "*", 5, 10, "coins", "stated"),
            problems.Step("has", 40, "+", 10, 50, "coins", "product"),
        ),
        answer=50,
        name="Ada",
        item="coins",
    )
    rng = np.random.default_rng(0)

    assert respond(problem, "clean", rng)[1] == (
        "Ada has 6+34=40 coins.\nAda gets 2*5=10 coins.\nAda has 40+10=50 coins.\n#### 50"
    )
    assert respond(problem, "wrong_op", rng)[1] == (
        "Ada has 34-6=28 coins.\nAda gets 2+5=7 coins.\nAda has 28-7=21 coins.\n#### 21"
    )
    assert respond(problem, "skip", rng)[1] == (
        "Ada has 6+34=40 coins.\nAda gets 2*5=10 coins.\n#### 10"
    )


@unhurried
@given(seeds, sizes, st.sampled_from(STYLES))
def test_the_same_seed_gives_the_same_text(seed, n_steps, style):
    first, again = (draw(seed, n_steps) for _ in range(2))

    assert respond(first[0], style, first[1]) == respond(again[0], style, again[1])

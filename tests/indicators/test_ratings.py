"""From raw replies to numbers: expectation, bounds, product, and the reader of ratings."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from judging import row, saying
from tmap import indicators
from tmap.errors import TmapError
from tmap.indicators.alpagasus import parse
from tmap.indicators.scoring.ratings import digits_of, expectation, largest_error


def a_pool(n=1):
    return pd.DataFrame([{"sample_id": f"s{i}", **row()} for i in range(n)])


def log(*p):
    with np.errstate(divide="ignore"):
        return np.log(p)


def tokens(**listed):
    return {"tokens": [[name.strip("_"), math.log(p)] for name, p in listed.items()]}


def quality(*raw):
    return indicators.get("deita_quality")(a_pool(len(raw)), saying(*raw))


# --- digits


def test_the_expectation_is_the_mean_digit_of_the_softmax_over_six():
    # (4 x 0.1 + 5 x 0.6 + 6 x 0.2) / 0.9
    assert_allclose(expectation(log(0, 0, 0, 0.1, 0.6, 0.2)), 5.1111111111)


def test_adding_to_all_logits_changes_nothing():
    log_p = log(0.1, 0.2, 0.3, 0.1, 0.1, 0.05)

    assert_allclose(expectation(log_p - 700), expectation(log_p))


@given(st.lists(st.floats(-800, 0), min_size=6, max_size=6))
def test_every_expectation_lies_between_one_and_six(log_p):
    assert 1 <= expectation(np.array(log_p)) <= 6


def test_a_local_model_is_scored_whatever_the_mass_of_its_digits():
    found = quality({"digits": log(0.01, 0.01, 0.01, 0.01, 0.01, 0.05).tolist()})

    assert_allclose(found.score, [(1 + 2 + 3 + 4 + 5 + 6 * 5) / 10])
    assert_allclose(found.notes["digit_mass_min"], 0.10)
    assert found.notes["largest_error"] == 0


def test_digits_that_differ_in_white_space_are_one_digit():
    log_p, is_whole = digits_of(tokens(_4=0.5, **{" 4": 0.3, "5": 0.15, "7": 0.05}))

    assert not is_whole
    assert_allclose(np.exp(log_p), [0, 0, 0, 0.8, 0.15, 0])


def test_a_server_is_believed_from_99_percent_on():
    enough = tokens(**{"5": 0.60, "4": 0.391})
    too_little = tokens(**{"5": 0.60, "4": 0.38, "the": 0.02})

    found = quality(enough, too_little)

    assert found.status.tolist() == ["ok", "unparsable"]
    assert_allclose(found.score, [(5 * 0.6 + 4 * 0.391) / 0.991, np.nan])


def test_a_server_that_lists_all_six_digits_says_as_much_as_a_local_model():
    p = [0.01, 0.01, 0.01, 0.01, 0.01, 0.05]
    listed = dict(zip("123456", p, strict=True)) | {"the": 0.9}

    served, local = quality(tokens(**listed)), quality({"digits": log(*p).tolist()})

    assert served.status.tolist() == ["ok"]
    assert_allclose(served.score, local.score)
    assert_allclose(served.notes["digit_mass_min"], 0.1)
    assert served.notes["largest_error"] == 0


def test_the_bound_covers_the_worst_that_hidden_digits_could_do():
    # listed: 5 (0.6) and 4 (0.391), expectation 4.6054; 0.009 may all be on digit 1
    log_p = log(0, 0, 0, 0.391, 0.6, 0)
    worst = 5 * 0.6 + 4 * 0.391 + 1 * 0.009

    bound = largest_error(log_p)

    assert_allclose(bound, 0.009 * (expectation(log_p) - 1))
    assert_allclose(expectation(log_p) - worst, bound)
    assert quality(tokens(**{"5": 0.6, "4": 0.391})).notes["largest_error"] == bound


def test_six_listed_digits_leave_no_error():
    assert largest_error(log(0.9, 0.02, 0.02, 0.02, 0.02, 0.01)) == 0


def test_digits_with_little_probability_are_a_warning(caplog):
    quality({"digits": log(*[0.01] * 6).tolist()})

    assert "should end where a digit is the next token" in caplog.text


# --- product


def column(name, scores, statuses):
    ids = [f"s{i}" for i in range(len(scores))]
    return pd.DataFrame({"sample_id": ids, "score": scores, "status": statuses})


def test_the_joint_score_is_the_product_of_both_columns_by_id():
    two = {
        "deita_quality": column("q", [5.0, np.nan, 2.0], ["ok", "unparsable", "ok"]),
        "deita_complexity": column("c", [3.0, 1.0, np.nan], ["ok", "ok", "truncated"]),
    }
    two["deita_complexity"] = two["deita_complexity"].iloc[::-1]

    found = indicators.get("deita_score")(a_pool(3), two)

    assert_allclose(found.score, [15.0, np.nan, np.nan])
    assert found.status.tolist() == ["ok", "unparsable", "truncated"]


# --- the reader of written ratings

RULES = [
    ("4.5\nBoth steps are right.", 4.5),
    ("Score: 4/5", 4),
    ("**4** out of 5", 4),
    ("4 of the 6 steps are right", 4),
    ("3/10", None),
    ("80%", None),
    ("4,5", None),
    ("4-5", None),
    ("Steps 1 and 2 fail: 2", None),
    ("6", None),
    ("-1", None),
    ("five", None),
    ("", None),
    ("<think>2 of 3.</think>\n5", 5),
    ("1. Right.\n\nScore: 4", 4),
    ('{"score": 4}', 4),
    ("1. Right.\n2. Clear.", None),
    ("It has 2 errors.\nScore: 3", 3),
    ("Step 1: right", None),
]
MORE = [
    ("\n\n 3\nno 5", 3),
    ("4.", 4),
    ("4 - good", 4),
    ("Score: 4 (out of 5)", 4),
    ("Rating: 4.5/5.0", 4.5),
    ("[[4]]", 4),
    ("0", 0),
    ("-0", 0),
    ("4 to 5", None),
    ("4\u20135", None),
    ("4 out of 10", None),
    ("4/5/6", None),
    ("4/50", None),
    ("4.5.6", None),
    ("4e3", None),
    ("4th", None),
    ("v4", None),
    ("Score (0-5): 4", None),
    ("good\n4", None),
    ("٤", None),
    ("9" * 5000, None),
    ("5.0001", None),
    ("<think>The response has 2 sentences, both right.</think>\n\n5", 5),
    ("Alright, 2 claims.\nBoth hold.\n</think>\n\n5", 5),
    ("<think>1</think>2<think>3</think>\n4", 4),
    ("<thinking>3</thinking>4", 4),
    ("<reasoning>\n3\n</reasoning>\n\nScore: 4/5", 4),
    ("[THINK]3 or 4[/THINK]4", 4),
    ("<|channel|>analysis<|message|>3?<|end|><|channel|>final<|message|>4", 4),
    ("\u25c1think\u25b72 of 3\u25c1/think\u25b74", 4),
    ("<|begin_of_thought|>\n2 of 3\n<|end_of_thought|>\n\n4", 4),
    ("<seed:think>2 of 3</seed:think>4", 4),
    ("<analysis>2 of 3</analysis>Score: 4", 4),
    ("Thinking...\n2 of 3.\n...done thinking.\n\n4", 4),
    ("Thinking...\n2 of 3", None),
    ("\u25c1think\u25b74", None),
    ("<|begin_of_thought|>4", None),
    ("<think>It has 2 sentences and was cut", None),
    ("<think>2</think>", None),
    ("[THINK]4", None),
    ("1. The fact is right.\n2. It is complete.\n\nScore: 5", 5),
    ("1) Right\n2) Clear\nRating: **4**", 4),
    ("- right\n- clear\n**Score:** 3.5/5", 3.5),
    ("* right\n\nScore: 4\nOverall rating: 4", 4),
    ("Step 1: right\nStep 2: wrong\nScore: 3", 3),
    ("**Step 1.** Right.\n**Rating:** 4/5", 4),
    ("### Criterion 1\nGood.\nScore: 3", 3),
    ("**Reasoning**: 2 errors.\n**Score**: 3", 3),
    ("It has 2 errors.\nAccuracy: 3\nRating: 4", None),
    ("It has 2 errors.\nScore: 7", None),
    ("I give it 4: it is right.", 4),
    ("Score: 4\n\nScore: 2", 4),
    ("It deserves 4.\nNo 2 ways about it.", 4),
    ("1. Accuracy: 4\n2. Rating: 3", None),
    ("1. Right\nScore: 8/10", None),
    ("1. Right\nScore: 4-5", None),
    ("1. Right\nScore: 7", None),
    ("4. The answer is right", None),
    ('```json\n{"score": 5}\n```', 5),
    ('{"rating": "4.5", "why": "2 steps"}', 4.5),
    ('{\n  "score": 3\n}', 3),
    ('{"verdict": 3}', None),
    ("```\n4\n```", None),
]


@pytest.mark.parametrize(("reply", "number"), RULES + MORE)
def test_a_rating_is_read_by_the_written_rules(reply, number):
    assert parse(reply) == number


def test_the_written_rules_are_those_of_the_docstring():
    import tmap.indicators.alpagasus as module

    for reply, _ in RULES:
        shown = reply.replace('"', '\\"')
        assert f'"{shown}"'.replace("\n", "\\n") in module.__doc__


@given(st.text())
def test_any_text_is_a_number_from_0_to_5_or_unparsable(reply):
    found = parse(reply)

    assert found is None or 0 <= found <= 5


@given(st.floats(0, 5).map(lambda x: round(x, 3)), st.text())
def test_a_number_alone_in_the_first_line_is_read_whatever_follows(number, rest):
    assert parse(f"{number:.3f}\n{rest}") == number


def test_an_unparsable_reply_is_nan_and_shown_once(caplog):
    judge = saying({"text": "5"}, {"text": "no idea"}, {"text": "none"})

    found = indicators.get("alpagasus")(a_pool(3), judge)

    assert found.status.tolist() == ["ok", "unparsable", "unparsable"]
    assert_allclose(found.score, [5, np.nan, np.nan])
    assert "No number in 2 replies, as in 'no idea'" in caplog.text


def test_an_option_that_names_no_judge_card_is_an_error_with_the_nearest():
    from tmap import cards

    with pytest.raises(TmapError, match=r"No judge card 'phi5'. Did you mean 'phi4'"):
        cards.load("judges", "phi5")

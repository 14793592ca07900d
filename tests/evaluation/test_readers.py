"""Readers of answers against hand-read cases and the harness's own filters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmap.errors import TmapError
from tmap.evaluation.readers import choose, mark, read_number

#: text, strict, flexible, numeric; read by hand
CASES = {
    "marked": ("so 9*2=18.\n#### 18", "18", "18", "18"),
    "marked with period": ("#### 18.", "18", "18", "18"),
    "thousands": ("#### 1,000", "1000", "1000", "1000"),
    "millions with cents": ("#### 12,345,678.50", "12345678.50", "12345678.50", None),
    "dollars after mark": ("#### $18", None, "18", "18"),
    "mark without space": ("####18", None, "18", "18"),
    "first mark wins": ("#### 3\n#### 4", "3", "4", "3"),
    "last number without mark": ("I count 3, then 7.", None, "7", "7"),
    "dollars": ("She pays $5", None, "5", "5"),
    "per cent": ("It is 5%", None, "5", "5"),
    "negative": ("#### -3", "-3", "-3", "-3"),
    "negative dollars": ("a loss of -$5", None, "-5", "-5"),
    "unicode minus": ("#### \u22127", "-7", "-7", "-7"),
    "full-width minus": ("it is \uff0d7", None, "-7", "-7"),
    "decimal": ("x = 2.50", None, "2.50", "2.5"),
    "whole decimal": ("#### 3.0", "3.0", "3.0", "3"),
    "leading zeros": ("agent 007", None, "007", "7"),
    "no leading zero": ("p is .5", None, ".5", "0.5"),
    "minus zero": ("#### -0", "-0", "-0", "0"),
    "range is no sign": ("pages 3-5", None, "-5", "5"),
    "difference is no sign": ("(4)-3", None, "-3", "3"),
    "dots at the end": ("I have 5 apples ...", None, "5", "5"),
    "dollar sign alone": ("5 or so, in $ terms", None, "5", "5"),
    "list of numbers": ("1,2,3", None, "123", "3"),
    "mark with words": ("#### about 3", None, "3", "3"),
    "mark with nothing": ("2 then ####", None, "2", "2"),
    "fake mark in words": ("#### none, but 4", None, "4", "4"),
    "no number": ("I do not know.", None, None, None),
    "nothing": ("", None, None, None),
    "right-to-left mark": ("\u202e#### 12\u202c", "12", "12", "12"),
    "nul": ("\x00#### 12\x00", "12", "12", "12"),
    "other digits": ("\u0663", None, None, None),
    "long": ("#### " + "9" * 5000, "9" * 5000, "9" * 5000, "9" * 5000),
}


@pytest.mark.parametrize(
    ("text", "strict", "flexible", "numeric"), CASES.values(), ids=CASES
)
def test_numbers_are_read_as_by_hand(text, strict, flexible, numeric):
    reading = read_number(text)
    assert (reading.strict, reading.flexible) == (strict, flexible)
    assert numeric is None or reading.numeric == numeric


def harness(text: str, gold: str) -> tuple[bool, bool]:
    """Strict and flexible verdicts of lm-evaluation-harness itself."""
    from lm_eval.api.metrics import exact_match_hf_evaluate
    from lm_eval.filters.extraction import RegexFilter

    ignore = [",", r"\$", r"(?s).*#### ", r"\.$"]
    found = [
        RegexFilter(r"#### (\-?[0-9\.\,]+)"),
        RegexFilter(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", group_select=-1),
    ]
    return tuple(
        bool(
            exact_match_hf_evaluate(
                [reader.apply([[text]], [{}])[0][0]],
                [gold],
                regexes_to_ignore=ignore,
                ignore_case=True,
            )["exact_match"]
        )
        for reader in found
    )


SAME_AS_HARNESS = [
    name
    for name in CASES
    if name
    not in ("unicode minus", "full-width minus", "dots at the end", "dollar sign alone")
]


@pytest.mark.parametrize("name", SAME_AS_HARNESS)
@pytest.mark.parametrize("gold", ["18", "1,000", "worked out\n#### 5", "-7", "3.0"])
def test_strict_and_flexible_verdicts_are_the_harness_s(name, gold):
    reading = read_number(CASES[name][0])
    verdicts = (mark(reading, gold, "strict"), mark(reading, gold, "flexible"))
    assert verdicts == harness(CASES[name][0], gold)


@given(st.text(alphabet="0123456789.,$-# abc\n=", max_size=40), st.integers(-99, 9999))
def test_verdicts_agree_with_the_harness_on_any_text(text, gold):
    import re

    last = re.findall(r"(?:-?[$0-9.,]{2,})|(?:-?[0-9]+)", text)
    ours = read_number(text)
    strict, flexible = harness(text, str(gold))
    assert mark(ours, str(gold), "strict") == strict
    if not last or any(c.isdigit() for c in last[-1]):
        assert mark(ours, str(gold), "flexible") == flexible


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        ("#### 3.0", "3", True),
        ("#### 1000", "1,000", True),
        ("$2.50", "reasons\n#### 2.5", True),
        ("#### -3", "3", False),
        ("no idea", "3", False),
    ],
)
def test_numeric_compares_values(answer, gold, right):
    assert mark(read_number(answer), gold, "numeric") is right


def test_a_gold_answer_without_number_is_an_error_that_names_it():
    with pytest.raises(TmapError, match="'blue' contains no number"):
        mark(read_number("3"), "blue", "numeric")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, max_value=10**9))
def test_every_decimal_reads_back_as_itself(value):
    from decimal import Decimal

    reading = read_number(f"#### {value:f}")
    assert Decimal(reading.numeric) == value


def test_acc_takes_the_sum_and_acc_norm_the_mean_per_character():
    nll, texts = [4.0, 6.0, 9.0], ["abcd", "abcdefgh", "abc"]
    assert choose(nll, texts, "acc") == 0
    assert choose(nll, texts, "acc_norm") == 1  # 1.0, 0.75, 3.0 nats per character


def test_the_first_of_equal_options_is_chosen():
    assert choose([2.0, 2.0], ["a", "b"], "acc") == 0

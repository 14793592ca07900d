"""Readers of answers against hand-read cases and the harness's own filters."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmap.errors import TmapError
from tmap.evaluation.readers import LONGEST, choose, gold_value, mark, read_number

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
    "other digits": ("\u0663", None, None, "3"),
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


#: What follows "####", and its value as a human reads it; None: it is not one number.
VALUES = {
    "3/4": "0.75",
    "1/2": "0.5",
    "1/3": "1/3",
    "4/6": "2/3",
    "-3/4": "-0.75",
    "3 / 4": "0.75",
    "1 1/2": "1.5",
    "2 3/4 cups": "2.75",
    "\u00bd": "0.5",
    "1\u00bd cups": "1.5",
    "3\u20444": "0.75",
    r"\frac{1}{2}": "0.5",
    r"\dfrac{3}{4}": "0.75",
    r"-\frac{3}{4}": "-0.75",
    r"1\frac{1}{2}": "1.5",
    r"\frac12": "0.5",
    "1/0": None,
    "5/10/2024": None,
    "6/3/2": None,
    "3 * 6 = 18": "18",
    "18 = 3 * 6": "18",
    "3*6=18": "18",
    "3 \u00d7 6 = 18": "18",
    r"3 \times 6 = 18": "18",
    "3 apples * 6 = 18 apples": "18",
    "3 * (2 + 4) = 18": "18",
    "10 - 5 = 5": "5",
    "10 -5 = 5": "5",
    "20 / 4 = 5": "5",
    "2 + 3 = 5 + 1 = 6": "6",
    "x = 18": "18",
    "x^2 = 9": "9",
    "3/4 = 0.75": "0.75",
    "x = -5": "-5",
    "3 * 6": None,
    "3 + 4 apples": None,
    "60 miles / 2 hours": None,
    "1.5e3": "1500",
    "1.5E+3": "1500",
    "1e6": "1000000",
    "2e-3": "0.002",
    "6.02 x 10^5": "602000",
    "1.5 \u00d7 10\u00b3": "1500",
    r"1.5 \times 10^{3}": "1500",
    "10^3": "1000",
    "10^-2": "0.01",
    "2\u00b3": "8",
    "2**3": "8",
    "1e999": None,
    "- 5": "-5",
    "-$5": "-5",
    "$-5": "-5",
    "- $ 5": "-5",
    "\u22125": "-5",
    "\u20135": "-5",
    "\uff0d5": "-5",
    "minus 5": "-5",
    "negative 5": "-5",
    "+5": "5",
    "-0": "0",
    "12:30": None,
    "3:4": None,
    "2024-01-05": None,
    "3-5": None,
    "3 to 5": None,
    "$3-$5": None,
    "2 or 3": None,
    "5 and 7": None,
    "3, 4": None,
    "x = 2 or x = 3": None,
    "5 \u00b1 1": None,
    r"2\pi": None,
    r"2\sqrt{3}": None,
    "1.2.3": None,
    "5'10": None,
    "\uff11\uff18": "18",
    "\u0663\u0664": "34",
    "\u096d": "7",
    "1,000": "1000",
    "1,234,567.5": "1234567.5",
    "1 000": "1000",
    "1 000 000": "1000000",
    "1\u00a0000": "1000",
    "1\u202f000,5": "1000.5",
    "1'000.50": "1000.5",
    "1\u2019000": "1000",
    "1.000,5": "1000.5",
    "1.000.000": "1000000",
    "1,00,000": "100000",
    "1{,}000": "1000",
    r"1\,000": "1000",
    "0,5": "0.5",
    "3,5": None,
    "12,34,5": None,
    "1,2,3": None,
    "50%": "50",
    "50 %": "50",
    r"50\%": "50",
    r"\$18": "18",
    "\u20ac5": "5",
    "5 million": "5000000",
    "2.5 thousand dollars": "2500",
    "$5k": "5000",
    "5k": None,
    "5 and a half": "5.5",
    "18 cm^2": "18",
    "18 cm\u00b2": "18",
    "60 km/h": "60",
    "5-year-old": "5",
    "**18**": "18",
    "(18)": "18",
    "18!": "18",
    "18 apples. I checked 3 times.": "18",
    "18 (since x = 3)": "18",
    "18 apples in 3 boxes": "18",
    "007": "7",
    ".5": "0.5",
    "twelve": None,
}


@pytest.mark.parametrize(("text", "value"), VALUES.items(), ids=VALUES)
def test_numeric_reads_after_the_mark_what_a_human_reads(text, value):
    assert read_number(f"so\n#### {text}").numeric == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"so it is \boxed{1{,}000}.", "1000"),
        (r"\boxed{3} wrong, \boxed{\frac{3}{4}} of 8", "0.75"),
        (r"#### 5 and \boxed{6}", None),
        (r"\boxed{x} and 7", "7"),
        (r"\boxed{12 left open 7", "7"),
        ("It is 1/4.", "0.25"),
        ("we meet at 12:30", None),
        ("a loss: negative 5", "-5"),
        ("list:\n- 5 apples", "5"),
        ("it makes 1 000", "1000"),
        ("about 10^3", "1000"),
        ("18 apples. (I checked 3 times.)", "3"),
        ("#### 7\nNo:\n#### 18", "7"),
    ],
)
def test_numeric_without_a_mark_and_with_several(text, value):
    assert read_number(text).numeric == value


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        ("#### 1/2", "1", False),
        ("#### 4", "3/4", False),
        ("It is 1/4.", "3/4", False),
        ("#### 0.75", "3/4", True),
        ("#### 12:30", "12", False),
        (r"\boxed{\frac{3}{2}}", r"\frac{1}{2}", False),
        ("#### 23", "6.02e23", False),
        ("#### 2/6", "1/3", True),
        ("#### 5", "5 apples", True),
        ("#### $1000", "1 000", True),
    ],
)
def test_numeric_marks_as_a_human_does(answer, gold, right):
    assert mark(read_number(answer), gold, "numeric") is right


@pytest.mark.parametrize(
    "gold",
    [
        "18 apples in 3 boxes",
        "She has 3. So 7.",
        "B2",
        "0x1F",
        "3 dozen",
        "5 or more",
        "\u22655",
        "1.5M",
        "18 m2",
        "x = 2, y = 3",
    ],
)
def test_a_gold_is_one_number_and_no_sentence_with_several(gold):
    assert gold_value(gold) is None
    with pytest.raises(TmapError, match="is one value"):
        mark(read_number("#### 3"), gold, "numeric")


WIDE = str.maketrans(
    "0123456789", "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19"
)
DRESSES = {
    "commas": "{:,}",
    "spaces": lambda n: f"{n:,}".replace(",", " "),
    "narrow spaces": lambda n: f"{n:,}".replace(",", "\u202f"),
    "LaTeX": lambda n: f"{n:,}".replace(",", "{,}"),
    "apostrophes": lambda n: f"{n:,}".replace(",", "'"),
    "points and comma": lambda n: f"{n:,}".replace(",", ".") + ",0",
    "full-width": lambda n: str(n).translate(WIDE),
    "Unicode minus": lambda n: str(n).replace("-", "\u2212"),
    "a space after the minus": lambda n: str(n).replace("-", "- "),
    "dollars": lambda n: f"${n}".replace("$-", "-$"),
    "dollars before the minus": "${}",
    "percent": "{}%",
    "units": "{} apples",
    "decimals": "{}.00",
    "scientific": "{}e0",
    "power": "{} x 10^0",
    "fraction": lambda n: f"{2 * n}/2",
    "equation": "1 * x = {}",
    "boxed": r"\boxed{{{}}}",
    "bold": "**{}**",
    "final period": "{}.",
}


@given(st.integers(-(10**12), 10**12), st.sampled_from(sorted(DRESSES)))
def test_a_number_in_any_dress_reads_back_to_itself(number, dress):
    how = DRESSES[dress]
    text = how.format(number) if isinstance(how, str) else how(number)
    if dress == "points and comma" and abs(number) < 1000:
        return  # "5,0" may be two numbers
    assert read_number(f"#### {text}").numeric == str(number)
    assert gold_value(text) == str(number)


@given(st.integers(-999, 999), st.integers(1, 999))
def test_a_fraction_has_its_value(above, under):
    text = read_number(f"#### {above}/{under}").numeric
    assert Fraction(text) == Fraction(above, under)


@pytest.mark.parametrize(("gold", "value"), [("x = 18", "18"), ("18 = x", "18")])
def test_a_gold_may_name_what_it_is_the_value_of(gold, value):
    assert gold_value(gold) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0\r²", "0"),
        ("so 2\r^(3)", "8"),
        ("so 5*10\n^3", "5000"),
        ("5 x 10^(3)", "5000"),
    ],
)
def test_any_white_space_may_stand_before_a_power(text, value):
    assert read_number(text).numeric == value


def test_a_gold_whose_last_side_is_no_value_is_none():
    """Its own text would be read as 1."""
    assert gold_value("0=A1") is None


@given(st.text(max_size=60))
def test_a_gold_that_has_a_value_is_answered_by_its_own_text(gold):
    value = gold_value(gold)
    if value is not None and "####" not in gold and "\n" not in gold:
        assert mark(read_number(f"#### {gold}"), gold, "numeric")


FLOODS = ".,-$#'^/=:( 1\u00bd\\"
PAIRS = (
    "1 ",
    "1,",
    "1/",
    "1'",
    "1^",
    "=1",
    "3 * ",
    " minus",
    r"\frac{",
    r"\boxed{",
    "- ",
)


@pytest.mark.parametrize("piece", [*FLOODS, *PAIRS, "1 000 "])
@pytest.mark.parametrize("head", ["", "#### ", "#### 1"])
def test_readers_take_linear_time(piece, head):
    """40 KB of dots took 13 s: the number of characters squared."""
    start = time.process_time()
    read_number(head + piece * (40_000 // len(piece)))
    assert time.process_time() - start < 4


def test_of_a_text_without_end_both_ends_are_read():
    reading = read_number("#### 5\n" + "x" * LONGEST + " 7")
    assert reading == ("5", "7", "5")


def test_acc_takes_the_sum_and_acc_norm_the_mean_per_character():
    nll, texts = [4.0, 6.0, 9.0], ["abcd", "abcdefgh", "abc"]
    assert choose(nll, texts, "acc") == 0
    assert choose(nll, texts, "acc_norm") == 1  # 1.0, 0.75, 3.0 nats per character


def test_the_first_of_equal_options_is_chosen():
    assert choose([2.0, 2.0], ["a", "b"], "acc") == 0

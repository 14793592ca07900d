"""Answers as Math-Verify reads them; every expected value was worked out by hand."""

import logging

import pytest

from tmap.errors import TmapError
from tmap.evaluation import expressions
from tmap.evaluation.marking import Marking, mark_answer

pytest.importorskip("math_verify", reason="pip install -e '.[math]'")

EQUAL = [
    ("#### 3/4", "0.75"),
    ("#### 3/4", r"\frac{6}{8}"),
    (r"So it is \boxed{\frac34}.", "3/4"),
    (r"Half of it: $\frac{1}{2}$.", "0.5"),
    ("#### 18 dollars", "18"),
    ("#### $1,000.", "1000"),
    ("The answer is 18.", "18"),
    (r"\boxed{2\sqrt{3}}", r"\sqrt{12}"),
    (r"\boxed{x^2+2x+1}", "(x+1)^2"),
    (r"\boxed{[0,1)}", "[0,1)"),
    (r"\boxed{\{1,2\}}", r"\{2,1\}"),
    (r"\boxed{50\%}", r"50\%"),
    (r"\boxed{\left(3,\frac{\pi}{2}\right)}", r"(3,\pi/2)"),
    (r"\boxed{\text{blue}}", r"\text{blue}"),
    ("#### 1 1/2", "1.5"),
    ("First 7.\n#### 8\nThen 9.", "8"),
]
DIFFERENT = [
    ("#### 3/4", "4/3"),
    ("#### (1, 2)", "2"),
    ("#### [0,5)", "0.5"),
    (r"\boxed{[0,1)}", "[0,1]"),
    (r"\boxed{\sqrt{2}}", "1.41"),
    ("#### 19\nSo 18.", "18"),
]


@pytest.mark.parametrize(("text", "gold"), EQUAL)
def test_equal_values_are_equal_however_they_are_written(text, gold):
    read, is_right = expressions.compare(text, gold)
    assert read
    assert is_right


@pytest.mark.parametrize(("text", "gold"), DIFFERENT)
def test_other_values_are_not(text, gold):
    assert expressions.compare(text, gold)[1] is False


@pytest.mark.parametrize("text", ["", "I do not know.", "((((" * 2000, "$" * 5001])
def test_an_answer_without_a_value_is_unread(text):
    assert expressions.compare(text, "7") == (None, False)


def test_what_never_ends_is_ended_and_the_next_answer_is_read(caplog):
    with caplog.at_level(logging.WARNING):
        assert expressions.compare(r"\boxed{10^{10^{10}}}", "7") == (None, False)
    assert "counts as unread" in caplog.text
    assert expressions.compare("#### 7", "7") == ("7", True)


@pytest.mark.parametrize(
    "text",
    [
        "#### __import__('os').system('touch {}')",
        r"\boxed{{__import__('os').system('touch {}')}}",
        "The answer is open('{}', 'w').",
        r"$\text{{open('{}', 'w')}}$",
    ],
)
def test_text_is_not_executed(text, tmp_path):
    place = tmp_path / "made"
    expressions.compare(text.format(place), "7")
    expressions.compare("#### 7", text.format(place))
    assert not place.exists()


def test_the_expression_has_the_column_of_values():
    marked = mark_answer(r"\boxed{\frac{1}{2}}", "0.5", "math_verify")
    assert (marked.numeric, marked.is_numeric, marked.is_correct) == (
        r"\frac{1}{2}",
        True,
        True,
    )
    assert marked.is_flexible is False  # which reads 2
    assert Marking("number", "math_verify", 9).reading == "numeric"


def test_without_the_package_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr("tmap.errors.find_spec", lambda name: None)
    expressions._worker.cache_clear()
    with pytest.raises(TmapError, match=r"metric: math_verify needs .*pip install"):
        expressions.compare("#### 7", "7")
    expressions._worker.cache_clear()

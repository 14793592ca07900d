"""A form and a row of the pool become a question."""

from __future__ import annotations

import pytest

from judging import row
from tmap.cards.judge import FormSection
from tmap.judges.forms import fill

QUALITY = "Question: {instruction}\nAnswer: {response}\n\nQuality:\n"


def filled(text=QUALITY, **what):
    return fill(FormSection(template=text), row(**what))


def test_a_form_is_filled_in_one_pass():
    question = filled(instruction="{response} {input} {}", response="{instruction}")

    assert question.text == (
        "Question: {response} {input} {}\nAnswer: {instruction}\n\nQuality:\n"
    )


def test_the_input_stands_below_the_instruction_or_where_the_form_says():
    apart = filled("{instruction}|{input}|{response}", instruction="Sum.", given="1 2")

    assert filled("{instruction}|{response}", given="1 2").text.startswith(
        "What is 3 + 4?\n\n1 2|"
    )
    assert apart.text == "Sum.|1 2|7"


def test_of_a_chat_the_first_exchange_is_rated():
    turns = [
        {"role": role, "content": text}
        for role, text in [("user", "A?"), ("assistant", "B."), ("user", "C?")]
    ]

    assert filled("{instruction}{input}{response}", turns=turns).text == "A?B."


@pytest.mark.parametrize("what", [{"instruction": " "}, {"response": "\n"}])
def test_a_row_without_question_or_answer_is_not_asked_about(what):
    assert filled(**what) is None

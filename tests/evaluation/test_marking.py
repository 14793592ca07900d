"""Asking and marking: the same for the reward and for evaluation."""

import numpy as np
import pandas as pd
import pytest

from scripted import Scripted
from tmap import engines
from tmap.cards.model import EngineSection, PromptSection
from tmap.evaluation.marking import Marking, examine, mark_answer
from tmap.prompts.renderer import Demo, Renderer

NUMBER = Marking(reader="number", metric="flexible", max_new_tokens=7)
OPTION = Marking(reader="option", metric="acc_norm", max_new_tokens=1)
LETTER = Marking(reader="letter", metric="acc", max_new_tokens=1)
SUMS = pd.DataFrame(
    {
        "question_id": ["a", "b"],
        "question": ["2+2?", "3+4?"],
        "choices": [None, None],
        "gold": ["4", "7"],
    }
)
CHOICES = pd.DataFrame(
    {
        "question_id": ["c", "d"],
        "question": ["Sky?", "Grass?"],
        "choices": [["blue", "green as moss"], ["blue", "green", "red"]],
        "gold": ["1", "1"],
    }
)
DEMOS = [[Demo("1+1?", "#### 2")], [Demo("5+5?", "#### 10")]]


@pytest.fixture(scope="module")
def tokenizer(tiny_llama):
    return engines.load_tokenizer(tiny_llama)


@pytest.fixture(scope="module")
def renderer(tokenizer):
    return Renderer(tokenizer, PromptSection(template="plain"))


def test_marks_are_one_row_per_group_and_one_column_per_question(tokenizer, renderer):
    lm = Scripted(tokenizer, [["#### 4", "it is 8"], ["5", "#### 7"]])

    found = examine(lm, renderer, SUMS, DEMOS, NUMBER)

    assert found.is_correct.tolist() == [[True, False], [False, True]]
    assert found.is_correct.dtype == np.bool_
    assert found.replies[0][1].text == "it is 8"


def test_new_tokens_are_those_that_were_generated(tokenizer, renderer):
    texts = [["#### 4", "it is 8"]]
    lm = Scripted(tokenizer, texts)

    found = examine(lm, renderer, SUMS, [()], NUMBER)

    n = sum(len(tokenizer.encode(t, add_special_tokens=False)) for t in texts[0])
    assert found.n_new_tokens.sum() == n


@pytest.mark.parametrize("groups", [[()], DEMOS])
def test_the_model_is_asked_with_the_ids_of_the_renderer(tokenizer, renderer, groups):
    lm = Scripted(tokenizer, [["", ""]] * len(groups))

    examine(lm, renderer, SUMS, groups, NUMBER)

    prompts = [renderer.render(q, g) for g in groups for q in SUMS["question"]]
    assert lm.prompts == [[*p.prefix, *p.question] for p in prompts]
    assert (lm.max_new_tokens, lm.stop) == (7, renderer.stop)


def test_groups_of_several_sizes_keep_their_order(tokenizer, renderer):
    class ByLength(Scripted):
        def generate(self, prefixes, questions, **_):
            return [[self._ids(f"#### {len(p)}") for _ in questions] for p in prefixes]

    groups = [DEMOS[0], (), [*DEMOS[0], *DEMOS[1]], DEMOS[1]]

    found = examine(ByLength(tokenizer), renderer, SUMS, groups, NUMBER)

    read = [int(replies[0].strict) for replies in found.replies]
    assert read == [len(renderer.render("2+2?", g).prefix) for g in groups]


def test_a_choice_is_by_nll_per_character_where_the_metric_says_so(tokenizer, renderer):
    # per character 4/4 and 8/13, so the second; 5/4, 4/5 and 2/3, so the third
    nll = [[[4.0, 8.0], [5.0, 4.0, 2.0]]]

    found = examine(Scripted(tokenizer, nll=nll), renderer, CHOICES, [()], OPTION)

    assert [r.text for r in found.replies[0]] == ["green as moss", "red"]
    assert found.is_correct.tolist() == [[True, False]]


def test_the_options_that_are_scored_are_their_texts_or_their_letters(
    tokenizer, renderer
):
    nll = [[[1.0, 2.0], [1.0, 2.0, 3.0]]]
    by_text, by_letter = Scripted(tokenizer, nll=nll), Scripted(tokenizer, nll=nll)

    examine(by_text, renderer, CHOICES, [()], OPTION)
    examine(by_letter, renderer, CHOICES, [()], LETTER)

    assert by_text.options[1] == [renderer.answer(t) for t in ("blue", "green", "red")]
    assert by_letter.options[0] == [renderer.answer("(A)"), renderer.answer("(B)")]


def test_the_reply_of_a_choice_holds_its_index_and_one_mark(tokenizer, renderer):
    nll = [[[2.0, 1.0], [3.0, 3.5, 9.0]]]

    replies = examine(
        Scripted(tokenizer, nll=nll), renderer, CHOICES, [()], LETTER
    ).replies[0]

    assert replies[0][:4] == ("green as moss", "1", "1", "1")
    assert [set(reply[4:]) for reply in replies] == [{True}, {False}]


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("#### 18.0", (False, False, True)),
        ("#### 18\nthen 20", (True, False, True)),
        ("so 18", (False, True, True)),
        ("no idea", (False, False, False)),
    ],
)
@pytest.mark.parametrize("metric", ["strict", "flexible", "numeric"])
def test_the_metric_names_the_mark_that_counts(text, marks, metric):
    reply = mark_answer(text, "18", metric)

    assert (reply.is_strict, reply.is_flexible, reply.is_numeric) == marks
    assert reply.is_correct == getattr(reply, f"is_{metric}")


def test_a_gold_answer_without_a_number_leaves_the_other_marks_alone():
    reply = mark_answer("#### 18", "eighteen", "strict")

    assert (reply.is_numeric, reply.is_correct) == (False, False)


def test_a_real_model_is_marked_after_every_group(tiny_llama, renderer):
    lm = engines.load(tiny_llama, EngineSection(name="reference", device="cpu"))

    found = examine(lm, renderer, SUMS, DEMOS, NUMBER)

    assert found.is_correct.shape == (2, 2)
    assert 0 < found.n_new_tokens.sum() <= 4 * 7

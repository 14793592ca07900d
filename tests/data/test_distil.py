"""Distilled pools: asked once, checked against the known answer, rejected with a reason."""

import json

import pandas as pd
import pytest

from judging import chat_answer
from tmap import cards, dag
from tmap.cards.judge import FormSection, JudgeCard
from tmap.data import distil
from tmap.data.pool import text_hash
from tmap.errors import TmapError
from tmap.judges import load

FORM = "Question: {instruction}\nAnswer: {response}\nWrite the steps."


def pool(*pairs):
    rows = [
        {
            "sample_id": f"s{i}",
            "instruction": asked,
            "input": "",
            "response": said,
            "turns": None,
            "source": "here",
            "text_hash": f"h{i}",
        }
        for i, (asked, said) in enumerate(pairs)
    ]
    return pd.DataFrame(rows)


def judge(server, **limits):
    card = JudgeCard(
        version=1,
        server={"url": server.url, "model": "teacher"},
        limits={"concurrency": 1, "attempts": 1, **limits},
        forms={"reasoning": FormSection(template=FORM, max_new_tokens=64)},
    )
    return load(card)


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("TMAP_STORE", str(tmp_path / "store"))


def teacher(number, body):
    """Adds up; is wrong about 5 + 5, silent about 6 + 6, and without steps for 7 + 7."""
    text = body["messages"][-1]["content"]
    a = int(text.split("Question: ")[1].split(" ")[0])
    said = {5: "5 and 5 make 11.\n#### 11", 6: "I do not know.", 7: "#### 14"}
    steps = said.get(a, f"{a} and {a} make {2 * a}.\n#### {2 * a}.00")
    return 200, {}, chat_answer(steps, tokens=50)


def sums(*numbers):
    return pool(*((f"{a} + {a} = ?", f"Long work.\n#### {2 * a}") for a in numbers))


def test_good_paths_are_kept_and_the_others_rejected_with_their_reason(serve):
    server = serve(teacher)
    found = distil.distil(sums(1, 5, 2, 6, 7), judge(server), "number")
    assert found.kept["sample_id"].tolist() == ["s0", "s2"]
    assert found.kept["response"][0] == "1 and 1 make 2.\n#### 2.00"
    reasons = dict(zip(found.rejected["line"], found.rejected["reason"], strict=True))
    assert reasons[1] == "sample s1: another answer: '11', known '10'"
    assert reasons[3].startswith("sample s3: no answer: nothing after '####'")
    assert reasons[4] == "sample s4: no reasoning: nothing before the answer"
    assert found.notes["distilled_rejected"] == {
        "another answer": 1,
        "no answer": 1,
        "no reasoning": 1,
    }


def test_the_teacher_sees_the_final_answer_and_not_the_worked_one(serve):
    server = serve(teacher)
    distil.distil(sums(3), judge(server), "number")
    assert server.texts() == ["Question: 3 + 3 = ?\nAnswer: 6\nWrite the steps."]


def test_text_hashes_are_those_of_the_new_text(serve):
    kept = distil.distil(sums(1), judge(serve(teacher)), "number").kept.iloc[0]
    from tmap.data.formats import Candidate

    said = Candidate(kept["instruction"], "", kept["response"], None, ())
    assert kept["text_hash"] == text_hash(said) != "h0"


def test_a_spent_budget_stops_and_the_next_run_asks_only_the_rest(serve):
    server = serve(teacher)
    with pytest.raises(TmapError, match=r"budget is spent.*2 of 4 replies are stored"):
        distil.distil(sums(1, 2, 3, 4), judge(server, max_requests=2), "number")
    found = distil.distil(sums(1, 2, 3, 4), judge(server), "number")
    assert len(found.kept) == 4
    assert len(server.seen) == len(set(server.texts())) == 4


def test_options_are_compared_by_their_words():
    row = {"instruction": "Which?", "input": "", "response": "the Moon", "turns": None}
    text = "It is near, so it is the moon.\n#### The moon."
    assert distil.sample({**row, "sample_id": "a"}, text, "option")["response"] == text
    with pytest.raises(distil.Unfit, match="another answer"):
        distil.sample(row, "It is far.\n#### The sun", "option")


@pytest.mark.parametrize(
    ("answer", "gold", "is_same"),
    [
        ("1,000", "1000", True),
        ("$18.00", "18", True),
        ("18 apples", "18", True),
        ("17", "18", False),
        ("none", "18", False),
    ],
)
def test_numbers_are_compared_by_value(answer, gold, is_same):
    assert distil.same(answer, gold, "number") is is_same


def test_a_teacher_that_is_never_right_stops_with_its_first_reply(serve):
    with pytest.raises(TmapError, match="the first fault: sample s0: another"):
        distil.distil(sums(5), judge(serve(teacher)), "number")


def test_an_empty_pool_is_refused_before_the_teacher_is_asked():
    with pytest.raises(TmapError, match="the undistilled pool is empty"):
        distil.distil(sums(5).head(0), None, "number")


def test_a_chat_has_no_single_answer():
    turns = [{"role": r, "content": "x"} for r in ("user", "assistant") * 2]
    row = {"instruction": "x", "input": "", "response": "x", "turns": turns}
    with pytest.raises(distil.Unfit, match="several turns"):
        distil.sample(row, "x #### x", "number")


@pytest.mark.parametrize("name", ["gsm8k_distilled", "arc_c_distilled"])
def test_the_distilled_datasets_are_shipped_with_a_form_of_our_own(name):
    card = cards.load("datasets", name)
    assert name in dag.data.distilled()
    form = cards.load("judges", card.distil.judge).forms["reasoning"]
    assert "{response}" in form.template
    assert "expert" not in json.dumps(form.template)  # not the paper's words

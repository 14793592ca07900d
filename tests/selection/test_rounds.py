"""Candidates of a generator: requested, verified and chosen, round after round."""

import re

import pandas as pd
import pytest

from tmap import cards, dag
from tmap.artifacts import tables
from tmap.cards.method import MethodCard
from tmap.data import generate as generate_
from tmap.data.overlap import OverlapIndex, question_ngrams
from tmap.errors import TmapError
from tmap.judges.base import JudgeReply
from tmap.selection import rounds

TARGETS = pd.DataFrame(
    {
        "question": [f"Q{i}?" for i in range(5)],
        "answer": [f"#### {i}" for i in range(5)],
    }
)
COPIED = (
    "How many of the seven red apples did Ada give to her brother on Monday morning?"
)
NGRAMS = question_ngrams(["bench-1"], [COPIED], 13)
GOOD = (
    " Ada has 2 pears and buys 3. How many?\nAnswer: Ada has 2+3=5 pears.\n#### 5\n\n"
)


class Generator:
    """Replies with given texts; None: no reply."""

    def __init__(self, texts):
        self.texts = texts

    def ask(self, rows, want):
        assert want == "text" and len(rows) == len(self.texts)
        return [
            JudgeReply("failed") if text is None else JudgeReply("ok", {"text": text})
            for text in self.texts
        ]


def generate(texts, reader="number", seen=()):
    return generate_.generate(
        Generator(texts),
        [{}] * len(texts),
        reader=reader,
        overlap=OverlapIndex(NGRAMS, 13, 0.5),
        seen=set(seen),
        number=2,
        source="here",
    )


def test_a_candidate_has_a_question_and_an_answer():
    found = generate([GOOD, "Question: One?\nAnswer: #### 1\nQuestion: Two?"]).kept
    assert found["sample_id"].tolist() == ["r2-000000", "r2-000001"]
    assert found["instruction"].tolist() == [
        "Ada has 2 pears and buys 3. How many?",
        "One?",
    ]
    assert found["response"].tolist() == ["Ada has 2+3=5 pears.\n#### 5", "#### 1"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "no reply: failed"),
        ("", "not in the form"),
        ("How many? 5", "not in the form"),
        ("How many?\nAnswer:   \n", "not in the form"),
        ("\nAnswer: #### 5", "not in the form"),
        ("How many?\nAnswer: five", "its last line is no answer"),
        ("How many?\nAnswer: #### 5\nor so", "its last line is no answer"),
        (f"{COPIED}\nAnswer: #### 7", "contains benchmark question: bench-1"),
        (GOOD, "duplicate"),
    ],
)
def test_what_does_not_fit_is_left_out_with_its_reason(text, reason):
    found = generate([GOOD, text])
    assert len(found.kept) == 1
    assert found.rejected["line"].tolist() == [1]
    assert reason in found.rejected["reason"][0]
    assert sum(found.reasons.values()) == 1


def test_what_an_earlier_round_wrote_is_a_duplicate():
    known = generate([GOOD]).kept["text_hash"]
    other = "One?\nAnswer: #### 1"
    assert generate([GOOD, other], seen=known).kept["response"].tolist() == ["#### 1"]


def test_letters_and_options_have_forms_of_their_own():
    assert len(generate(["A or B?\nAnswer: It is (B)"], "letter").kept) == 1
    assert len(generate(["A or B?\nAnswer: Paris"], "option").kept) == 1
    with pytest.raises(TmapError, match="None of 1 candidates of round 2"):
        generate(["A or B?\nAnswer: B"], "letter")


def test_requests_show_other_examples_and_come_again():
    one = generate_.examples(TARGETS, 20, 3, 0, 1)
    assert one == generate_.examples(TARGETS, 20, 3, 0, 1)
    assert one != generate_.examples(TARGETS, 20, 3, 0, 2)
    assert one != generate_.examples(TARGETS, 20, 3, 1, 1)
    for row in one:
        shown = re.findall(r"Question: Q(\d)\?\nAnswer: #### (\d)", row["instruction"])
        assert len(set(shown)) == 3 and all(q == a for q, a in shown)
    assert len({row["instruction"] for row in one}) > 10
    (few,) = generate_.examples(TARGETS[:2], 1, 3, 0, 1)
    assert few["instruction"].count("Question:") == 2


def test_rounds_add_up(tmp_path):
    texts = [f"{i}?\nAnswer: #### {i}" for i in range(10)]
    card = {"weights": {"less": 1.0}, "fraction": 0.2}
    card |= {"normalise": "minmax", "max_unscored": 0.1}
    before = rounds.Chosen.read([])
    for best in (7, 4):
        pool = generate(texts).kept
        pool["sample_id"] = [f"{best}-{i}" for i in range(10)]
        score = [10.0 if i == best else float(i) / 10 for i in range(10)]
        frame = pd.DataFrame({"sample_id": pool["sample_id"], "score": score})
        path = tmp_path / "less.parquet"
        tables.write("indicator", frame.assign(status="ok"), path, code="t")
        before = rounds.select(pool, [path], card, 0, before)
        tables.write("subset", before.subset, tmp_path / "s.parquet", code="t")
        tables.write("pool", before.rows, tmp_path / "p.parquet", code="t")
        before = rounds.Chosen.read([tmp_path / "s.parquet", tmp_path / "p.parquet"])
    assert before.subset["sample_id"].tolist() == ["7-7", "7-9", "4-4", "4-9"]
    assert before.subset["rank"].tolist() == [0, 1, 2, 3]
    assert before.rows["sample_id"].tolist() == before.subset["sample_id"].tolist()
    assert before.rows["response"].tolist() == ["#### 7", "#### 9", "#### 4", "#### 9"]


def test_a_random_round_needs_no_column():
    pool = generate([f"{i}?\nAnswer: #### {i}" for i in range(10)]).kept
    card = {"weights": "random", "fraction": 0.5}
    found = [
        rounds.select(pool, [], card, s, rounds.Chosen.read([])) for s in (0, 0, 1)
    ]
    names = [set(f.subset["sample_id"]) for f in found]
    assert len(names[0]) == 5 and names[0] == names[1] != names[2]


@pytest.mark.parametrize("weights", ["learned", "uniform", "oracle"])
def test_rounds_go_with_weights_that_need_no_pool(weights):
    columns = {} if weights == "oracle" else {"indicators": ["less"]}
    with pytest.raises(ValueError, match="`rounds:` needs weights"):
        MethodCard(weights=weights, rounds={"generator": "g"}, **columns)


def test_a_column_that_a_round_cannot_have_is_refused(monkeypatch):
    class Wildcards:
        dataset, model, method, seed = "arith", "tiny", "evoselect_rounds", "0"

    (file,) = dag.rounds.round_columns(Wildcards, 1)
    assert file.endswith("evoselect_rounds/s0/r1/indicators/evoselect.parquet")
    card = cards.load("methods", "evoselect_rounds")
    judged = card.model_copy(update={"weights": {"alpagasus": 1.0}})
    monkeypatch.setattr(cards, "load", lambda kind, name: judged)
    with pytest.raises(TmapError, match="weighs 'alpagasus', which looks at a judge"):
        dag.rounds.round_columns(Wildcards, 1)

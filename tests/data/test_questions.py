import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmap.artifacts import tables
from tmap.cards.dataset import QuestionSource
from tmap.data import options, questions

ARC = {
    "id": "a1",
    "question": "Which is warm?",
    "choices": {"text": ["ice", "fire", "snow"], "label": ["A", "B", "C"]},
    "answerKey": "B",
}


def jsonl(folder, rows):
    path = folder / "questions.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def read(path, task="generation", reader=None, protocol="paper", share=0.25, **columns):
    return questions.read(
        "bench",
        QuestionSource(path=str(path), columns=columns),
        task=task,
        reader=reader or ("number" if task == "generation" else "option"),
        protocol=protocol,
        reward_share=share,
        ngram=13,
    )


def gold_text(row):
    return row["choices"][int(row["gold"])]


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("2+3=5 apples.\n#### 5", "5"),
        ("#### 1,234", "1234"),
        ("#### $1,000,000.", "1000000"),
        ("#### -7.50", "-7.50"),
        ("So #### 1 was wrong.\n#### 2", "2"),
        (18, "18"),
        ("Paris", "Paris"),
        ("1, 2 and 3", "1, 2 and 3"),
    ],
)
def test_gold_is_the_final_answer_as_a_plain_number(tmp_path, answer, gold):
    found = read(jsonl(tmp_path, [{"question": "How many?", "answer": answer}]))
    assert found.test["gold"].tolist() == [gold]


def test_questions_without_id_column_are_numbered_by_row(tmp_path):
    rows = [{"question": "a", "answer": "1"}, {"question": "b", "answer": "2"}]
    found = read(jsonl(tmp_path, rows)).test
    assert found["question_id"].tolist() == ["bench-00000", "bench-00001"]
    assert found["row"].tolist() == [0, 1]


MUSR = {"choices": "['ice', 'fire', 'snow']", "answer_index": 1}
GPQA = {"Right": "fire", "Wrong 1": "ice", "Wrong 2": "snow"}
SHAPES = [
    (ARC, {}),
    ({"choices": ["ice", "fire", "snow"], "gold": "fire"}, {}),
    ({"choices": ["ice", "fire", "snow"], "gold": 1}, {}),
    ({"choices": ["ice", "fire", "snow"], "gold": "B"}, {}),
    ({"choices": ["ice", "fire"], "labels": ["1", "2"], "gold": "2"}, {}),
    (MUSR, {}),
    (GPQA, {"choices": "Wrong 1, Right, Wrong 2", "gold": "Right"}),
]


@pytest.mark.parametrize(("row", "columns"), SHAPES)
def test_published_shapes_of_options_give_the_same_gold(tmp_path, row, columns):
    path = jsonl(tmp_path, [{"question": "Which is warm?", **row}])
    found = read(path, "multiple_choice", **columns).test.iloc[0]
    assert gold_text(found) == "fire"


def test_permutation_leads_back_to_the_sources_options(tmp_path):
    rows = [{**ARC, "id": f"a{i}"} for i in range(20)]
    found = read(jsonl(tmp_path, rows), "multiple_choice", id="id").test
    source = ARC["choices"]["text"]
    for _, row in found.iterrows():
        assert [source[place] for place in row["permutation"]] == row["choices"]
    assert {row for row in found["gold"]} == {"0", "1", "2"}


def test_option_order_depends_on_the_id_alone(tmp_path):
    rows = [{**ARC, "id": f"a{i}"} for i in range(8)]
    ahead = read(jsonl(tmp_path, rows), "multiple_choice", id="id").test
    back = read(jsonl(tmp_path, rows[::-1]), "multiple_choice", id="id").test
    orders = [t.set_index("question_id")["permutation"] for t in (ahead, back)]
    assert orders[0].to_dict() == orders[1].to_dict()


def test_letter_reader_lists_the_options_as_asked(tmp_path):
    found = read(jsonl(tmp_path, [ARC]), "multiple_choice", "letter").test.iloc[0]
    lines = found["question"].split("\n")
    assert lines[:2] == ["Which is warm?", ""]
    assert lines[2:] == [
        f"({x}) {o}" for x, o in zip("ABC", found["choices"], strict=True)
    ]
    assert lines[2 + int(found["gold"])].endswith("fire")


def test_context_comes_before_the_question(tmp_path):
    row = {**ARC, "story": "It was cold."}
    found = read(jsonl(tmp_path, [row]), "multiple_choice", context="story").test
    assert found["question"].tolist() == ["It was cold.\n\nWhich is warm?"]


def test_options_do_not_count_for_the_overlap_check(tmp_path):
    path = jsonl(tmp_path, [ARC])
    with_letters = read(path, "multiple_choice", "letter").ngrams
    assert with_letters["n_words"].tolist() == [3]


def test_both_protocols_keep_every_question(tmp_path):
    rows = [{"question": f"q{i}", "answer": "1"} for i in range(200)]
    path = jsonl(tmp_path, rows)
    paper, held = read(path), read(path, protocol="heldout")
    assert len(paper.reward) == len(paper.test) == 200
    assert len(held.reward) + len(held.test) == 200
    assert not set(held.reward["question_id"]) & set(held.test["question_id"])
    assert 0.15 < len(held.reward) / 200 < 0.35
    assert len(held.ngrams) == 200


@given(st.lists(st.text(min_size=1), unique=True, max_size=30), st.randoms())
def test_an_id_falls_on_its_side_whatever_else_there_is(ids, random):
    sides = {name: questions._is_reward(name, 0.25) for name in ids}
    random.shuffle(ids)
    assert {name: questions._is_reward(name, 0.25) for name in ids} == sides
    later = {name: questions._is_reward(name, 0.5) for name in ids}
    assert all(later[name] for name, early in sides.items() if early)


def test_the_split_is_the_same_for_shuffled_rows(tmp_path):
    rows = [{"id": f"k{i}", "question": f"q{i}", "answer": "1"} for i in range(60)]
    ahead = read(jsonl(tmp_path, rows), protocol="heldout", id="id")
    back = read(jsonl(tmp_path, rows[::-1]), protocol="heldout", id="id")
    assert set(ahead.reward["question_id"]) == set(back.reward["question_id"])


def test_the_known_side_of_an_id_does_not_change():
    # sha256("gsm8k-test-00000")[:8] = 0x... as `sha256sum` prints it, over 2**64.
    import hashlib

    digest = hashlib.sha256(b"gsm8k-test-00000").hexdigest()
    place = int(digest[:16], 16) / 16**16
    assert questions._is_reward("gsm8k-test-00000", place + 1e-9)
    assert not questions._is_reward("gsm8k-test-00000", place - 1e-9)


def test_tables_can_be_written_and_read(tmp_path):
    found = read(jsonl(tmp_path, [ARC]), "multiple_choice")
    for kind, frame in [("questions", found.test), ("question_ngrams", found.ngrams)]:
        path = tmp_path / f"{kind}.parquet"
        tables.write(kind, frame, path, code="test", **found.notes)
        assert len(tables.read(kind, path)) == 1


def test_more_options_than_letters_are_refused():
    row = {"question": "q", "choices": [str(i) for i in range(27)], "gold": 0}
    with pytest.raises(options.Malformed, match="27 choices"):
        options.parse(row, {})


@pytest.mark.data
def test_real_gsm8k_golds_equal_the_published_final_answers(shared):
    import pandas as pd

    path = shared / "data" / "gsm8k_test.parquet"
    found = read(path, id="id", question="question", gold="answer").test
    assert len(found) == 1319
    published = pd.read_parquet(path)["final_answer"].str.replace(",", "")
    assert found["gold"].tolist() == published.tolist()


@pytest.mark.data
def test_real_arc_golds_equal_the_published_indices(shared):
    import pandas as pd

    path = shared / "data" / "arc_challenge_test.parquet"
    found = read(path, "multiple_choice", id="id", gold="answerKey").test
    source = pd.read_parquet(path)
    back = [p[int(g)] for p, g in zip(found["permutation"], found["gold"], strict=True)]
    assert back == source["answer_index"].tolist()


@pytest.mark.data
def test_real_musr_stories_are_put_before_their_questions(shared):
    path = shared / "data" / "musr_sample.parquet"
    found = read(path, "multiple_choice", id="id", context="context").test
    assert len(found) == 30
    assert found["question"].str.endswith("?").all()
    assert (found["question"].str.len() > 1000).all()

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmap.artifacts import tables
from tmap.cards.dataset import QuestionSource
from tmap.data import golds, options, questions
from tmap.errors import TmapError
from tmap.evaluation import readers

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


HOW = {"protocol": "paper", "share": 0.25, "metric": None, "gold_is": "auto"}


def read(path, task="generation", reader=None, **more):
    how = {**HOW, **{key: more.pop(key) for key in HOW if key in more}}
    return questions.read(
        "bench",
        QuestionSource(path=str(path), columns=more, gold_is=how["gold_is"]),
        task=task,
        reader=reader or ("number" if task == "generation" else "option"),
        protocol=how["protocol"],
        reward_share=how["share"],
        ngram=13,
        metric=how["metric"],
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
        (18.0, "18"),
        (-3.0, "-3"),
        (0.5, "0.5"),
        (10**400, "1" + "0" * 400),
        (1e6, "1000000"),
        (1e-7, "0.0000001"),
        (1e22, "1" + "0" * 22),
        (-0.0, "0"),
        ("98.0", "98.0"),
        ("3,5", "3,5"),
        ("1,2,3", "1,2,3"),
        ("1.000,5", "1.000,5"),
        ("+5", "5"),
        ("$-1,234", "-1234"),
        ("#### .5", ".5"),
    ],
)
def test_gold_is_the_final_answer_as_a_plain_number(tmp_path, answer, gold):
    found = read(jsonl(tmp_path, [{"question": "How many?", "answer": answer}]))
    assert found.test["gold"].tolist() == [gold]


def test_ids_of_a_column_that_pandas_made_floats_are_whole(tmp_path):
    rows = [{"question": f"{n}?", "answer": "1", "n": float(n)} for n in range(2)]
    found = read(jsonl(tmp_path, rows), id="n")
    assert found.test["question_id"].tolist() == ["0", "1"]


@pytest.mark.parametrize("value", [1.5, True, [1], " ", "\u200b", None])
def test_what_is_no_id_of_a_question_is_refused(tmp_path, value):
    rows = [{"question": "?", "answer": "1", "n": value}]
    with pytest.raises(TmapError, match="no id under 'n'"):
        read(jsonl(tmp_path, rows), id="n")


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


THREE = ["ice", "fire", "snow"]
LETTERS = {"text": THREE, "label": ["A", "B", "C"]}
NUMBERS = {"text": THREE, "label": [1, 2, 3]}
STRUCTS = [{"label": x, "text": t} for x, t in zip("ABC", THREE, strict=True)]
#: choices and a gold that is "fire"; what numbers mean needs no other row
DRESSED = [
    (THREE, gold)
    for gold in (
        "(B)",
        "b.",
        "b",
        "B)",
        "[B]",
        "**B**",
        "Answer: B",
        "answer: (b)",
        "The correct answer is B.",
        "Option B",
        "\\boxed{B}",
        "B. fire",
        "(B) Fire",
        "Answer: B) fire.",
        "Fire",
        " fire. ",
        ["B"],
    )
] + [
    (LETTERS, "B"),
    (LETTERS, "(b)"),
    (LETTERS, "fire"),
    (NUMBERS, 2),
    (NUMBERS, "2"),
    (NUMBERS, 2.0),
    (NUMBERS, "(2)"),
    ({"text": THREE, "label": ["1", "2", "3"]}, 2),
    ({"text": THREE, "label": [0, 1, 2]}, 1),
    ({"text": THREE, "label": [10, 20, 30]}, 20),
    ({"text": THREE, "label": ["(A)", "(B)", "(C)"]}, "B"),
    ({"text": THREE, "label": ["a.", "b.", "c."]}, "B"),
    (dict(zip("ABC", THREE, strict=True)), "B"),
    ({**dict(zip("ABC", THREE, strict=True)), "D": None}, "B"),
    (STRUCTS, "B"),
    ([{"key": s["label"], "value": s["text"]} for s in STRUCTS], "b)"),
    ([{"id": n, "content": s["text"]} for n, s in enumerate(STRUCTS, 1)], 2),
    (json.dumps(STRUCTS), "B"),
    (THREE, "B - fire"),
    (THREE, "B \u2013 Fire."),
    (THREE, "The answer is fire"),
    (THREE, "Answer: fire."),
    (["A) ice", "B) fire", "C) snow"], "B"),
    (["A) ice", "B) fire", "C) snow"], "B) fire"),
    (["A)ice", "B)fire", "C)snow"], "fire"),
    (["(A) ice", "(B) fire", "(C) snow"], "(B)"),
    (["C. ice", "A. fire", "B. snow"], "A"),
    (["A: ice", "B: fire"], "b"),
    (["[A] ice", "[B] fire"], "B"),
    ("['ice' 'fire' 'snow']", "B"),
    ("['ice' 'fire'\n 'snow']", "B"),
    ("[\"ice\" 'fire']", "B"),
    (["ice", "fire", None, None], "B"),
    (["ice", "fire", "snow", ""], "B"),
    ({"text": ["ice", "fire", "snow", None]}, "B"),
]


@pytest.mark.parametrize(("choices", "gold"), DRESSED)
def test_a_gold_in_any_dress_is_the_option_that_it_names(tmp_path, choices, gold):
    row = {"question": "Which is warm?", "choices": choices, "gold": gold}
    found = read(jsonl(tmp_path, [row]), "multiple_choice").test.iloc[0]
    assert gold_text(found) == "fire"


FOUR = ["ice", "fire", "snow", "rain"]


@pytest.mark.parametrize(
    ("golds", "first", "how"),
    [
        ([1, 0, 3], "fire", {}),
        (["1", "0", "3"], "fire", {}),
        ([1, 2, 4], "ice", {}),
        (["1", "2", "4"], "ice", {}),
        ([1.0, 2.0, 4.0], "ice", {}),
        ([3, 1, 4], "snow", {}),
        (["(3)", "1.", "4"], "snow", {}),
        ([1, 2, 3], "ice", {"gold_is": "from_1"}),
        ([1, 2, 3], "fire", {"gold_is": "from_0"}),
        ([1, 2, "C"], "fire", {"gold_is": "from_0", "rows": 2}),
        ([1, "B", 4], "ice", {}),
        ([1, "fire", 0], "fire", {}),
        ([1, 2, 3], "fire", {"name": "answer_index"}),
        ([1, 2, 4], "ice", {"name": "answer_index"}),
    ],
)
def test_numbers_count_from_where_the_file_shows(tmp_path, golds, first, how):
    name = how.pop("name", "gold") if "name" in how else "gold"
    rows = [
        {"question": f"Which is {n}?", "choices": FOUR, name: gold}
        for n, gold in enumerate(golds[: how.pop("rows", 9)])
    ]
    found = read(jsonl(tmp_path, rows), "multiple_choice", gold=name, **how).test
    assert gold_text(found.iloc[0]) == first


@pytest.mark.parametrize(
    ("options_", "golds"),
    [
        ([FOUR] * 5, [1, 4, 0, 4, 2]),  # from 1, and 0 may say that there is none
        ([["12", "15"], ["5", "7"], ["1", "2", "3"]], ["15", "0", "2"]),
        ([["12", "15"], ["5", "7"], ["1", "2", "3"]], [12, 0, 2]),
    ],
)
def test_a_file_whose_golds_contradict_one_another_is_asked_about(
    tmp_path, options_, golds
):
    rows = [
        {"question": f"Which is {n}?", "choices": choices, "gold": gold}
        for n, (choices, gold) in enumerate(zip(options_, golds, strict=True))
    ]
    with pytest.raises(TmapError, match=r"may be read .*: set `gold_is:`"):
        read(jsonl(tmp_path, rows), "multiple_choice")


@pytest.mark.parametrize(
    ("options_", "golds", "texts", "how"),
    [
        (["12", "15", "18"], [15, 12], ["15", "12"], {}),
        (["3", "1", "2"], ["3", "1"], ["3", "1"], {}),
        (["3", "1", "2"], [1, 2], ["3", "1"], {"gold_is": "from_1"}),
        (["3", "1", "2"], [1, 2], ["1", "2"], {"gold_is": "text"}),
        (["B", "A", "C"], ["A", "B"], ["A", "B"], {"gold_is": "text"}),
        (["B", "A", "C"], ["A", "B"], ["B", "A"], {"gold_is": "label"}),
        (["3", "4", "none"], ["0", "2"], ["3", "none"], {}),
        ([12, 15, 18], [15, 12], ["15", "12"], {}),
        ([0.5, 1.0, 2.5], ["0.5", "2.5"], ["0.5", "2.5"], {}),
        (["A. Smith", "C. Jones"], ["C. Jones"], ["C. Jones"], {}),
        (["A) 3", "A) 4"], ["A) 4"], ["A) 4"], {}),
    ],
)
def test_options_that_are_numbers_or_letters(tmp_path, options_, golds, texts, how):
    rows = [
        {"question": f"Which is {n}?", "choices": options_, "gold": gold}
        for n, gold in enumerate(golds)
    ]
    found = read(jsonl(tmp_path, rows), "multiple_choice", **how).test
    assert [gold_text(row) for _, row in found.iterrows()] == texts


@pytest.mark.parametrize("metric", ["strict", "flexible", "numeric"])
@pytest.mark.parametrize(
    "gold", [0.10000000149011612, 1 / 3, "0.3333333333", "-2.718281828"]
)
def test_golds_with_more_decimals_than_an_answer_are_named(tmp_path, metric, gold):
    rows = [{"question": f"q{i}", "answer": a} for i, a in enumerate([18, gold])]
    (told,) = read(jsonl(tmp_path, rows), metric=metric).warnings
    assert told.startswith("1 of 2 golds") and "more decimals than an answer" in told
    assert told.endswith("Round the golds of the file as its questions ask.")


@given(st.decimals(-(10**6), 10**6, places=4))
def test_the_noise_of_sums_of_floats_is_no_part_of_a_gold(value):
    noisy = float(value) * (1 + 2**-52)  # the next float, or the one after it
    assert golds.written(noisy) == golds.written(float(value))


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=20),
    st.integers(2, 6),
    st.booleans(),
)
def test_a_file_that_shows_where_it_counts_from_is_read_so(places, n, zero):
    places = [place % n for place in places] + [0 if zero else n - 1]
    rows = [
        {"choices": [f"o{i}" for i in range(n)], "gold": place + (not zero)}
        for place in places
    ]
    rule = options.survey(rows, {}, "auto")
    for row, place in zip(rows, places, strict=True):
        assert options.parse({"question": "q", **row}, {}, rule).gold == place


@pytest.mark.parametrize(
    ("gold", "metric", "said"),
    [
        ("98.0", "flexible", "right only in the same digits"),
        ("98.0", "strict", "right only in the same digits"),
        ("2.50", "flexible", "right only in the same digits"),
        ("-.50", "strict", "right only in the same digits"),
        ("007", "flexible", "right only in the same digits"),
        ("3/4", "flexible", "marked right: their own text is marked wrong"),
        ("5 apples", "flexible", "their own text is marked wrong"),
        ("50%", "strict", "their own text is marked wrong"),
        ("1 000", "flexible", "their own text is marked wrong"),
        ("1e6", "flexible", "their own text is marked wrong"),
        ("10:30", "strict", "their own text is marked wrong"),
        ("2 or 3", "flexible", "their own text is marked wrong"),
        ("\u20135", "flexible", "their own text is marked wrong"),
        ("3,5", "flexible", "read as another number"),
        ("1,2,3", "strict", "read as another number"),
        ("1.000,5", "flexible", "read as another number"),
        ("025", "strict", "right only in the same digits"),
        ("9 (apples)", "flexible", "their own text is marked wrong"),
        ("90^\\circ", "flexible", "their own text is marked wrong"),
        ("The answer is 18.", "flexible", "their own text is marked wrong"),
        ("(3, 4)", "flexible", "their own text is marked wrong"),
        ("US$18", "flexible", "their own text is marked wrong"),
    ],
)
def test_golds_that_a_metric_does_not_mark_as_people_do_are_named(
    tmp_path, caplog, gold, metric, said
):
    rows = [{"question": f"q{i}", "answer": a} for i, a in enumerate(["18", gold])]
    (told,) = read(jsonl(tmp_path, rows), metric=metric).warnings
    assert told.startswith("1 of 2 golds") and said in told and repr(gold) in told
    assert told in caplog.text
    by_value = golds.gold_value(gold) is not None
    assert ("Set `metric: numeric`" in told) is by_value


@pytest.mark.parametrize(
    "gold",
    [
        "18",
        "-0.5",
        "1,000",
        "3/4",
        "5 apples",
        "50%",
        "1e6",
        "98.0",
        "1 000",
        "$5",
        "1.000,5",
    ],
)
def test_golds_that_numeric_reads_need_no_word(tmp_path, gold):
    rows = [{"question": "q", "answer": gold}]
    assert read(jsonl(tmp_path, rows), metric="numeric").warnings == []


def test_one_group_is_named_if_points_are_thousands_elsewhere(tmp_path):
    rows = [
        {"question": f"q{i}", "answer": a} for i, a in enumerate(["1.000,5", "2.500"])
    ]
    (told,) = read(jsonl(tmp_path, rows), metric="numeric").warnings
    assert "'2.500'" in told and "1 of 2" in told


def test_a_float_column_is_read_as_the_numbers_that_it_holds(tmp_path):
    import pandas as pd

    path = tmp_path / "q.parquet"
    pd.DataFrame({"question": ["a", "b"], "answer": [18.0, 2.5]}).to_parquet(path)
    found = read(path, metric="flexible")
    assert found.test["gold"].tolist() == ["18", "2.5"]
    assert found.warnings == []


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
@pytest.mark.parametrize("part", ["test", "train"])
@pytest.mark.parametrize("metric", ["strict", "flexible", "numeric"])
def test_every_real_gsm8k_solution_is_marked_right(shared, part, metric):
    import pandas as pd

    path = shared / "data" / f"gsm8k_{part}.parquet"
    found = read(path, id="id", gold="answer", metric=metric)
    assert found.warnings == []
    published = pd.read_parquet(path)["answer"]
    for text, gold in zip(published, found.test["gold"], strict=True):
        assert readers.mark(readers.read_number(text), gold, metric)
        assert float(readers.read_number(text).numeric) == float(gold)


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


ASKED = {"question": "1+1?", "answer": "2"}
CHOSEN = {"question": "Which?", "choices": ["a", "b"], "answerKey": "A"}
#: Row, task, the card's columns, and what is reported.
LEFT = {
    "nothing": (ASKED, "generation", {}, {}),
    "a topic": ({**ASKED, "topic": "sums"}, "generation", {}, {"topic": 1}),
    "two columns": ({**ASKED, "a": 1, "b": "x"}, "generation", {}, {"a": 1, "b": 1}),
    "an empty one": ({**ASKED, "topic": " "}, "generation", {}, {}),
    "nulls": ({**ASKED, "topic": None, "more": [None]}, "generation", {}, {}),
    "zero and false": (
        {**ASKED, "a": 0, "b": False},
        "generation",
        {},
        {"a": 1, "b": 1},
    ),
    "an id that the card names": ({**ASKED, "id": 7}, "generation", {"id": "id"}, {}),
    "an id that it does not name": ({**ASKED, "id": 7}, "generation", {}, {"id": 1}),
    "a worked answer that it names": (
        {**ASKED, "why": "so"},
        "generation",
        {"answer": "why"},
        {},
    ),
    "a subtask that it names": (
        {**ASKED, "part": "x"},
        "generation",
        {"subtask": "part"},
        {},
    ),
    "an explanation of a choice": (
        {**CHOSEN, "why": "x"},
        "multiple_choice",
        {},
        {"why": 1},
    ),
    "several columns of choices": (
        {"question": "Which?", "A": "x", "B": "y", "answer": "A", "C": "z"},
        "multiple_choice",
        {"choices": "A, B", "gold": "answer"},
        {"C": 1},
    ),
    "a context that is read": (
        {**ASKED, "text": "t"},
        "generation",
        {"context": "text"},
        {},
    ),
}


@pytest.mark.parametrize("name", LEFT)
def test_no_column_of_a_question_is_left_out_without_a_word(tmp_path, caplog, name):
    row, task, columns, expected = LEFT[name]
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    with caplog.at_level("INFO"):
        found = questions.read(
            "mine",
            QuestionSource(path=str(path), columns=columns),
            task=task,
            reader="option" if task == "multiple_choice" else "number",
            protocol="paper",
            reward_share=0.5,
            ngram=13,
        )
    assert found.notes["not_read"] == expected
    assert all(f"{column} (1)" in caplog.text for column in expected)

import pandas as pd
import pytest

from tmap.artifacts import tables
from tmap.cards.dataset import ResponseSource
from tmap.data import responses
from tmap.data.sources import hub, leaderboard, rows
from tmap.errors import TmapError


def questions(n=4, choices=None):
    return pd.DataFrame(
        {
            "question_id": [f"q{i}" for i in range(n)],
            "question": [f"What is {i} plus {i}?" for i in range(n)],
            "choices": [choices] * n,
            "row": [2 * i for i in range(n)],
        }
    )


def write(folder, records, name="history.parquet"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(records).to_parquet(path)
    return str(path)


def cells(found):
    table = found.responses
    return list(table.itertuples(index=False, name=None))


def long(**answers):
    return [
        {"subject_id": subject, "question_id": f"q{i}", "is_correct": right}
        for subject, given in answers.items()
        for i, right in enumerate(given)
    ]


def test_a_long_history_is_sorted_by_subject_then_question(tmp_path):
    path = write(tmp_path, long(b=[1, 0], a=[0, 0]))
    found = responses.read(ResponseSource(path=path), questions(2))
    assert cells(found) == [
        ("a", "q0", False),
        ("a", "q1", False),
        ("b", "q0", True),
        ("b", "q1", False),
    ]


def test_answers_to_other_questions_are_left_out(tmp_path):
    path = write(tmp_path, long(a=[1, 0, 1, 1, 0, 0]))
    found = responses.read(ResponseSource(path=path), questions(2))
    assert {question for _, question, _ in cells(found)} == {"q0", "q1"}


@pytest.mark.parametrize("name", ["history.csv", "history.tsv"])
@pytest.mark.parametrize(
    ("right", "wrong", "open_"),
    [
        ("1", "0", ""),
        ("1.0", "0.0", "nan"),
        ("True", "False", "NaN"),
        ("true", "0", " "),
    ],
)
def test_a_table_of_text_is_a_history_too(tmp_path, name, right, wrong, open_):
    given = zip("abc", ([right, wrong], [wrong, right], [right, open_]), strict=True)
    path, sign = tmp_path / name, "," if name.endswith("csv") else "\t"
    pd.DataFrame(long(**dict(given))).to_csv(path, sep=sign, index=False)
    found = responses.read(ResponseSource(path=str(path)), questions(2))
    assert cells(found) == [
        *(("a", "q0", True), ("a", "q1", False)),
        *(("b", "q0", False), ("b", "q1", True)),
        ("c", "q0", True),
    ]


def test_question_ids_of_a_float_column_are_those_of_the_questions(tmp_path):
    asked = questions(2).assign(question_id=["0", "1"])
    answers = [
        {"subject_id": "a", "question_id": float(n), "is_correct": n} for n in range(2)
    ]
    found = responses.read(ResponseSource(path=write(tmp_path, answers)), asked)
    assert cells(found) == [("a", "0", False), ("a", "1", True)]


def test_a_wide_history_is_joined_by_the_row_of_the_question(tmp_path):
    # Question i is in source row 2 i, so q1 is column i0002.
    record = {"model": "m", "i0000": 0, "i0001": 1, "i0002": 1, "accuracy": 0.5}
    path = write(tmp_path, [record])
    source = ResponseSource(
        path=path, format="wide", subject="model", item_pattern="i{row:04d}"
    )
    assert cells(responses.read(source, questions(2))) == [
        ("m", "q0", False),
        ("m", "q1", True),
    ]


def test_wide_columns_are_question_ids_without_a_pattern(tmp_path):
    path = write(tmp_path, [{"subject_id": "m", "q0": True, "q1": None}])
    source = ResponseSource(path=path, format="wide")
    assert cells(responses.read(source, questions(2))) == [("m", "q0", True)]


@pytest.mark.parametrize(("present", "fails"), [(99, False), (98, True)])
def test_under_99_percent_of_the_columns_is_refused(tmp_path, present, fails):
    record = {"subject_id": "m", **{f"q{i}": 1 for i in range(present)}}
    source = ResponseSource(path=write(tmp_path, [record]), format="wide")
    if fails:
        with pytest.raises(TmapError, match="Only 98 of 100 reward questions"):
            responses.read(source, questions(100))
    else:
        assert len(responses.read(source, questions(100)).responses) == 99


def test_foreign_question_ids_are_refused(tmp_path):
    source = ResponseSource(path=write(tmp_path, long(a=[1, 0])))
    other = questions(2).assign(question_id=["x", "y"])
    with pytest.raises(TmapError, match="Only 0 of 2 reward questions"):
        responses.read(source, other)


def test_subjects_that_answer_alike_are_counted_once(tmp_path):
    path = write(tmp_path, long(b=[1, 0], a=[1, 0], c=[0, 0]))
    found = responses.read(ResponseSource(path=path), questions(2))
    assert found.responses["subject_id"].unique().tolist() == ["a", "c"]
    assert found.notes["duplicates"] == 1
    assert found.notes["n_subjects"] == 2


def test_exclusion_looks_at_every_name_of_the_row_in_any_case(tmp_path):
    records = [
        {"subject_id": "s1", "matched_name": "org/Llama-2-13B-chat", "q0": 1},
        {"subject_id": "LLAMA-2-13b", "matched_name": None, "q0": 0},
        {"subject_id": "s3", "matched_name": "org/other", "q0": 1},
    ]
    source = ResponseSource(
        path=write(tmp_path, records), format="wide", exclude=["*llama-2-13b*"]
    )
    found = responses.read(source, questions(1))
    assert cells(found) == [("s3", "q0", True)]
    assert found.notes["excluded"] == ["LLAMA-2-13b", "s1"]


SHOT = "Question: What is 3 plus 3?\nAnswer: 6\n\n"


def details(order, right, metric="acc", column="full_prompt"):
    return [
        {
            column: f"{SHOT}Question: What is {i}  plus {i}?\nAnswer:",
            "metrics": {metric: float(right[i])},
        }
        for i in order
    ]


def test_leaderboard_rows_are_joined_by_text_not_by_position(tmp_path):
    right = [1, 0, 0, 0]
    for subject, order in (("org__a", [2, 0, 3, 1]), ("org__b", [1, 3, 0, 2])):
        given = right if subject == "org__a" else right[::-1]
        name = f"details_{subject}/2024/details_harness|gsm8k|5_2024.parquet"
        write(tmp_path, details(order, given), name)
    write(
        tmp_path, [{"x": 1}], "details_org__a/2024/details_harness|arc|25_2024.parquet"
    )
    source = ResponseSource(
        path=str(tmp_path), format="leaderboard_v1", subset="harness_gsm8k_5"
    )
    found = responses.read(source, questions(4)).responses
    got = found.pivot(index="subject_id", columns="question_id", values="is_correct")
    assert got.index.tolist() == ["org/a", "org/b"]
    assert got.loc["org/a"].tolist() == [True, False, False, False]
    assert got.loc["org/b"].tolist() == [False, False, False, True]


def test_the_newest_details_of_a_subject_count(tmp_path):
    for day, right in (("2024-01-02", [1, 1]), ("2023-09-01", [0, 0])):
        name = f"details_org__a/{day}/details_harness|gsm8k|5_{day}.parquet"
        write(tmp_path, details([0, 1], right), name)
    source = ResponseSource(path=str(tmp_path), format="leaderboard_v1")
    assert responses.read(source, questions(2)).responses["is_correct"].all()


def test_a_question_that_itself_says_question_is_matched():
    known = {"Read. Question: why?": "q7"}
    row = {"full_prompt": f"{SHOT}Question: Read.\nQuestion: why?\nAnswer:"}
    assert leaderboard._match(row, known) == "q7"


def test_lettered_options_do_not_hinder_the_join(tmp_path):
    asked = questions(1, choices=["x", "y"])
    asked["question"] += "\n\n(A) x\n(B) y"
    path = write(tmp_path, details([0], [1], column="example"), "org__m.parquet")
    source = ResponseSource(path=path, format="leaderboard_v1")
    found = responses.read(source, asked)
    assert cells(found) == [("org/m", "q0", True)]


def test_a_text_that_two_questions_share_is_not_guessed_at(tmp_path):
    asked = questions(3)
    asked.loc[2, "question"] = asked.loc[1, "question"]
    path = write(tmp_path, details([0, 1, 1], [1, 1]), "org__m.parquet")
    source = ResponseSource(path=path, format="leaderboard_v1")
    assert cells(responses.read(source, asked)) == [("org/m", "q0", True)]


@pytest.fixture
def fake_hub(monkeypatch):
    """A hub that has details of every subject except those named 'gone'."""

    def commit(name, revision):
        if "gone" in name:
            raise hub.Missing(f"no {name}")
        if "busy" in name:
            raise TmapError(f"status 503 for {name}")
        return "c" * 40

    def load(name, subset, split, commit):
        assert (subset, split) == ("harness_gsm8k_5", "latest")
        number = int(name.rsplit("m", 1)[1])
        return details([1, 0], [number & 1, number >> 1 & 1])

    monkeypatch.setattr(hub, "dataset_commit", commit)
    monkeypatch.setattr(rows, "load_hub", load)


def hub_source(subjects):
    return ResponseSource(
        hub="open-llm-leaderboard-old",
        subset="harness_gsm8k_5",
        split="latest",
        format="leaderboard_v1",
        subjects=subjects,
    )


def test_a_hub_history_reads_one_dataset_per_subject(fake_hub):
    found = responses.read(hub_source(["o/m1", "o/m2"]), questions(2))
    assert cells(found) == [
        ("o/m1", "q0", True),
        ("o/m1", "q1", False),
        ("o/m2", "q0", False),
        ("o/m2", "q1", True),
    ]
    assert found.notes["revision"] == {"o/m1": "c" * 40, "o/m2": "c" * 40}


def test_few_missing_subjects_are_noted_and_many_are_refused(fake_hub):
    some = [f"o/m{i}" for i in range(9)]
    found = responses.read(hub_source([*some, "o/gone"]), questions(2))
    assert found.notes["missing"] == ["o/gone"]
    with pytest.raises(TmapError, match="2 of 11 subjects"):
        responses.read(hub_source([*some, "o/gone", "o/gone2"]), questions(2))


def test_a_fault_that_may_pass_stops_and_changes_no_history(fake_hub):
    some = [f"o/m{i}" for i in range(11)]
    with pytest.raises(TmapError, match="status 503"):
        responses.read(hub_source([*some, "o/busy"]), questions(2))


@pytest.mark.data
def test_the_real_matrix_has_146_distinct_subjects_on_1319_questions(shared, tmp_path):
    test = pd.read_parquet(shared / "data" / "gsm8k_test.parquet")
    asked = pd.DataFrame({"question_id": test["id"], "row": range(len(test))})
    path = shared / "data" / "responses_gsm8k.parquet"
    source = ResponseSource(
        path=str(path), format="wide", subject="model", item_pattern="i{row:05d}"
    )
    found = responses.read(source, asked)
    assert len(found.responses) == 146 * 1319
    assert found.notes["duplicates"] == 4
    published = pd.read_parquet(path).set_index("model")["accuracy"]
    mean = found.responses.groupby("subject_id")["is_correct"].mean()
    assert (mean - published[mean.index]).abs().max() < 1e-9
    out = tmp_path / "responses.parquet"
    tables.write("responses", found.responses, out, code="test", **found.notes)

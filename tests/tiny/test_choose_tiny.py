import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from project import ROOT
from tmap.artifacts import tables
from tmap.commands import choose_tiny, fit_irt
from tmap.errors import TmapError
from tmap.tiny import anchors, calibration, estimators
from tmap.tiny import choose as tiny
from tmap.tiny.crosscheck import against_girth
from tmap.tiny.history import from_table


@pytest.fixture(scope="module")
def world():
    """60 questions, 50 subjects: (questions, responses, calibration)."""
    rng = np.random.default_rng(0)
    ability, easy = rng.standard_normal((50, 1)), rng.normal(0, 1.5, 60)
    correct = rng.random((50, 60)) < 1 / (1 + np.exp(-(ability + easy)))
    ids = [f"q{i:03}" for i in range(60)]
    wide = pd.DataFrame(correct, [f"s{i:02}" for i in range(50)], ids)
    responses = wide.rename_axis("subject_id").reset_index()
    responses = responses.melt("subject_id", None, "question_id", "is_correct")
    words = "apples bread cats dogs eggs figs".split()
    questions = pd.DataFrame(
        {
            "question_id": ids,
            "question": [f"{words[i % 6]} {words[i // 10]} {i}" for i in range(60)],
            "choices": None,
            "permutation": None,
            "gold": "1",
            "row": range(60),
        }
    )
    return questions, responses, calibration.calibrate(responses, [1, 2])


def choose(world, n_anchors=12, n_confirm=8, **options):
    questions, responses, found = world
    return tiny.choose(
        questions,
        found.items,
        found.notes,
        responses,
        n_anchors=n_anchors,
        n_confirm=n_confirm,
        **options,
    )


def test_tiny_holds_three_anchor_sets_whose_weights_sum_to_one(world):
    sets = choose(world)

    for table, size in ((sets.tiny, 12), (sets.confirm, 8)):
        for _, rows in table.groupby("anchor_set"):
            assert rows["question_id"].nunique() == len(rows) == size
            assert rows["weight"].sum() == pytest.approx(1)
        assert set(table["anchor_set"]) == {"kmeans", "stratified", "greedy"}


def test_confirm_shares_no_question_with_tiny(world):
    sets = choose(world, n_anchors=30, n_confirm=30)

    assert not set(sets.tiny["question_id"]) & set(sets.confirm["question_id"])


def test_more_anchors_than_questions_are_refused_with_the_keys(world):
    with pytest.raises(TmapError, match=r"60 reward.*\(40\).*n_confirm \(21\) need 61"):
        choose(world, n_anchors=40, n_confirm=21)


def test_without_confirm_its_table_is_empty(world):
    sets = choose(world, n_confirm=0)

    assert len(sets.confirm) == 0
    assert list(sets.confirm.columns) == list(sets.tiny.columns)


def test_notes_carry_the_constants_and_the_agreement_with_girth(world):
    sets = choose(world)
    b, v = sets.tiny_notes["b"], sets.tiny_notes["v"]

    assert sets.tiny_notes["lambda"] == pytest.approx(b**2 / (b**2 + v / 48))
    assert sets.confirm_notes["lambda"] == pytest.approx(b**2 / (b**2 + v / 32))
    assert sets.tiny_notes["girth_agreement"] > 0.8
    fitted = sets.tiny.groupby("anchor_set")["girth_difficulty"].count()
    assert fitted["kmeans"] > 9 and fitted["greedy"] == 0


def test_same_seed_same_tables_and_another_seed_others(world):
    first, again, other = (choose(world, seed=s).tiny for s in (0, 0, 1))

    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_a_stale_irt_table_is_refused(world):
    questions, responses, found = world

    with pytest.raises(TmapError, match="does not belong"):
        tiny.choose(
            questions,
            found.items.iloc[1:],
            found.notes,
            responses,
            n_anchors=5,
            n_confirm=5,
        )


def test_without_a_history_texts_are_clustered_and_a_warning_says_so(world):
    sets = tiny.choose(world[0], None, None, None, n_anchors=6, n_confirm=6)

    assert set(sets.tiny["anchor_set"]) == {"kmeans"}
    assert sets.tiny["weight"].sum() == pytest.approx(1)
    assert not set(sets.tiny["question_id"]) & set(sets.confirm["question_id"])
    assert "no response history" in sets.tiny_notes["warning"]
    made = estimators.build("weighted_mean", sets.tiny, sets.tiny_notes)
    assert made.estimate(np.ones(6, bool)) == pytest.approx(1)
    # a coin's standard error: 1 / (2 sqrt 6)
    assert made.se_items == pytest.approx(0.2041241)


def test_an_estimator_that_needs_a_history_is_refused_before_the_search(world):
    with pytest.raises(TmapError, match="'gp_irt' learns from a history"):
        tiny.choose(
            world[0], None, None, None, n_anchors=6, n_confirm=6, estimator="gp_irt"
        )


def test_kmeans_takes_the_middle_of_each_cloud_with_its_share():
    # Clouds of 3 and 2 points; the middle point is nearest to its centroid.
    points = np.array([[0.0], [1.1], [2.0], [100.0], [100.4]])

    chosen = anchors.kmeans(points, 2, seed=0)

    found = dict(zip(chosen.position, chosen.weight, strict=True))
    assert found.pop(1) == pytest.approx(0.6)
    assert list(found.values()) == [pytest.approx(0.4)]


def test_kmeans_on_identical_questions_still_takes_different_ones():
    with pytest.warns(ConvergenceWarning):
        chosen = anchors.kmeans(np.zeros((6, 2)), 4, seed=0)

    assert len(set(chosen.position)) == 4
    assert chosen.weight.sum() == pytest.approx(1)


def test_stratified_takes_one_question_of_every_stratum():
    facility = np.array([0.9, 0.1, 0.5, 0.2, 0.8, 0.55, 0.7])

    chosen = anchors.stratified(facility, 3, seed=0)

    # Sorted positions 1 3 2 | 5 6 | 4 0: strata of 3, 2 and 2 of 7 questions.
    strata = ({1, 3, 2}, {5, 6}, {4, 0})
    assert all(p in s for p, s in zip(chosen.position, strata, strict=True))
    assert chosen.weight == pytest.approx([3 / 7, 2 / 7, 2 / 7])


def test_greedy_finds_the_two_questions_that_make_the_accuracy():
    rng = np.random.default_rng(0)
    one, two = rng.integers(0, 2, (2, 400)).astype(float)
    noise = np.tile([0.0, 1.0], 200)
    copies = [one] * 6 + [two] * 3 + [noise]

    chosen = anchors.greedy(np.column_stack(copies), 2)

    assert chosen.position[0] in range(6)
    assert chosen.position[1] in range(6, 9)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_division_leaves_enough_of_the_whole_range_to_both(data):
    n = data.draw(st.integers(4, 200))
    n_anchors = data.draw(st.integers(1, n - 1))
    n_confirm = data.draw(st.integers(0, n - n_anchors))
    seed = data.draw(st.integers(0, 1000))
    difficulty = np.random.default_rng(seed).random(n)

    tiny_half, confirm_half = anchors.divide(difficulty, n_anchors, n_confirm, seed)
    chosen = anchors.stratified(difficulty, n_anchors, seed, tiny_half)

    assert (tiny_half ^ confirm_half).all()
    assert tiny_half.sum() >= n_anchors and confirm_half.sum() >= n_confirm
    assert len(set(chosen.position)) == n_anchors and tiny_half[chosen.position].all()
    assert chosen.weight.sum() == pytest.approx(1)
    if n_confirm:
        ranks = np.flatnonzero(confirm_half[np.argsort(difficulty)])
        assert np.diff(ranks).max(initial=0) <= -(-(n_anchors + n_confirm) // n_confirm)


def test_girth_leaves_constant_questions_open():
    rng = np.random.default_rng(1)
    easy = np.array([9.0, 1.5, 0.5, -0.5, -1.5])
    answers = (rng.logistic(size=(200, 5)) + rng.normal(size=(200, 1)) < easy) * 1.0
    answers[:, 0] = 1

    check = against_girth(answers, -easy)

    assert np.isnan(check.difficulty[0])
    assert check.note == "girth fitted 4 of 5 anchors"
    assert check.agreement == pytest.approx(1)


def test_a_failing_girth_is_reported_and_nothing_is_invented(monkeypatch):
    def fail(_):
        raise np.linalg.LinAlgError("singular")

    monkeypatch.setattr("tmap.tiny.crosscheck._twopl", fail)

    check = against_girth(np.eye(5), np.arange(5.0))

    assert np.isnan(check.difficulty).all()
    assert check.agreement is None
    assert check.note == "girth fitted 0 of 5 anchors (LinAlgError)"


@pytest.fixture
def card(tmp_path, monkeypatch):
    folder = tmp_path / "cards" / "datasets"
    folder.mkdir(parents=True)
    (folder / "quiz.yaml").write_text(
        "task: generation\npool: {path: p.jsonl}\nquestions: {path: q.jsonl}\n"
        "irt: {dimensions: [1, 2]}\ntiny: {n_anchors: 10, n_confirm: 5}\n"
    )
    monkeypatch.setenv("TMAP_CARDS", str(folder.parent))
    return "quiz"


def test_commands_write_tables_that_can_be_read_back(world, card, tmp_path):
    questions, responses, _ = world
    path = {n: tmp_path / f"{n}.parquet" for n in "q r irt abilities tiny conf".split()}
    tables.write("questions", questions, path["q"], code="")
    tables.write("responses", responses, path["r"], code="")

    fit_irt.run(card, path["r"], path["irt"], path["abilities"])
    history = [path["irt"], path["abilities"], path["r"]]
    choose_tiny.run(card, path["q"], path["tiny"], path["conf"], history=history)

    assert len(tables.read("irt", path["irt"])) == 60
    subjects = tables.read("abilities", path["abilities"])
    assert list(subjects["subject_id"]) == list(from_table(responses).subject_ids)
    table, about = tables.read("tiny", path["tiny"]), tables.metadata(path["tiny"])
    assert len(table) == 30 and len(tables.read("tiny", path["conf"])) == 15
    made = estimators.build(
        "gp_irt", table, about, tables.read("irt", path["irt"]), responses
    )
    assert 0 < made.se_items < 0.1
    assert about["seed"] == 0


def test_choose_tiny_works_without_a_history(world, card, tmp_path):
    tables.write("questions", world[0], tmp_path / "q.parquet", code="")

    choose_tiny.run(
        card, tmp_path / "q.parquet", tmp_path / "t.parquet", tmp_path / "c.parquet"
    )

    assert "no response history" in tables.metadata(tmp_path / "t.parquet")["warning"]
    assert tables.read("tiny", tmp_path / "t.parquet")["girth_difficulty"].isna().all()


def test_an_encoders_vectors_replace_the_words_of_the_questions(world, card, tmp_path):
    """Vectors on two far ends: each of two anchors is of another end, half the weight."""
    questions = world[0]
    end = np.arange(len(questions)) % 2
    files = [tmp_path / f"{name}.parquet" for name in ("q", "t", "c", "v")]
    tables.write("questions", questions, files[0], code="")
    vectors = pd.DataFrame(
        {
            "sample_id": questions["question_id"],
            "embedding": list(np.eye(2, dtype=np.float32)[end]),
            "n_tokens": 3,
            "status": "ok",
        }
    )
    tables.write("embeddings", vectors.iloc[::-1], files[3], code="")

    choose_tiny.run(card, *files[:3], n_anchors="2", vectors=str(files[3]))

    tiny = tables.read("tiny", files[1])
    chosen = questions.set_index("question_id").index.get_indexer(tiny["question_id"])
    assert sorted(end[chosen]) == [0, 1]


@pytest.mark.data
def test_gp_irt_beats_random_questions_on_gsm8k(shared):
    program = ROOT / "benchmarks" / "tiny_set.py"
    responses = shared / "data" / "responses_gsm8k.parquet"
    options = ["--sizes", "30,60,100", "--seeds", "10"]

    ended = subprocess.run(
        [sys.executable, program, "--responses", responses, *options],
        capture_output=True,
        text=True,
        check=True,
    )

    found = json.loads(ended.stdout)
    assert found["n_duplicates"] == 4
    ratio = found["ratio_to_random"]["gp_irt"]
    # .79 to .91 on several processors, whose rounding moves the choice of anchors.
    assert max(ratio.values()) <= 0.95

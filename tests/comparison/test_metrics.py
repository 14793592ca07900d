"""The metrics document: from files of finished runs to verdicts."""

import json

import numpy as np
import pytest
from scipy import stats

import finished_runs
from tmap.artifacts import tables
from tmap.comparison import runs, verdicts
from tmap.errors import TmapError


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    return finished_runs.collect(finished_runs.table(tmp_path_factory.mktemp("runs")))


def test_a_real_gain_is_better_than_random_and_no_gain_is_unclear(document):
    verdicts = {
        name: (found["against_random"] or {}).get("better")
        for name, found in document["methods"].items()
    }
    assert verdicts == {
        "base": None,
        "random": None,
        "uniform": "unclear",
        "tmap": "yes",
    }


def test_accuracies_and_differences_are_those_counted_by_hand(tmp_path):
    paths = finished_runs.run(tmp_path, "random", 0, 0, [1, 0, 0, 0])
    paths += finished_runs.run(tmp_path, "random", 1, 1, [1, 1, 0, 0])
    paths += finished_runs.run(tmp_path, "tmap", 0, 0, [1, 1, 1, 0], shuffle_seed=1)
    found = finished_runs.collect(paths, n=4)["methods"]
    assert found["random"]["accuracy"] == pytest.approx(3 / 8)
    assert found["tmap"]["against_random"]["difference"] == pytest.approx(3 / 8)
    assert found["tmap"]["against_random"]["mcnemar"] == [
        {"t": 0, "only_method": 2, "only_other": 0, "p": pytest.approx(0.5)}
    ]
    low, high = found["tmap"]["runs"][0]["interval"]
    wilson = stats.binomtest(3, 4).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((wilson.low, wilson.high))


def test_two_runs_never_give_a_verdict_however_large_the_gain(tmp_path):
    paths = finished_runs.run(tmp_path, "base", 0, 0, np.zeros(200))
    for t in range(2):
        wrong, right = np.arange(200) % 10 == 0, np.arange(200) % 10 != 0
        paths += finished_runs.run(tmp_path, "random", t, t, wrong)
        paths += finished_runs.run(tmp_path, "tmap", 0, t, right)
    found = finished_runs.collect(paths, n=200)
    tmap = found["methods"]["tmap"]
    assert tmap["against_random"]["verdict_interval"][0] > 0.5
    assert tmap["against_random"]["better"] == "untested"
    assert tmap["against_base"]["harms"] == "untested"
    assert tmap["against_random"]["p_holm"] is None
    assert "needs 3 runs" in tmap["verdict"]
    assert "tmap: 2 of 3 runs for a verdict" in found["warnings"]


@pytest.mark.parametrize(
    ("lost", "gained", "harms"),
    [(0.10, 0.0, "yes"), (0.0, 0.0125, "no"), (0.02, 0.02, "unclear")],
)
def test_harm_is_yes_below_base_and_no_if_a_point_of_loss_is_excluded(
    tmp_path, lost, gained, harms
):
    base = np.arange(800) < 400
    after = base.copy()
    after[: int(800 * lost)] = False
    after[400 : 400 + int(800 * gained)] = True
    paths = finished_runs.run(tmp_path, "base", 0, 0, base)
    for t in range(3):
        paths += finished_runs.run(tmp_path, "tmap", 0, t, after)
    assert (
        finished_runs.collect(paths, n=800)["methods"]["tmap"]["against_base"]["harms"]
        == harms
    )


def test_runs_that_answer_everything_alike_are_not_tested(tmp_path):
    paths = finished_runs.run(tmp_path, "base", 0, 0, np.zeros(50))
    for t in range(3):
        for method in ("random", "tmap"):
            paths += finished_runs.run(tmp_path, method, t, t, np.zeros(50))
    found = finished_runs.collect(paths, n=50)
    tmap = found["methods"]["tmap"]
    assert tmap["against_random"]["better"] == "untested"
    assert tmap["against_base"]["harms"] == "untested"
    assert "every question was answered alike" in tmap["verdict"]


def test_without_random_or_base_the_comparison_is_null_and_the_verdict_says_so(
    tmp_path,
):
    paths = finished_runs.run(tmp_path, "tmap", 0, 0, [1, 0, 1])
    tmap = finished_runs.collect(paths, n=3)["methods"]["tmap"]
    assert (tmap["against_random"], tmap["against_base"]) == (None, None)
    assert tmap["verdict"] == (
        "Not compared with random, which has no run here; "
        "not compared with base, which has no run here."
    )


def test_the_document_is_json_without_nan_and_does_not_depend_on_file_order(tmp_path):
    paths = finished_runs.table(tmp_path, n=60)
    files = [path for path in paths if path.endswith("predictions.parquet")]
    others = [path for path in paths if path not in files]
    text = json.dumps(finished_runs.collect(paths, n=60), allow_nan=False)
    assert json.dumps(finished_runs.collect(files + others[::-1], n=60)) == text


def test_adding_a_method_leaves_accuracies_and_single_intervals_alone(
    tmp_path, document
):
    methods = ("base", "random", "tmap")
    fewer = finished_runs.collect(finished_runs.table(tmp_path, methods=methods))
    one, other = (found["methods"]["random"] for found in (fewer, document))
    assert one["interval"] == other["interval"]
    assert one["against_base"]["interval"] == other["against_base"]["interval"]
    assert one["against_base"]["p"] == other["against_base"]["p"]


def test_accuracy_outside_the_tiny_set_leaves_its_questions_out(tmp_path):
    paths = finished_runs.run(tmp_path, "tmap", 0, 0, [1, 1, 0, 0])
    seen = {finished_runs.question_ids(4)[0], "a reward question"}
    run = finished_runs.collect(paths, n=4, seen=seen)["methods"]["tmap"]["runs"][0]
    assert (run["accuracy"], run["accuracy_outside_tiny"]) == (
        0.5,
        pytest.approx(1 / 3),
    )


def test_warnings_of_all_stages_are_gathered(tmp_path):
    paths = finished_runs.run(tmp_path, "tmap", 0, 0, [1, 0], code="old")
    paths += finished_runs.run(tmp_path, "tmap", 0, 1, [1, 0], code="new")
    paths += finished_runs.search(tmp_path, "tmap", 0, warnings=["flat reward"])
    pool = {**finished_runs.ABOUT, "rows": {"total": 9}, "overlap_share": 0.25}
    tiny = {**finished_runs.ABOUT, "rows": {"total": 9}, "warning": "no history"}
    found = finished_runs.collect(paths, n=2, pool=pool, tiny=tiny)["warnings"]
    assert found[0].startswith("pool: 25.0% of the rows contained a benchmark question")
    assert found[1:3] == ["tiny set: no history", "search tmap s0: flat reward"]
    assert found[-1] == "predictions were written by 2 versions of the code"


def test_one_warning_of_several_trainings_is_said_once(tmp_path):
    cut = {"warnings": ["rows were cut"]}
    paths = finished_runs.run(tmp_path, "tmap", 0, 0, [1, 0], **cut)
    paths += finished_runs.run(tmp_path, "tmap", 0, 1, [1, 0], **cut)
    found = finished_runs.collect(paths, n=2)["warnings"]
    assert "training tmap s0 t0, s0 t1: rows were cut" in found


@pytest.mark.parametrize(("n_unread", "named"), [(1, []), (2, ["tmap: 10.0% of the"])])
def test_over_one_unreadable_test_answer_in_twenty_is_named(tmp_path, n_unread, named):
    paths = finished_runs.run(tmp_path, "tmap", 0, 0, [1] * 20)
    frame = tables.read("predictions", paths[0])
    frame.loc[: n_unread - 1, "flexible"] = None
    tables.write("predictions", frame, paths[0], code="abc")

    found = finished_runs.collect(paths, n=20)["warnings"]

    told = [text for text in found if "contain nothing that the reader" in text]
    assert [text[: len("tmap: 10.0% of the")] for text in told] == named


@pytest.mark.parametrize(("n_samples", "is_told"), [(29, False), (28, True)])
def test_a_method_that_trained_on_fewer_rows_than_random_is_named(
    tmp_path, n_samples, is_told
):
    paths = finished_runs.run(tmp_path, "random", 0, 0, [1, 0])
    paths += finished_runs.run(tmp_path, "tmap", 0, 0, [1, 0], n_samples=n_samples)
    found = finished_runs.collect(paths, n=2)["warnings"]
    told = f"tmap: trained on {n_samples} rows, random on 30; fewer rows"
    assert any(text.startswith(told) for text in found) == is_told


def test_runs_that_share_one_search_say_so_and_several_give_a_range(tmp_path):
    paths = []
    for seed in range(3):
        paths += finished_runs.run(tmp_path, "tmap", 0, seed, [1, 0])
        paths += finished_runs.run(tmp_path, "best_single", seed, seed, [1, 0])
        paths += finished_runs.search(tmp_path, "best_single", seed)
    paths += finished_runs.search(tmp_path, "tmap", 0)
    methods = finished_runs.collect(paths, n=2)["methods"]
    assert "Its 3 runs share one search" in methods["tmap"]["verdict"]
    assert methods["tmap"]["weights_range"] is None
    assert "share one search" not in methods["best_single"]["verdict"]
    assert methods["best_single"]["weights_range"] == [
        [0.25, 0.25],
        [0.5, 0.5],
        [1.0, 1.0],
    ]


def test_cost_training_and_weights_are_carried_over(document):
    tmap = document["methods"]["tmap"]
    assert tmap["training"]["n_tokens"] == 500
    assert tmap["training"]["n_trained_tokens"] == pytest.approx(1001)
    assert tmap["weights"][0]["weights_relative"] == [0.25, 0.5, 1.0]
    assert document["cost"]["tmap"] == {
        "search_evaluations": 8,
        "search_tokens": None,
        "training_tokens": 3003,
    }
    assert document["methods"]["base"]["training"] is None


def test_provenance_names_code_and_model_but_no_folder(document):
    about = document["provenance"]
    assert about["code"]["predictions"] == ["abc"]
    assert about["code"]["trace"] == ["def"]
    assert about["model"] == {"model": "small", "revision": "r1"}
    assert about["seeds"]["random"] == [[0, 0], [1, 1], [2, 2]]


def test_base_is_not_in_the_family_against_random_but_random_is_against_base(document):
    assert document["statistics"]["families"] == {
        "random": ["uniform", "tmap"],
        "base": ["random", "uniform", "tmap"],
    }


def test_a_path_gives_method_and_seeds():
    run = runs.locate("results/gsm8k/llama3/tmap/s2/t13/train.json")
    assert run == ("tmap", 2, 13, "train.json")
    assert runs.locate("tmap/s2/weights.json") == ("tmap", 2, None, "weights.json")


@pytest.mark.parametrize(
    "path", ["results/a/b/tmap/s0/predictions.parquet", "results/a/b/metrics.json"]
)
def test_a_path_of_another_file_is_refused(path):
    with pytest.raises(TmapError, match="not a file of a finished run"):
        runs.locate(path)


def test_answers_to_other_questions_are_refused(tmp_path):
    paths = finished_runs.run(tmp_path, "tmap", 0, 0, [1, 0, 1])
    with pytest.raises(TmapError, match="1 missing, 0 unknown"):
        runs.load(paths, finished_runs.question_ids(4))


def test_nothing_to_compare_is_an_error(tmp_path):
    with pytest.raises(TmapError, match=r"No predictions\.parquet"):
        runs.load(finished_runs.search(tmp_path, "tmap", 0), ["q0"])


def test_a_sentence_has_the_interval_of_the_verdict():
    found = {"difference": 0.031, "verdict_interval": [0.012, 0.05]}
    found |= {"enough_seeds": True, "margin": 0.01, "forecast": None, "primary": True}
    text = verdicts.sentence("tmap", found | {"better": "yes"}, found | {"harms": "no"})
    assert text == (
        "Primary claim: better than random (+3.1 points, +1.2 to +5.0); "
        "does not harm the base model (+3.1 points, +1.2 to +5.0)."
    )
    text = verdicts.sentence("tmap", found | {"better": "no", "primary": False}, None)
    assert text.startswith("No better than random by more than 1 point (+3.1 points")


def test_an_unclear_verdict_says_what_would_settle_it(document):
    uniform = document["methods"]["uniform"]["against_random"]
    assert uniform["forecast"]["power"] == 0.8
    assert uniform["forecast"]["words"] in document["methods"]["uniform"]["verdict"]
    assert document["methods"]["tmap"]["against_random"]["forecast"] is None


def test_looks_make_the_claim_of_a_table_harder_and_are_recorded(tmp_path):
    looks = {"looks": [[3, 3, 0.2], [4, 4, 0.8]]}
    paths = finished_runs.table(tmp_path)
    once = finished_runs.collect(paths)["methods"]["tmap"]["against_random"]
    found = finished_runs.collect(paths, plan=json.dumps(finished_runs.PLAN | looks))
    first = found["methods"]["tmap"]["against_random"]
    assert first["n_looks"] == 1 and found["statistics"]["plan"]["looks"][0] == [
        3,
        3,
        0.2,
    ]
    assert first["verdict_interval"][0] < once["verdict_interval"][0]


@pytest.mark.parametrize("asked", [{"estimator": "full"}, {"groups": {"r2": 0.1}}])
def test_a_search_that_asked_every_question_leaves_none_outside(tmp_path, asked):
    paths = finished_runs.table(tmp_path, n=60)
    weights = tmp_path / finished_runs.ROOM / "tmap/s0/weights.json"
    about = json.loads(weights.read_text())
    weights.write_text(json.dumps(about | asked))
    methods = finished_runs.collect(paths, n=60, seen={"q0001"})["methods"]
    assert methods["tmap"]["runs"][0]["accuracy_outside_tiny"] is None
    assert methods["uniform"]["runs"][0]["accuracy_outside_tiny"] is not None


def certified(folder, verdict, rho):
    paths = finished_runs.table(folder)
    found = {"verdict": verdict, "rho": rho, "p": 0.4, "interval": [-0.5, 0.45]}
    found |= {"recommended": "random" if verdict == "abstain" else "tmap"}
    found |= {"safe": "random", "threshold": 0.3, "n_sentinels": 12, "n_seeds": 2}
    found |= {"n_questions": 150, "jaccard_range": [0.2, 0.5, 0.9], "reason": ""}
    path = folder / finished_runs.ROOM / "tmap" / "s0" / "certificate.json"
    path.write_text(json.dumps(found))
    return finished_runs.collect([*paths, str(path)])["methods"]


def test_a_certificate_travels_into_the_verdict_and_recommends(tmp_path):
    methods = certified(tmp_path, "abstain", -0.05)
    assert methods["tmap"]["certificate"]["recommended"] == "random"
    assert methods["tmap"]["verdict"].endswith(
        "Proxy: abstain (rank correlation of reward and training -0.05, 90 % interval "
        "-0.50 to +0.45, 12 subsets); recommended instead: random."
    )
    assert methods["uniform"]["certificate"] is None
    assert "Proxy" not in methods["uniform"]["verdict"]

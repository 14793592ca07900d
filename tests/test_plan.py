"""What a plan counts: worked by hand where a hand can do it."""

import pandas as pd
import pytest

from tmap.planning import costs, estimate
from tmap.planning.costs import Sizes, Work
from tmap.planning.jobs import Job, parse

SIZES = Sizes(1000, 200, 330, 989, 100, 200)
SAID = """
host: x
rule search_weights:
    input: a, b
    output: c
    wildcards: dataset=gsm8k, model=llama3, method=tmap, seed=0
    threads: 1

localrule fit_irt:
    input: d
    wildcards: dataset=gsm8k

Job stats:
job      count
"""


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def job(rule, **names):
    return Job(rule, {"dataset": "gsm8k", "model": "llama3", "method": "tmap"} | names)


def test_jobs_are_read_from_a_dry_run():
    assert parse(SAID) == [
        Job(
            "search_weights",
            {"dataset": "gsm8k", "model": "llama3", "method": "tmap", "seed": "0"},
        ),
        Job("fit_irt", {"dataset": "gsm8k"}),
    ]


def test_a_search_asks_t_times_m_times_s_questions():
    found = costs.work(job("search_weights"), SIZES)
    n = 205 + 3 + 1  # evaluations, three confirmed, and uniform weights
    assert found.passes == n * 5 * 100
    assert found.read == n * 5 * (3 * 200 + 100 * 100)
    assert found.written == n * 5 * 100 * 200
    single = costs.work(job("search_weights", method="best_single"), SIZES)
    assert single.passes == (8 + 4) * 5 * 100
    full = costs.work(job("search_weights", method="tmap_fullset"), SIZES)
    assert full.passes == n * 5 * 330


def test_training_reads_the_subset_once_per_epoch():
    found = costs.work(job("train_adapter"), SIZES)
    assert found.trained == pytest.approx(0.3 * 1000 * 200)
    part = costs.work(job("train_part", part="f0.1"), SIZES)
    assert part.trained == pytest.approx(0.1 * 1000 * 200)


def test_sentinels_are_asked_reward_questions_and_others_test_questions():
    assert costs.work(job("evaluate_part", part="k3"), SIZES).passes == 330
    assert costs.work(job("evaluate_adapter"), SIZES).passes == 989


def test_a_judge_behind_a_server_is_calls_and_no_gpu(nowhere, monkeypatch):
    folder = nowhere / "cards/datasets"
    folder.mkdir(parents=True)
    judge = "extends: gsm8k\nindicators: {alpagasus: {judge: gpt_4o_mini}}\n"
    (folder / "paid.yaml").write_text(judge)
    monkeypatch.setenv("TMAP_CARDS", str(nowhere / "cards"))
    asked = Job(
        "score_indicator_by_judge", {"dataset": "paid", "indicator": "alpagasus"}
    )
    found = costs.work(asked, SIZES)
    assert (found.calls, found.passes, found.gpus) == (1000, 0, 0)


def test_the_roofline_gives_the_worked_examples_of_its_docstring():
    read = costs.roofline(Work(read=1e6), 8e9, 0)
    assert read == pytest.approx(128, abs=0.5)
    assert costs.roofline(Work(), 8e9, 500) == pytest.approx(6.7, abs=0.05)
    assert costs.roofline(Work(read=1.0), None, 0) is None


def test_earlier_runs_of_the_same_kind_are_taken_before_the_roofline(nowhere):
    room = nowhere / "results/benchmarks/search_weights/gsm8k/llama3/tmap"
    room.mkdir(parents=True)
    pd.DataFrame({"s": [7200.0]}).to_csv(room / "s0.tsv", sep="\t")
    found = costs.work(job("search_weights"), SIZES)
    assert (found.hours, found.measured) == (2.0, 1)
    other = costs.work(job("search_weights", method="tmap_m1"), SIZES)
    assert other.measured == 0 and other.hours != 2.0


def test_a_model_of_unknown_size_is_no_nought():
    found = Work(hours=1.0)
    found.add(Work(hours=None))
    assert found.hours is None


def plan(hours=10.0, rest=2.0):
    found = estimate.Plan({}, [], [(job("search_weights"), SIZES)])
    found.stages["search_weights"] = Work(jobs=1, hours=hours, gpus=1)
    found.stages["train_adapter"] = Work(jobs=1, hours=rest, gpus=1)
    return found


def test_a_proposal_keeps_within_the_budget_and_says_its_hours():
    # 205 x 5 x 100 answers take 10 hours; 6 hours are left of 8.
    said = estimate.propose(plan(), 8)
    t, s, m = (
        int(said.split(f"{name} = ")[1].split()[0].rstrip(",.")) for name in "TSm"
    )
    assert t * s * m / (205 * 5 * 100) * 10 <= 6
    assert t * s * m / (205 * 5 * 100) * 10 > 0.85 * 6
    assert m >= 8
    assert "2.0 for the rest" in said


def test_a_budget_that_is_too_small_says_so():
    assert "not even T = 25" in estimate.propose(plan(rest=7.99), 8)


def test_a_pool_of_unknown_size_asks_for_it():
    from tmap.errors import TmapError

    with pytest.raises(TmapError, match="--rows"):
        estimate.sizes("gsm8k", None, None)
    found, said = estimate.sizes("gsm8k", 7473, 1319)
    assert (found.rows, found.reward, found.test) == (7473, 330, 989)
    assert any("--rows" in text for text in said)

"""What a plan counts, worked by hand where possible."""

import subprocess
import sys

import pandas as pd
import pytest

from tmap.operations.planning import costs, estimate, hours
from tmap.operations.planning.costs import Sizes, Work
from tmap.operations.planning.jobs import Job, parse

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


def test_a_search_of_groups_asks_its_answers_and_confirms_three_rankings():
    found = costs.work(job("search_groups", method="tmap_groups"), SIZES)
    confirmed = 3 * 5 * 100  # weights, values, uniform weights; m = 5, S = 100
    assert found.passes == 576 + confirmed
    assert found.read == 576 * (3 * 200 + 100) + 3 * 5 * (3 * 200 + 100 * 100)
    assert found.written == (576 + confirmed) * 200


def test_a_probe_by_short_trainings_counts_trained_tokens_and_scored_answers():
    found = costs.work(job("search_groups", method="tmap_sft"), SIZES)
    n = 64 + 3 * 5 + 4 * 3  # groups, confirmations (m = 5), and a calibration
    assert found.trained == n * 24 * 200 * 2
    assert found.passes == n * 100
    assert found.written == 0


def test_probes_are_compared_on_groups_with_and_without_three_faults():
    found = costs.work(job("compare_probes", method="tmap_auto"), SIZES)
    assert found.trained == 4 * 12 * 24 * 200 * 2
    assert found.passes == 4 * (96 + 96) + 4 * 12 * 100


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
    assert found.read == 1000 * 200


def test_the_roofline_gives_the_worked_examples_of_its_docstring():
    read = hours.roofline(1e6, 0, 8e9, 0)
    assert read == pytest.approx(128, abs=0.5)
    assert hours.roofline(0, 0, 8e9, 500) == pytest.approx(6.7, abs=0.05)
    assert hours.roofline(1.0, 0, None, 0) is None


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


def test_other_programs_get_numbers_and_nothing_for_what_is_unknown():
    found = plan(hours=None)
    found.stages["search_weights"].passes = 1000.4
    found.stages["train_adapter"].gpus = 2

    search, training = estimate.records(found)
    assert search["passes"] == 1000 and search["gpu_hours"] is None
    assert training["gpu_hours"] == 4.0
    assert list(search) == list(training)


def test_a_budget_that_is_too_small_says_so():
    assert "not even T = 25" in estimate.propose(plan(rest=7.99), 8)


def test_a_pool_of_unknown_size_asks_for_it():
    from tmap.errors import TmapError

    with pytest.raises(TmapError, match="--rows"):
        estimate.sizes("gsm8k", None, None)
    found, said = estimate.sizes("gsm8k", 7473, 1319)
    assert (found.rows, found.reward, found.test) == (7473, 330, 989)
    assert any("--rows" in text for text in said)


def test_a_teacher_reads_every_row_and_writes_an_answer_to_each():
    paid = costs.work(Job("distil_pool", {"dataset": "gsm8k_distilled"}), SIZES)
    assert (paid.calls, paid.passes, paid.gpus) == (1000, 0, 0)
    assert (paid.read, paid.written) == (1000 * 200, 1000 * 200)


def own_cards(nowhere, monkeypatch, **texts):
    for name, text in texts.items():
        path = nowhere / "cards" / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setenv("TMAP_CARDS", str(nowhere / "cards"))


def test_a_local_teacher_writes_in_batches(nowhere, monkeypatch):
    own_cards(
        nowhere,
        monkeypatch,
        datasets__local="extends: gsm8k_distilled\ndistil: {judge: here}\n",
        judges__here="version: 1\nmodel: llama3\nforms: {reasoning: {max_new_tokens: 50, "
        'template: "{instruction} {response}"}}\n',
    )
    found = costs.work(Job("distil_pool", {"dataset": "local"}), SIZES)
    assert (found.calls, found.passes, found.gpus) == (0, 1000, 1)
    assert found.written == 1000 * 50  # as many as its form allows, under the 200
    # 1000 rows are two batches of 500: 100 steps, 250,000 tokens, 8 B parameters.
    by_hand = 2 * 8e9 * 250_000 / (312e12 * 0.4) + 100 * 16e9 / (2e12 * 0.6)
    assert found.hours == pytest.approx(by_hand / 3600)


def test_a_round_of_candidates_is_written_one_by_one():
    name = {"method": "evoselect_rounds", "seed": "0", "round": "1"}
    found = costs.work(job("generate_candidates", **name), SIZES)
    assert (found.calls, found.passes) == (1000, 0)  # a server's model writes them
    assert found.read == 1000 * 3 * (100 + 200)
    assert found.written == 1000 * 200


@pytest.mark.parametrize(
    ("method", "batches"),
    [
        ("tmap_m1", 209),  # 100 of 500 rows of a batch are used: none waits for others
        ("tmap", 209),  # 5 groups of 100 questions fill one
        ("tmap_m16", 209 * 4),  # 16 groups, five at a time
        ("tmap_fullset", 209 * 5),  # 330 questions: one group at a time
    ],
)
def test_groups_share_batches_within_an_evaluation_not_across(method, batches):
    _, _, steps = costs.searching(job("search_weights", method=method), SIZES)
    assert steps == batches * 200


def test_questions_that_fill_no_batch_alone_are_parted():
    sizes = Sizes(1000, 200, 330, 1001, 100, 200)
    _, _, steps = costs.evaluating(job("evaluate_adapter"), sizes)
    assert steps == 3 * 200


def test_a_consensus_takes_the_hours_of_each_of_its_models(nowhere, monkeypatch):
    small = "extends: llama3\nsource: {hub: some/model-1B}\n"
    own_cards(
        nowhere,
        monkeypatch,
        models__small=small,
        methods__both="extends: consensus\nmodels: [llama3, small]\n",
    )
    names = {"dataset": "gsm8k", "method": "both", "seed": "0"}
    found = costs.work(Job("search_consensus", names), SIZES)
    alone = [
        costs.work(job("search_weights", model=model), SIZES)
        for model in ("llama3", "small")
    ]
    assert alone[0].hours == pytest.approx(8 * alone[1].hours)
    assert found.hours == pytest.approx(alone[0].hours + alone[1].hours)
    assert (found.jobs, found.gpus) == (1, 1)
    assert found.passes == alone[0].passes * 2


def test_rows_are_said_of_one_dataset_or_of_all_others():
    given = estimate.counts("--rows", ["1000", "gsm8k=7473"])
    jobs = [
        Job("embed_pool", {"dataset": d, "encoder": "gpt2"}) for d in ("gsm8k", "arc_c")
    ]
    found = estimate.make(jobs, given, {})
    assert found.stages["embed_pool"].passes == 7473 + 1000


@pytest.mark.parametrize("text", ["gsm8k=", "0", "-3", "1e3", "gsm8k=many"])
def test_rows_that_are_no_number_are_refused(text):
    from tmap.errors import TmapError

    with pytest.raises(TmapError, match="whole number above 0"):
        estimate.counts("--rows", [text])


def test_counting_work_loads_no_search_and_no_model():
    code = "import sys, tmap.operations.planning.costs; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "transformers", "skopt", "sklearn", "scipy"} & {*loaded}

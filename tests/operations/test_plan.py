"""What a plan counts, worked by hand where possible."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from project import ROOT
from tmap import cards
from tmap.operations.planning import adapters, costs, estimate, hours, probe
from tmap.operations.planning.costs import Sizes, Work
from tmap.operations.planning.jobs import Job, parse

TINY = ROOT / "resources/models/tiny"
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


def test_long_rows_pad_the_others_of_their_micro_batch_and_short_ones_are_packed():
    card = cards.load("models", "llama3")
    of_two = {"micro_batch_size": 2, "batch_size": 2, "max_length": 3000}
    pairs = card.model_copy(update={"train": card.train.model_copy(update=of_two)})
    short = dataclasses.replace(SIZES, lengths=np.array([10.0, 90.0]))
    long = dataclasses.replace(SIZES, lengths=np.array([2000.0, 9000.0]))

    assert short.trained(pairs) == 50
    # Of two rows drawn from these, one pair in four is short; the long one ends at 3,000.
    assert long.trained(pairs) == pytest.approx(0.25 * 2000 + 0.75 * 3000)
    assert SIZES.trained(pairs) == 200


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


def test_an_adapter_is_as_large_as_the_one_that_was_trained():
    """PEFT wrote 474,040 bytes for rank 8 on all linear layers, 7 kB of them a header."""
    card = cards.load("models", "tiny")
    card = card.model_copy(
        update={
            "source": card.source.model_copy(update={"path": str(TINY)}),
            "train": card.train.model_copy(update={"rank": 8}),
        }
    )
    assert adapters.size("nothing", card) == 8 * 4 * 3648 * 4
    assert 466_000 < adapters.size("nothing", card) < 474_040

    some = card.train.model_copy(update={"target_modules": ["q_proj", "v_proj"]})
    card = card.model_copy(update={"train": some})
    assert adapters.size("nothing", card) == 8 * 4 * (2 * 384) * 4
    some = some.model_copy(update={"target_modules": r".*\.0\.self_attn\.q_proj"})
    card = card.model_copy(update={"train": some})
    assert adapters.size("nothing", card) == 8 * 1 * 384 * 4


def test_an_adapter_of_a_model_that_is_not_here_is_assumed_by_rank():
    card = cards.load("models", "llama3")
    twice = card.train.model_copy(update={"rank": 2 * card.train.rank})
    small, large = (
        adapters.size("llama3", card.model_copy(update={"train": train}))
        for train in (card.train, twice)
    )
    assert large == 2 * small == 160 * 2**20 * twice.rank / 16
    assert costs.work(job("train_adapter"), SIZES).disk == small


@pytest.fixture
def laptop(nowhere, monkeypatch):
    """Dataset `mine` in local files, and the embedded model on a CPU."""
    own_cards(
        nowhere,
        monkeypatch,
        datasets__mine="task: generation\npool: {path: pool.jsonl}\n"
        "questions: {path: asked.jsonl}\nreward_share: 0.5\n"
        "tiny: {n_anchors: 4, n_confirm: 4}\n",
        models__small=f"source: {{path: {TINY}}}\nprompt: {{template: plain}}\n"
        "engine: {device: cpu, dtype: float32}\nresources: {gpu: 0, mem_mb: 2000}\n",
    )
    lines = [{"instruction": "a" * 40, "output": f"{i:0>80}"} for i in range(50)]
    lines += [lines[0], {"instruction": "b", "output": ""}]  # twice, and empty
    (nowhere / "pool.jsonl").write_text("\n".join(map(json.dumps, lines)))
    asked = [{"question": f"{i:0>60}", "answer": f"#### {i}"} for i in range(30)]
    (nowhere / "asked.jsonl").write_text("\n".join(map(json.dumps, asked)))
    estimate.asked.cache_clear()
    probe.measured.cache_clear()
    return nowhere


def test_local_files_are_counted_as_they_will_be_read(laptop):
    found, said = estimate.sizes("mine", None, None)
    assert (found.rows, found.row_tokens, found.answer_tokens) == (50, 30, 20)
    assert found.reward + found.test == 30
    assert found.question_tokens == 15
    assert said == [
        "mine: 50 rows of 30 tokens (4 letters per token); answers of 20, as in the pool"
    ]
    assert estimate.sizes("mine", 7, 1000)[0].rows == 7  # as given


def test_a_local_file_that_cannot_be_read_is_said(laptop):
    from tmap.errors import TmapError

    (laptop / "pool.jsonl").unlink()
    with pytest.raises(TmapError, match=r"pool\.jsonl"):
        estimate.sizes("mine", None, None)


def cpu_job(rule):
    return job(rule, dataset="mine", model="small", method="tmap", s="0", t="0")


def test_on_a_cpu_time_is_that_of_a_probe(laptop, monkeypatch):
    speed = probe.Speed(start=6.0, read=1000.0, written=100.0)
    monkeypatch.setattr(probe, "measured", {"small": speed, "llama3": None}.get)
    found = costs.work(cpu_job("train_adapter"), SIZES)
    # 0.3 x 1000 rows of 200 tokens, each as three that are read.
    assert found.cpu_hours == pytest.approx((6 + 3 * 60_000 / 1000) / 3600)
    assert (found.gpus, found.hours, found.probed) == (0, 0, 1)

    asked = costs.work(cpu_job("evaluate_adapter"), SIZES)
    by_hand = 6 + 989 * 100 / 1000 + 989 * 200 / 100
    assert asked.cpu_hours == pytest.approx(by_hand / 3600)


def test_an_earlier_run_is_taken_before_the_probe_also_where_no_model_runs(laptop):
    for rule, seconds in (("train_adapter", 36.0), ("select_subset", 1.8)):
        room = laptop / f"results/benchmarks/{rule}/mine/small/tmap/s0"
        room.mkdir(parents=True)
        pd.DataFrame({"s": [seconds]}).to_csv(room / "t0.tsv", sep="\t")
    for rule, hours_ in (("train_adapter", 0.01), ("select_subset", 0.0005)):
        found = costs.work(job(rule, dataset="mine", model="small"), SIZES)
        assert (found.cpu_hours, found.measured) == (pytest.approx(hours_), 1)
        assert (found.hours, found.probed) == (0, 0)


def test_a_cpu_model_that_is_not_here_has_no_time(laptop):
    (laptop / "cards/models/far.yaml").write_text(
        "source: {hub: some/model}\nengine: {device: cpu}\nresources: {gpu: 0}\n"
    )
    found = costs.work(job("evaluate_adapter", dataset="mine", model="far"), SIZES)
    assert (found.cpu_hours, found.probed) == (None, 0)
    stages = estimate.Plan({"evaluate_adapter": found}, [], [])
    assert estimate.row("evaluate_adapter", found)[6] == "?"
    assert estimate.records(stages)[0]["cpu_hours"] is None


def test_the_probe_measures_this_machine(laptop, monkeypatch):
    monkeypatch.setattr(probe, "SECONDS", 0.05)
    speed = probe.measured("small")
    assert speed.start > 0
    assert speed.read > speed.written > 0  # reading is done many tokens at a time
    assert speed.seconds(0, 0, 0) == speed.start


def test_a_model_that_would_take_minutes_is_not_probed(laptop, monkeypatch):
    monkeypatch.setattr(probe, "MOST", 1_885_823)  # it has one parameter more
    assert probe.measured("small") is None

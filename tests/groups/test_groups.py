"""A search that asks groups: what it finds, when it abstains, and how it resumes."""

import json

import numpy as np
import pytest
from pydantic import ValidationError
from transformers import AutoTokenizer

from tmap import cards, dag
from tmap.cards.method import GroupsSection, MethodCard
from tmap.errors import TmapError
from tmap.groups import group_model, value_model
from toy_groups import K, M, N, learn, make, matrix, write


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Fewer trees and permutations than a real search."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(value_model, "N_TREES", 60)
        patch.setattr(group_model, "N_PERMUTATIONS", 199)
        yield


@pytest.fixture(scope="module")
def tokenizer(tiny_llama):
    return AutoTokenizer.from_pretrained(tiny_llama["path"])


@pytest.fixture(scope="module")
def found(tokenizer, tmp_path_factory):
    return learn(make(tmp_path_factory.mktemp("whole"), tokenizer)[0])


def test_it_finds_the_column_that_helps(found):
    weights = found.summary["weights"]

    assert not found.summary["abstains"]
    assert weights[0] == 1.0
    assert max(weights[1:]) < 0.4
    chosen = np.argsort(-(matrix() @ weights))[:M]
    assert matrix()[chosen, 0].mean() > 0.8
    assert found.summary["groups"]["r2"] > 0.03
    names = [row["name"] for row in found.summary["confirm"]]
    assert names == ["weights", "value", "uniform"]
    assert found.summary["reward"] > found.summary["uniform_reward"]


def test_values_of_rows_rise_with_the_column_that_helps(found):
    value = found.values["value"].to_numpy()
    assert np.corrcoef(value, matrix()[:, 0])[0, 1] > 0.6
    curve = found.summary["value"]["partial_dependence"]["c0"]["accuracy"]
    assert curve[-1] - curve[0] > 0.1


def test_its_tables_say_who_was_shown_and_asked(found):
    table = found.groups
    assert len(table) == 240 == found.summary["n_evaluations"]
    assert table["sample_ids"].map(len).eq(3).all()
    assert table["question_ids"].map(len).eq(1).all()
    assert table["round"].tolist() == [0] * 80 + [1] * 80 + [2] * 80
    first = [s for ids in table["sample_ids"][:80] for s in ids]
    assert len(set(first)) == N  # no row twice while rows last


def test_it_abstains_where_no_column_helps(tokenizer, tmp_path):
    found = learn(make(tmp_path, tokenizer, knows=False)[0])

    assert found.summary["abstains"]
    assert found.summary["weights"] == [1.0] * K
    assert found.summary["interval"] is None
    assert "the search abstains" in found.summary["warnings"][0]
    assert found.values["value"].to_numpy() == pytest.approx(matrix().mean(axis=1))


def test_it_stops_when_little_is_left_to_gain(tokenizer, tmp_path):
    budget = GroupsSection(n_answers=240, rounds=3, stop_below=1.0)
    search, lm = make(tmp_path, tokenizer, budget=budget)
    search.run("key")
    assert (len(search.asked.groups), lm.n_asked) == (80, 80)


def test_several_questions_behind_each_group_cost_as_many_answers(tokenizer, tmp_path):
    budget = GroupsSection(n_answers=240, per_group=4, rounds=2)
    search, lm = make(tmp_path, tokenizer, budget=budget)
    search.run("key")
    assert (len(search.asked.groups), lm.n_asked) == (60, 240)
    assert {marks.shape for marks in search.asked.answers} == {(4,)}


def test_a_search_killed_at_ten_points_ends_with_the_same_bytes(tokenizer, tmp_path):
    """The ledger is append-only, so a kill leaves a beginning of it, maybe mid-line."""
    (tmp_path / "whole").mkdir()
    search, _ = make(tmp_path / "whole", tokenizer)
    files = write(learn(search), tmp_path / "whole")
    ledger = (tmp_path / "whole/ledger.jsonl").read_bytes()
    rng = np.random.default_rng(5)
    for number, size in enumerate(rng.integers(1, len(ledger), 10)):
        folder = tmp_path / f"killed{number}"
        folder.mkdir()
        (folder / "ledger.jsonl").write_bytes(ledger[:size])
        search, lm = make(folder, tokenizer)
        assert write(learn(search), folder) == files
        assert (folder / "ledger.jsonl").read_bytes() == ledger
        kept = ledger[:size].count(b'{"type": "answers"')
        assert 240 - kept <= lm.n_asked <= 241 - kept


def test_other_groups_than_recorded_stop_the_search(tokenizer, tmp_path):
    search, _ = make(tmp_path, tokenizer)
    search.run("key")
    path = tmp_path / "ledger.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if line["type"] == "proposal" and line["iteration"] == 1:
            line["groups"] = "0" * 32
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    with pytest.raises(TmapError, match=r"Round 1 of the search now asks other groups"):
        make(tmp_path, tokenizer)[0].run("key")


def test_another_seed_asks_other_groups(tokenizer, tmp_path):
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
    one, two = (make(tmp_path / str(s), tokenizer, seed=s)[0] for s in (0, 1))
    one.run("key"), two.run("key")
    assert one.asked.groups != two.asked.groups


PROBED = ["tmap_sft", "tmap_logprob", "tmap_auto"]
GROUPS = {"weights": "learned", "indicators": ["ifd"], "search": {"groups": {}}}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weights": "best_single"}, "goes with weights: learned"),
        ({"bounds": [0.2, 1]}, r"take \[0, 1\] or \[-1, 1\]"),
        ({"score": "value", "search": {}}, "needs a search that asks groups"),
    ],
)
def test_a_card_that_cannot_ask_groups_is_refused(changed, message):
    with pytest.raises(ValidationError, match=message):
        MethodCard(**GROUPS | changed)


def test_the_paper_s_search_stays_what_it_was():
    card = cards.load("methods", "tmap")
    assert card.search.groups is None
    how = (card.search.n_initial, card.search.n_iterations, card.search.exemplars)
    assert (*how, card.search.n_groups, card.search.n_shots) == (5, 200, "top", 5, 3)


def test_methods_are_told_apart_by_what_they_ask():
    names = ["tmap", "tmap_groups", "tmap_value", "uniform"]
    assert dag.methods.searched(names) == ["tmap", "tmap_groups"]
    assert dag.methods.asking_weights(names) == ["tmap"]
    assert dag.methods.asking_groups(names) == ["tmap_groups"]


def test_probes_read_what_they_need():
    names = {m: cards.load("methods", m).search.probe for m in PROBED}
    assert names == {
        "tmap_sft": "sft",
        "tmap_logprob": "icl_logprob",
        "tmap_auto": "auto",
    }
    assert dag.methods.choosing_a_probe([*PROBED, "tmap_groups"]) == ["tmap_auto"]
    targets = ["results/gsm8k/targets.parquet"]
    assert all(dag.groups.targets_file("gsm8k", m) == targets for m in PROBED)
    assert dag.groups.targets_file("gsm8k", "tmap_groups") == []
    place = ("gsm8k", "llama3", "tmap_auto", "0")
    assert dag.groups.probes_file(*place) == [
        "results/gsm8k/llama3/tmap_auto/s0/probes.json"
    ]
    assert dag.groups.probes_file("gsm8k", "llama3", "tmap_sft", "0") == []


def test_only_a_probe_that_trains_depends_on_the_training_section():
    names = {"dataset": "gsm8k", "model": "llama3"}
    assert "train" in dag.params.search_groups(**names, method="tmap_sft")
    assert "train" not in dag.params.search_groups(**names, method="tmap_logprob")
    assert "train" not in dag.params.search_groups(**names, method="tmap_groups")


def test_values_come_from_the_search_that_is_borrowed_from():
    place = ("gsm8k", "llama3", "tmap_value", "0")
    room = "results/gsm8k/llama3/tmap_groups/s0"
    assert dag.search.values_file(*place) == [f"{room}/values.parquet"]
    assert dag.search.weights_file(*place) == [f"{room}/weights.json"]
    assert dag.search.values_file("gsm8k", "llama3", "tmap_groups", "0") == []


def test_coefficients_and_their_intervals_are_those_of_least_squares(found):
    """Without the penalty that the weights may have: it would move them."""
    number = {f"s{i:03d}": i for i in range(N)}
    rows = found.groups["sample_ids"].map(lambda ids: [number[s] for s in ids])
    x = matrix()[np.array(rows.tolist())].mean(axis=1)
    y = found.groups["answers"].map(np.mean).to_numpy(dtype=float)
    theirs = np.linalg.lstsq(np.c_[np.ones(len(x)), x], y, rcond=None)[0][1:]
    about = found.summary["groups"]
    assert about["unbounded"] == pytest.approx(theirs, abs=1e-4)
    low, high = np.array(about["unbounded_interval"]).T
    assert (low + high) / 2 == pytest.approx(theirs, abs=1e-4)


def test_a_search_is_named_by_all_that_decides_which_groups_are_asked(
    tokenizer, tmp_path
):
    candidates = make(tmp_path, tokenizer)[0].candidates
    first = candidates.groups_key((0, 1), 0, "probe")
    candidates.n_selected += 1  # later groups are of rows that selections take
    assert candidates.groups_key((0, 1), 0, "probe") != first


def test_a_budget_below_eight_groups_is_refused():
    assert GroupsSection(n_answers=80, per_group=10).per_group == 10
    with pytest.raises(ValidationError, match=r"raise it to 88 or lower per_group"):
        GroupsSection(n_answers=80, per_group=11)


def test_every_round_has_groups_enough_for_a_fit(tokenizer, tmp_path):
    budget = GroupsSection(n_answers=80, per_group=5, rounds=9)
    search, _ = make(tmp_path, tokenizer, budget=budget)
    search.run("key")
    assert search.asked.rounds == [0] * 8 + [1] * 8

"""How each kind of weights selects, worked by hand where possible."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tmap import cards, dag
from tmap.cards import validate
from tmap.cards.method import MethodCard, SearchSection
from tmap.errors import TmapError
from tmap.search import consensus
from tmap.search import learn as learning
from tmap.search import prepare as adaptation
from tmap.search.ledger import Ledger
from tmap.search.outcome import Evaluation, Outcome
from tmap.selection import subset
from tmap.selection.features import Features
from tmap.selection.weights import drawn, read_weights

LISTED = """base full random longest ifd perplexity alpagasus deita data_whisperer nuggets
miwv uniform best_single random_weights product tmap tmap_signed tmap_diversity tmap_spread
tmap_fullset tmap_m1 tmap_m2 tmap_m4 tmap_m8 tmap_m16 consensus oracle""".split()


class Task:
    """A model whose reward is linear in the weights: sum of gain x w."""

    def __init__(self, gains, ledger, group_accuracy=(0.25, 0.75), se_groups=0.3):
        self.gains, self.ledger = np.array(gains), ledger
        self.notes = {"warnings": ["few questions"]}
        self.groups, self.se_groups = group_accuracy, se_groups
        self.names = [f"column_{j}" for j in range(len(gains))]
        self.start = []

    def evaluate(self, weights):
        reward = float(self.gains @ weights)
        groups = np.array(self.groups)
        shown = [[str(np.round(weights, 6))]]
        return Evaluation(
            Outcome(reward, groups, 0.1, self.se_groups, 5, 1, 2.0), shown
        )

    confirm = evaluate

    def key(self, bounds, seed):
        return f"{self.gains.tolist()} {bounds} {seed}"

    def warnings(self):
        return []

    def n_tokens(self):
        return 7


def learn(task, weights, **how):
    card = {"weights": weights, "bounds": (0.0, 1.0), "search": SearchSection(**how)}
    return learning.learn(task, card, seed=0)


@pytest.mark.parametrize("name", LISTED)
def test_every_method_of_the_list_is_shipped_and_described(name):
    card = cards.load("methods", name)
    assert card.description.strip()
    if name.startswith("tmap_m") and name != "tmap":
        assert card.search.n_groups == int(name.removeprefix("tmap_m"))


def test_the_product_ranks_by_all_columns_being_high():
    pool = pd.DataFrame({"sample_id": list("abc"), "text_hash": list("xyz")})
    matrix = np.array([[1.0, 0.1], [0.5, 0.5], [0.9, 0.0]])
    columns = Features(["p", "q"], matrix, [], {})
    ones = read_weights("product", columns.names)
    chosen = subset.choose(pool, columns, ones, 0.67, 0, multiply=True)
    # Products .1, .25, 0; sums would put 'a' first.
    assert chosen["sample_id"].tolist() == ["b", "a"]
    assert chosen["score"].tolist() == pytest.approx([0.25, 0.1])
    assert chosen["contributions"][0].tolist() == [0.5, 0.5]


def test_a_product_of_zero_among_those_taken_is_told(caplog):
    pool = pd.DataFrame({"sample_id": list("ab"), "text_hash": list("xy")})
    columns = Features(["p"], np.array([[0.0], [1.0]]), [], {})
    subset.choose(pool, columns, np.ones(1), 1.0, 0, multiply=True)
    assert "order is arbitrary" in caplog.text


def test_drawn_weights_follow_the_seed_and_keep_the_bounds():
    many = np.array([drawn((-1.0, 1.0), 3, seed) for seed in range(400)])
    assert np.array_equal(many[5], drawn((-1.0, 1.0), 3, 5))
    assert -1 <= many.min() < -0.95 and 0.95 < many.max() <= 1
    assert abs(many.mean()) < 0.06
    assert dag.training.arms("random_weights", 3) == [(0, 0), (1, 1), (2, 2)]


def test_best_single_tries_every_column_alone_and_takes_the_best_reward(tmp_path):
    task = Task([0.2, 0.6, 0.5], Ledger(tmp_path / "ledger.jsonl"))
    found = learn(task, "best_single")
    assert found.summary["weights"] == [0.0, 1.0, 0.0]
    assert found.summary["n_evaluations"] == 3
    assert found.found.rewards.tolist() == [0.2, 0.6, 0.5]
    assert found.summary["interval"] is None


def test_a_consensus_is_the_mean_of_the_models_rewards_worked_by_hand(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    first = Task([1.0, 0.0], ledger, (0.2, 0.4), se_groups=0.03)
    second = Task([0.0, 0.5], ledger, (0.6, 0.8), se_groups=0.04)
    both = consensus.Consensus({"one": first, "two": second})
    outcome = both.evaluate(np.array([0.6, 0.4])).outcome
    # (0.6 + 0.2) / 2; sqrt(.03^2 + .04^2) / 2; tokens and seconds add up.
    assert outcome.reward == pytest.approx(0.4)
    assert outcome.se_groups == pytest.approx(0.025)
    assert outcome.se_items == pytest.approx(0.1)
    assert outcome.group_accuracy.tolist() == [0.2, 0.4, 0.6, 0.8]
    assert (outcome.new_tokens, outcome.seconds) == (10, 4.0)
    assert both.n_tokens() == 14
    assert both.notes["warnings"] == ["one: few questions", "two: few questions"]


def test_a_consensus_finds_what_no_single_model_wants(tmp_path):
    """One model gains from column 0 what the other loses; column 2 helps both."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    models = {
        "one": Task([1.0, -1.0, 0.6], ledger),
        "two": Task([-1.0, 1.0, 0.6], ledger),
    }
    alone = learn(models["one"], "best_single").summary["weights"]
    agreed = learn(consensus.Consensus(models), "best_single").summary["weights"]
    assert (alone, agreed) == ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0])


def test_a_consensus_gives_each_model_its_own_columns(monkeypatch, tmp_path):
    seen = []

    def prepare(card, inputs, ledger):
        seen.append(
            (
                card["model"],
                inputs.model.name,
                [f.stem for f in inputs.indicators],
            )
        )
        return Task([1.0, 0.0], ledger)

    monkeypatch.setattr(adaptation, "prepare", prepare)
    files = [
        Path(f"{model}/{c}.parquet") for model in "ab" for c in ("ifd", "perplexity")
    ]
    nothing = Path("none")
    inputs = adaptation.Inputs(nothing, nothing, nothing, nothing, nothing, [], files)
    how = {"weights": "best_single", "bounds": (0, 1), "search": SearchSection()}
    both = {model: {"model": model, **how} for model in "ab"}
    records = [Path("a.json"), Path("b.json")]
    consensus.run(both, inputs, records, tmp_path / "ledger.jsonl", 0)
    assert seen == [
        ("a", "a.json", ["ifd", "perplexity"]),
        ("b", "b.json", ["ifd", "perplexity"]),
    ]


def test_one_search_serves_all_models_of_a_consensus():
    shared = "results/gsm8k/consensus-consensus/s0/weights.json"
    for model in ("mistral", "qwen2_5", "llama3"):
        assert dag.search.weights_file("gsm8k", model, "consensus", "0") == [shared]
        assert dag.search.search_files(
            "gsm8k", model, ["consensus"], 3, "weights.json"
        ) == [shared]
    assert set(dag.params.search_consensus("gsm8k", "consensus")) == {
        "mistral",
        "qwen2_5",
        "llama3",
    }


def test_a_method_with_its_own_s_reads_another_tiny_set_and_the_others_do_not():
    own = dag.tiny.tiny_file("arith", "tmap_top_m2_s96", "tiny")
    assert own == "results/arith/anchors/96/tiny.parquet"
    assert dag.tiny.tiny_file("arith", "tmap", "tiny") == "results/arith/tiny.parquet"
    assert dag.params.choose_tiny("arith", n_anchors="96")["tiny"].n_anchors == 96
    assert dag.params.choose_tiny("arith")["tiny"].n_anchors == 12


def test_a_method_with_its_own_s_weighs_no_gradients(monkeypatch):
    """Its confirming questions are not the dataset's, and only those are not targets."""
    card = MethodCard(weights="learned", indicators=["ifd", "less"], n_anchors=24)
    monkeypatch.setattr(cards, "load", lambda kind, name: card)
    with pytest.raises(TmapError, match="n_anchors: 24 and weighs 'less'"):
        dag.tiny.tiny_file("arith", "mine", "confirm")


def test_the_full_set_reward_changes_the_estimator_of_that_method_only():
    estimators = {
        method: dag.params.search_weights("gsm8k", "llama3", method)["estimator"]
        for method in ("tmap", "tmap_fullset")
    }
    assert estimators == {"tmap": "auto", "tmap_fullset": "full"}


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"weights": "consensus", "indicators": ["ifd"]}, "at least one model"),
        (
            {"weights": "learned", "indicators": ["ifd"], "models": ["tiny"]},
            "`models:`",
        ),
        ({"weights": "product"}, "needs `indicators:`"),
        ({"weights": "random", "indicators": ["ifd"]}, "needs weights"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused(values, fault):
    with pytest.raises(TmapError, match=fault):
        validate(MethodCard, values, "card")


def test_borrowed_weights_come_from_the_one_search_of_the_method_that_is_named():
    """Decision 9: Table 4 compares selections under the same weights."""
    own = dag.search.weights_file("gsm8k", "llama3", "tmap", "0")
    assert dag.search.weights_file("gsm8k", "llama3", "tmap_diversity", "0") == own
    both = ["tmap", "tmap_diversity"]
    assert dag.methods.searched(both) == ["tmap"]
    assert dag.search.search_files("gsm8k", "llama3", both, 3, "weights.json") == own


def test_the_key_changes_nothing_that_a_rule_reads_of_its_method():
    borrowed = dag.params.select_subset("gsm8k", "tmap_diversity")
    assert borrowed.pop("filter")["diversity"] == 0.9
    own = dag.params.select_subset("gsm8k", "tmap")
    del own["filter"]
    assert borrowed == own


def test_table_4_searches_once_per_model():
    card = cards.load("experiments", "table4")
    files = dag.experiments.of("table4")
    searches = [f for f in files if f.endswith("weights.json")]
    assert len(searches) == len(card.models) and all("/tmap/" in f for f in searches)

"""Certificate, explanation, consensus and tables of parts, built by their rules.

They run on the small world's multiple-choice task, where even a random model's rewards
differ, with two sentinels and one seed instead of 12 and 2. Only the rules are tested
here; test_certificate tests the certificate.
"""

import json
import re

import pandas as pd
import pytest

from clones import Clone
from tmap.artifacts import tables

pytestmark = pytest.mark.workflow

ROOM = "results/demo_mc/random_llama"
SEARCH = f"{ROOM}/small/s0"
CARDS = {
    "methods/small": "extends: tmap\nindicators: [reason_steps, output_length]\n"
    "certificate: {n_sentinels: 2, n_seeds: 1, safe: uniform}\n",
    "methods/agreed": "extends: small\nweights: consensus\nmodels: [random_llama]\n",
    "experiments/shares": "extends: fraction_curve\ndatasets: [demo_mc]\nseeds: 1\n"
    "models: [random_llama]\nmethods: [random]\nfractions: [0.1]\n",
    "experiments/shown": "extends: table8\ndatasets: [demo_mc]\nseeds: 1\n"
    "models: [random_llama]\nmethods: [random]\nshots: [4]\n",
}
TARGETS = [
    f"{SEARCH}/certificate.json",
    f"{SEARCH}/explain.json",
    f"{ROOM}/agreed/s0/subset.parquet",
    "results/tables/shares.parquet",
    "results/tables/shown.parquet",
]
#: The bounds of a card, lowered in the clone: 24 trainings would take minutes.
SEAM = {"default=12, ge=12": "default=12, ge=2", "default=2, ge=2": "default=2, ge=1"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    clone = Clone.make(tmp_path_factory.mktemp("parts") / "clone")
    clone.run("tmap", "make-world", "world")
    for name, text in CARDS.items():
        path = clone.path / f"world/cards/{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    code = clone.path / "workflow/tmap/cards/method.py"
    text = code.read_text()
    for bound, lower in SEAM.items():
        assert bound in text
        text = text.replace(bound, lower)
    code.write_text(text)
    clone.snakemake("--", *TARGETS, cores=1)
    return clone


def read(clone, name):
    return json.loads((clone.path / name).read_text())


def answers(clone, name):
    return tables.read("predictions", clone.path / ROOM / name / "predictions.parquet")


def test_a_certificate_rests_on_reward_questions_that_the_search_never_asked(built):
    found = read(built, f"{SEARCH}/certificate.json")
    room = built.path / "results/demo_mc"
    asked = set(tables.read("tiny", room / "tiny.parquet")["question_id"])
    reward = tables.read("questions", room / "questions_reward.parquet")["question_id"]
    assert found["n_questions"] == len(set(reward) - asked) > 0
    for k, sentinel in enumerate(found["sentinels"]):
        frame = answers(built, f"small/s0/k{k}/t0")
        assert set(frame["question_id"]) == set(reward)
        left = frame[~frame["question_id"].isin(asked)]
        assert sentinel["accuracy"] == pytest.approx(left["is_correct"].mean())
    safe = found["verdict"] == "abstain"
    assert found["recommended"] == ("uniform" if safe else "small")


def test_shapley_values_add_up_to_what_the_weights_gain(built):
    found = read(built, f"{SEARCH}/explain.json")
    assert found["indicators"] == ["reason_steps", "output_length"]
    gain = 100 * (found["reward"] - found["reward_without_any"])
    assert sum(found["shapley"]) == pytest.approx(gain, abs=1e-6)


def test_a_consensus_of_one_model_finds_what_its_own_search_finds(built):
    own = read(built, f"{SEARCH}/weights.json")
    shared = read(built, "results/demo_mc/consensus-agreed/s0/weights.json")
    assert shared["weights"] == pytest.approx(own["weights"])
    subset = built.path / ROOM / "agreed/s0/subset.parquet"
    assert tables.metadata(subset)["weights"] == pytest.approx(own["weights"])


def test_tables_of_parts_hold_what_their_runs_answered(built):
    share = tables.read("cells", built.path / "results/tables/shares.parquet")
    [value] = share["value"]
    assert value == pytest.approx(
        answers(built, "random/s0/f0.1/t0")["is_correct"].mean()
    )
    shots = tables.read("cells", built.path / "results/tables/shown.parquet")
    by_kind = {
        name.rsplit(" ", 1)[1]: v for name, v in shots[["column", "value"]].values
    }
    for kind, where in (("ICL", "shown"), ("SFT", "t0")):
        right = answers(built, f"random/s0/n4/{where}")["is_correct"]
        assert by_kind[kind] == pytest.approx(right.mean())
    n = tables.metadata(built.path / "results/demo_mc/pool.parquet")["rows"]["total"]
    rows = {
        part: len(
            pd.read_parquet(built.path / ROOM / f"random/s0/{part}/subset.parquet")
        )
        for part in ("f0.1", "n4")
    }
    assert rows["n4"] == 4 and abs(rows["f0.1"] - 0.1 * n) < 1


def test_a_plan_lists_what_another_certificate_would_take(built):
    target = f"{ROOM}/small/s1/certificate.json"
    out = built.run("tmap", "plan", target, "--configfile", "world/config.yaml")
    jobs = dict(re.findall(r"^(\w+) +(\d+) ", out, re.M))
    assert (jobs["search_weights"], jobs["train_part"]) == ("1", "2")
    assert (jobs["evaluate_part"], jobs["certify_proxy"]) == ("2", "1")

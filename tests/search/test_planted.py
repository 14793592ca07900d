"""Every stage on the real GSM8K, with a script instead of a language model.

What the script knows depends on its demonstrations, through a planted weighting. The
search has to find this, and the metrics have to count what the script knows.
"""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from clones import Clone
from planted import FLOOR, INDICATOR, PLANTED, Script, drawn
from project import ROOT
from tmap.artifacts import tables
from tmap.prompts.conversation import question_of
from tmap.search import dealing
from tmap.selection import ranking

pytestmark = [pytest.mark.workflow, pytest.mark.data]

SHORT = {"n_initial": 2, "n_iterations": 2, "n_groups": 2, "n_shots": 2}
SEARCH = {"n_iterations": 25, "n_groups": 8, "n_shots": 3, "exemplars": "spread"}


@pytest.fixture(scope="module")
def questions(shared) -> pd.DataFrame:
    return pd.read_parquet(shared / "data/gsm8k_test.parquet")


@pytest.fixture(scope="module")
def gold(questions) -> dict[str, str]:
    answers = questions["final_answer"].str.replace(",", "")
    return dict(zip(questions["question"].str.strip(), answers, strict=True))


@pytest.fixture(scope="module")
def clone(tmp_path_factory, shared) -> Clone:
    clone = Clone.make(tmp_path_factory.mktemp("planted") / "clone")
    for name in PLANTED:
        path = clone.path / f"workflow/tmap/indicators/{name}.py"
        path.write_text(INDICATOR.replace("NAME", name))
    real = yaml.safe_load((ROOT / "tests/real/cards/datasets/gsm8k.yaml").read_text())
    for part in ("pool", "questions", "responses"):
        real[part]["path"] = real[part]["path"].replace("../shared", str(shared))
    real["tiny"] = {"n_anchors": 50, "n_confirm": 60}
    del real["indicators"]
    write(clone, "datasets/gsm8k.yaml", real)
    learned = {"weights": "learned", "indicators": list(PLANTED)}
    search = SEARCH | {"proposals": "fast"}
    write(clone, "methods/tmap.yaml", learned | {"search": search})
    write(clone, "methods/short.yaml", learned | {"search": SHORT})
    return clone


def write(clone, name, card):
    path = clone.path / "cards" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(card))


def serve_model(clone, shared, name, url):
    """A model card with the tokenizer of a small model, and the script as its server.

    Real rows are long for its tokenizer, and no weights run: its context is widened.
    """
    folder = clone.path / "models" / name
    shutil.copytree(shared / "models/tiny", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").chmod(0o644)
    config["max_position_embeddings"] = 16_384
    (folder / "config.json").write_text(json.dumps(config))
    served = {"url": url, "model": "script", "prompts_per_request": 20}
    card = {
        "source": {"path": str(folder)},
        "prompt": {"template": "plain", "stop": ["\n\n"]},
        "engine": {"name": "server", "server": served, "max_new_tokens": 32},
        "resources": {"gpu": 0, "mem_mb": 2000},
    }
    write(clone, f"models/{name}.yaml", card)
    config = clone.path / "config.yaml"
    config.write_text(
        yaml.safe_dump({"cards": ["cards"], "methods": ["base", "tmap", "short"]})
    )


def build(clone, *targets, check=True, config=()):
    command = ["snakemake", "--profile", "profiles/local", "--cores", "2"]
    command += ["--configfile", "config.yaml", *config, "--", *targets]
    return clone.run(*command, check=check)


def test_the_search_recovers_what_was_planted_and_metrics_count_it(
    clone, shared, serve, gold, questions
):
    script = Script(gold, PLANTED)
    serve_model(clone, shared, "scripted", serve(script).url)
    room = "results/gsm8k/scripted"
    build(
        clone,
        f"{room}/tmap/s0/subset.parquet",
        f"{room}/base/s0/t0/predictions.parquet",
    )

    found = json.loads((clone.path / room / "tmap/s0/weights.json").read_text())
    assert found["indicators"] == list(PLANTED)
    planted = np.array(list(PLANTED.values()))
    weights = np.array(found["weights"])
    # Which of the weaker columns count is for the selection to say: several weights
    # choose nearly the same rows, and which is found depends on the processor.
    assert weights.argmax() == planted.argmax()
    assert weights[planted < 0] < 0.1 * weights.max()
    pool = tables.read("pool", clone.path / "results/gsm8k/pool.parquet")
    reached = chance(script, pool, weights)
    assert reached >= 0.9 * chance(script, pool, np.clip(planted, 0, 1))
    assert reached > 0.2 + chance(script, pool, [1] * 4)

    answers = tables.read(
        "predictions", clone.path / room / "base/s0/t0/predictions.parquet"
    )
    text = questions.set_index("id")["question"]
    asked = text.loc[answers["question_id"]]
    knows = [drawn("question", question.strip()) < FLOOR for question in asked]
    assert answers["is_correct"].tolist() == knows
    base = "methods=[base]"
    build(clone, f"{room}/metrics.json", config=("--config", base))
    metrics = json.loads((clone.path / room / "metrics.json").read_text())
    assert metrics["methods"]["base"]["accuracy"] == pytest.approx(np.mean(knows))
    assert 900 < len(knows) < 1100  # three quarters of the real test questions


def chance(script, pool, weights) -> float:
    """What the script knows after demonstrations that these weights choose."""
    texts = [question_of(row) for row in pool.to_dict("records")]
    columns = np.array([[drawn(name, text) for name in PLANTED] for text in texts])
    score = columns @ np.asarray(weights, dtype=float)
    ties = ranking.tie_rank(pool["text_hash"], pool["sample_id"])
    best = ranking.top(score, ties, ranking.n_selected(0.3, len(pool)))
    groups = dealing.deal(best, 8, 3, "spread")
    return float(np.mean([script.chance([texts[i] for i in g]) for g in groups]))


def test_a_script_that_demonstrations_do_not_move_makes_the_search_abstain(
    clone, shared, serve, gold
):
    serve_model(clone, shared, "deaf", serve(Script(gold, {})).url)
    out = build(clone, "results/gsm8k/deaf/short/s0/subset.parquet")
    path = clone.path / "results/gsm8k/deaf/short/s0/weights.json"
    found = json.loads(path.read_text())
    assert found["abstains"] and found["weights"] == [1, 1, 1, 1]
    told = [text for text in found["warnings"] if "rewards are equal" in text]
    assert len(told) == 1 and "abstains" in told[0]
    log = clone.path / "results/logs/search_weights/gsm8k/deaf/short/s0.log"
    assert told[0][:40] in log.read_text() or told[0][:40] in out


def test_a_server_that_dies_stops_the_search_and_nothing_finished_is_asked_again(
    clone, shared, serve, gold
):
    script, asked = Script(gold, PLANTED), []

    def dies(number, body):
        if number > 14:
            return 400, {}, {"error": "gone"}
        return script(number, body)

    server = serve(dies)
    serve_model(clone, shared, "frail", server.url)
    target = "results/gsm8k/frail/short/s0/weights.json"
    out = build(clone, target, check=False)
    assert "does not answer" in out and not (clone.path / target).exists()
    ledger = clone.path / "results/gsm8k/frail/short/s0/ledger.jsonl"
    before = answers_in(ledger)
    assert len(before) > 1

    def back(number, body):
        asked.extend(body["prompt"])
        return script(number, body)

    server.script = back  # it numbers requests on
    build(clone, target)
    after = answers_in(ledger)
    assert after[: len(before)] == before and len(after) == len(set(after))
    assert len(asked) == sum(n_asked(ledger)[len(before) :])


def n_asked(ledger) -> list[int]:
    """Questions behind each answer of the ledger."""
    records = [json.loads(line) for line in ledger.read_text().splitlines()]
    return [len(r["correct"]) for r in records if r["type"] == "answers"]


def answers_in(ledger) -> list[str]:
    records = [json.loads(line) for line in ledger.read_text().splitlines()]
    return [r["key"] for r in records if r["type"] == "answers"]

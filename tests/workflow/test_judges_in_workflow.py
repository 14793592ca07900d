"""Columns of judges, requested as a user would: a local judge and a recording."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from clones import Clone
from tmap.artifacts import tables

pytestmark = pytest.mark.workflow

LOCAL = """
version: 1
style: completion
model: random_llama
forms:
  quality: {template: "{instruction}\\n{response}\\nQuality:\\n"}
  complexity: {template: "{instruction}\\nComplexity:\\n"}
"""
RECORDED = """
version: 1
style: completion
recorded: {path: world/replies.jsonl}
forms: {accuracy: {template: "{instruction}\\n{response}\\nAccuracy:\\n"}}
"""
DATASET = """
extends: demo
max_unscored: 1.0
indicators:
  ifd: {proxy: random_llama}
  alpagasus: {judge: recorded_judge}
  deita_quality: {judge: local_judge}
  deita_complexity: {judge: local_judge}
"""
ROOM = "results/rated/indicators"
TARGETS = [f"{ROOM}/{name}.parquet" for name in ("alpagasus", "deita_score")]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    clone = Clone.make(tmp_path_factory.mktemp("judges") / "clone")
    clone.run("tmap", "make-world", "world")
    cards = clone.path / "world/cards"
    (cards / "judges").mkdir()
    (cards / "judges/local_judge.yaml").write_text(LOCAL)
    (cards / "judges/recorded_judge.yaml").write_text(RECORDED)
    (cards / "datasets/rated.yaml").write_text(DATASET)
    clone.snakemake("--", "results/rated/pool.parquet")
    pool = tables.read("pool", clone.path / "results/rated/pool.parquet")
    with open(clone.path / "world/replies.jsonl", "w") as file:
        for row in pool.itertuples():
            prompt = f"{row.instruction}\n{row.response}\nAccuracy:\n"
            reply = {"request": {"prompt": prompt}, "reply": {"text": "4.5\nFine."}}
            file.write(json.dumps(reply) + "\n")
    clone.snakemake("--", *TARGETS)
    return clone


def test_the_joint_score_is_the_product_of_its_columns(clone):
    quality, complexity, joint = (
        tables.read("indicator", clone.path / ROOM / f"{name}.parquet")
        for name in ("deita_quality", "deita_complexity", "deita_score")
    )

    assert (joint["score"] == quality["score"] * complexity["score"]).all()
    assert joint["score"].between(1, 36).all()


def test_a_table_names_its_judge_and_its_words(clone):
    about = tables.metadata(clone.path / ROOM / "deita_quality.parquet")

    assert about["model"] == "random_llama"
    assert about["judge"]["forms"]["quality"]["template"].endswith("Quality:\n")
    assert 0 < about["digit_mass_min"] <= about["digit_mass_mean"] <= 1


def test_recorded_replies_need_no_model(clone):
    found = tables.read("indicator", clone.path / ROOM / "alpagasus.parquet")

    assert set(found["score"]) == {4.5}


def test_an_edit_of_a_form_re_runs_its_column_and_what_is_made_from_it(clone):
    card = clone.path / "world/cards/judges/local_judge.yaml"
    assert plan(clone) == set()
    card.write_text(LOCAL.replace("nQuality:", "nHow good:"))

    planned = plan(clone)
    card.write_text(LOCAL)

    assert planned == {"deita_quality", "deita_score"}


def test_new_recordings_re_run_the_columns_that_read_them(clone):
    file = clone.path / "world/replies.jsonl"
    file.write_text(file.read_text().replace("4.5", "4.0"))

    assert plan(clone) == {"alpagasus"}


def test_a_table_that_is_lost_costs_no_second_answer(clone):
    table = clone.path / ROOM / "deita_quality.parquet"
    before, parts = table.read_bytes(), stored(clone)
    table.unlink()

    out = clone.snakemake("--", str(table.relative_to(clone.path)))

    assert table.read_bytes() == before
    assert stored(clone) == parts
    log = (
        clone.path / "results/logs/score_indicator/rated/deita_quality.log"
    ).read_text()
    assert re.search(r"digits: 0 to measure, \d+ stored", log), out


def test_two_runs_at_once_share_the_store_and_are_both_right(clone):
    columns = [
        clone.path / ROOM / f"deita_{n}.parquet" for n in ("quality", "complexity")
    ]
    before = [path.read_bytes() for path in columns]
    shutil.rmtree(clone.path / "results/store")
    for path in columns:
        path.unlink()
    command = ["snakemake", "--profile", "profiles/local", "--cores", "1"]
    command += ["--configfile", "world/config.yaml", "--"]
    runs = [
        subprocess.Popen(
            [*command, str(path.relative_to(clone.path))],
            cwd=clone.path,
            env=clone.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for path in columns
    ]

    assert [run.wait(600) for run in runs] == [0, 0]
    assert [path.read_bytes() for path in columns] == before
    keys = [
        k for part in stored(clone) for k in tables.read("measurements", part)["key"]
    ]
    assert len(keys) == len(set(keys)) > 0


def plan(clone):
    out = clone.snakemake("-n", "--", *TARGETS)
    return set(re.findall(r"indicator=(\w+)", out))


def stored(clone):
    return sorted((clone.path / "results/store").rglob("*.parquet"))

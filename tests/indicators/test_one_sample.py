"""One sample has the same token ids wherever a model sees it."""

import numpy as np
import pandas as pd
import pytest

from project import ROOT
from scripted import Scripted
from tmap import engines, indicators
from tmap.cards.model import PromptSection
from tmap.evaluation.evaluate import evaluate
from tmap.evaluation.marking import Marking
from tmap.indicators.scoring.losses import Scorer
from tmap.prompts.conversation import answer_of, question_of, turns_of
from tmap.prompts.renderer import Demo, Renderer
from tmap.search.ledger import Ledger
from tmap.search.reward import Reward
from tmap.training.rows import encode

TEMPLATES = {
    "plain": PromptSection(template="plain"),
    "urial": PromptSection(template="urial"),
    "fenced": PromptSection(template="urial", fenced=True),
    "chat": PromptSection(template="chat", system="Be brief."),
}
TOKENIZERS = ("made here", *sorted(p.name for p in ROOT.glob("resources/models/tiny*")))
SAMPLE = {
    "sample_id": "a",
    "instruction": "Sara has 6 coins. How many after 34 more?",
    "input": "Count <eos> as nothing.",
    "response": "6+34=40 coins.\n#### 40",
    "turns": None,
}
MARKING = Marking("number", "flexible", 8)


class CachingEngine(Scripted):
    """Also remembers the answers whose likelihood it was asked for."""

    def answer_nll(self, prompts, answers):
        self.asked = [(list(p), list(a)) for p, a in zip(prompts, answers, strict=True)]
        return np.ones(len(answers)), np.array([len(a) for a in answers])


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request, tiny_llama):
    if request.param == "made here":
        return engines.load_tokenizer(tiny_llama)
    place = {"path": str(ROOT / "resources/models" / request.param)}
    return engines.load_tokenizer(place | {"trust_remote_code": False})


@pytest.fixture(params=TEMPLATES)
def renderer(request, tokenizer):
    if request.param == "chat" and not tokenizer.chat_template:
        pytest.skip("this tokenizer has no chat template")
    return Renderer(tokenizer, TEMPLATES[request.param])


@pytest.fixture
def trained(renderer):
    """(ids before the answer, ids of the answer), as the trainer gets them."""
    row = encode(renderer, [turns_of(SAMPLE)], 512, "key").rows[0]
    start = next(i for i, label in enumerate(row.labels) if label != -100)
    end = len(row.input_ids) - len(renderer.end_ids)
    assert row.input_ids[end:] == renderer.end_ids
    return row.input_ids[:start], row.input_ids[start:end]


@pytest.fixture
def question():
    """The sample's own question, put to a model."""
    asked = {"question_id": ["q"], "question": [question_of(SAMPLE)], "gold": ["40"]}
    return pd.DataFrame({**asked, "choices": None, "permutation": None, "row": 0})


def test_evaluation_asks_with_the_ids_that_were_trained(renderer, trained, question):
    lm = Scripted(renderer.tokenizer, [["40"]])

    evaluate(lm, renderer, question, MARKING)

    assert lm.prompts == [trained[0]]


def test_reward_asks_with_the_ids_that_were_trained(
    renderer, trained, question, tmp_path
):
    lm = Scripted(renderer.tokenizer, [["40"]])
    ledger = Ledger(tmp_path / "ledger.jsonl")
    worth = np.array([1.0])

    Reward(lm, renderer, question, MARKING, lambda m: m @ worth, 0.0, ledger)([[]])

    assert lm.prompts == [trained[0]]


def test_reward_shows_the_ids_that_were_trained(renderer, trained):
    demo = Demo(question_of(SAMPLE), answer_of(SAMPLE))
    prompt = renderer.render(question_of(SAMPLE))
    own = prompt.question + trained[1]  # from the seam on, without a header
    assert trained[0] == prompt.prefix + prompt.question

    shown = renderer.render("Another?", [demo, demo]).prefix

    found = [i for i in range(len(shown)) if shown[i : i + len(own)] == own]
    assert len(found) == 2


@pytest.mark.parametrize("name", ["perplexity", "ifd"])
def test_indicators_measure_the_ids_that_were_trained(renderer, trained, name):
    lm = CachingEngine(renderer.tokenizer)
    seen = []
    measure = lm.answer_nll
    lm.answer_nll = lambda *asked: (measure(*asked), seen.extend(lm.asked))[0]

    options = {"template": True} if name == "ifd" else {}
    indicators.get(name)(pd.DataFrame([SAMPLE]), Scorer(lm, renderer, 512), **options)

    assert seen[0] == trained
    assert all(answer == trained[1] for _, answer in seen)

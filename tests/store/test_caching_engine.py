"""Nothing is measured twice: forward passes are counted."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from icl import Obedient, sevens
from judging import store_at
from tmap import engines, indicators
from tmap.cards.model import EngineSection, PromptSection
from tmap.errors import TmapError
from tmap.indicators.scoring import losses
from tmap.store.caching_engine import CachingEngine, kept_until_done
from tmap.store.measurements import Store
from tmap.store.shards import Share, parse

PROMPT = PromptSection(template="plain")
ENGINE = EngineSection(device="cpu", dtype="float32")
BY_MODEL = ["perplexity", "ifd", "miwv", "nuggets", "data_whisperer"]
OPTIONS = {
    "nuggets": {"n_anchors": 3},
    "data_whisperer": {"max_new_tokens": 30, "n_demos": 3, "n_queries": 2},
}


class Counted:
    """An engine that counts the requests of each kind."""

    batch_size = 2

    def __init__(self, lm):
        self.lm, self.seen = lm, {}

    def __getattr__(self, name):
        return getattr(self.lm, name)

    def _count(self, name, requests):
        self.seen[name] = self.seen.get(name, 0) + len(requests)

    def answer_nll(self, prompts, answers):
        self._count("nll", prompts)
        return self.lm.answer_nll(prompts, answers)

    def option_nll(self, prefixes, questions, options):
        self._count("options", prefixes)
        return self.lm.option_nll(prefixes, questions, options)

    def generate(self, prefixes, questions, **how):
        self._count("texts", questions)
        return Obedient(self.lm, sevens).generate(prefixes, questions, **how)

    def attention(self, prefixes, questions, layer):
        self._count("attention", prefixes)
        return self.lm.attention(prefixes, questions, layer)


def a_pool(n):
    """Rows of many lengths, some equal."""
    asked = [f"What is {i % 7} + {i % 5}?" + " Well?" * (i % 4) for i in range(n)]
    said = [f"{i % 7 + i % 5} coins." + f" So {i}." * (i % 3) for i in range(n)]
    return pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(n)],
            "instruction": asked,
            "input": "",
            "response": said,
            "turns": None,
            "source": "test",
            "text_hash": [f"{(7919 * i) % 104729:016x}" for i in range(n)],
        }
    )


def vectors(pool):
    rows = np.random.default_rng(1).normal(size=(len(pool), 5))
    return pd.DataFrame(
        {"sample_id": pool["sample_id"], "embedding": list(np.float32(rows))}
    )


@pytest.fixture(scope="module")
def lm(tiny_llama):
    return engines.load(tiny_llama, ENGINE)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr("tmap.store.caching_engine.PIECE", 4)


def scorer(lm, record, folder, share=Share(), prompt=PROMPT):
    """(instrument of an indicator, its counter)."""
    counted = Counted(lm)
    words = prompt.model_dump(mode="json")
    kept = CachingEngine(counted, words, record, store_at(folder), share)
    return losses.Scorer(kept, losses.Renderer(lm.tokenizer, prompt), 512), counted


def score(name, pool, with_, **options):
    with_ = replace(with_, embeddings=vectors(pool))
    return indicators.get(name)(pool, with_, **(OPTIONS.get(name, {}) | options))


by_model = pytest.mark.parametrize("name", BY_MODEL)


@by_model
def test_a_second_run_measures_nothing_and_gives_the_same_bits(
    name, lm, tiny_llama, tmp_path
):
    pool = a_pool(20)
    first, counted = scorer(lm, tiny_llama, tmp_path)
    before = score(name, pool, first)
    assert sum(counted.seen.values()) >= 4

    again, idle = scorer(lm, tiny_llama, tmp_path)
    after = score(name, pool, again)

    assert idle.seen == {}
    assert_array_equal(after.score, before.score)
    assert set(after.status) == {"ok"}
    plain = losses.Scorer(Counted(lm), first.renderer, 512)
    assert_allclose(after.score, score(name, pool, plain).score, rtol=1e-5, atol=1e-6)


@by_model
def test_a_killed_run_goes_on_where_it_was_with_the_same_bits(
    name, lm, tiny_llama, tmp_path, monkeypatch
):
    pool = a_pool(20)
    whole, counted = scorer(lm, tiny_llama, tmp_path / "whole")
    expected, n = score(name, pool, whole), counted.seen
    put, done = Store.put, []

    def killed(store, entries):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(len(entries))
        put(store, entries)

    monkeypatch.setattr(Store, "put", killed)
    first, _ = scorer(lm, tiny_llama, tmp_path / "killed")
    with pytest.raises(KeyboardInterrupt):
        score(name, pool, first)
    monkeypatch.setattr(Store, "put", put)

    again, rest = scorer(lm, tiny_llama, tmp_path / "killed")
    found = score(name, pool, again)

    assert sum(rest.seen.values()) == sum(n.values()) - sum(done)
    assert_array_equal(found.score, expected.score)


@by_model
def test_several_jobs_measure_the_same_bits_as_one(name, lm, tiny_llama, tmp_path):
    pool = a_pool(30)
    alone, counted = scorer(lm, tiny_llama, tmp_path / "one")
    expected = score(name, pool, alone)
    shares = []
    for shard in (2, 0, 1):
        part, its = scorer(lm, tiny_llama, tmp_path / "three", Share(shard, 3))
        score(name, pool, part)
        shares.append(sum(its.seen.values()))

    gathered, idle = scorer(lm, tiny_llama, tmp_path / "three")
    found = score(name, pool, gathered)

    assert idle.seen == {}
    assert_array_equal(found.score, expected.score)
    assert_array_equal(found.status, expected.status)
    assert sum(shares) == sum(counted.seen.values())
    assert max(shares) < sum(shares)


@pytest.mark.parametrize(("name", "passes"), [("perplexity", 1), ("ifd", 2)])
def test_a_thousand_new_rows_cost_a_thousand_measurements(
    name, passes, lm, tiny_llama, tmp_path, monkeypatch
):
    monkeypatch.setattr("tmap.store.caching_engine.PIECE", 512)
    pool = a_pool(1100)
    pool["response"] += [f" Row {i}." for i in range(1100)]  # no two alike
    score(name, pool[:100], scorer(lm, tiny_llama, tmp_path)[0])

    more, counted = scorer(lm, tiny_llama, tmp_path)
    found = score(name, pool.sample(frac=1, random_state=0), more)

    assert counted.seen == {"nll": 1000 * passes}
    assert set(found.status) == {"ok"}


def test_miwv_shares_its_zero_shot_losses_with_perplexity(lm, tiny_llama, tmp_path):
    pool = a_pool(20)
    score("perplexity", pool, scorer(lm, tiny_llama, tmp_path)[0])

    one_shot, counted = scorer(lm, tiny_llama, tmp_path)
    score("miwv", pool, one_shot)

    assert counted.seen["nll"] <= 20


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ifd", {"variant": "loss_ratio"}),
        ("data_whisperer", {"metric": "rouge_l"}),
    ],
)
def test_another_formula_measures_nothing(name, options, lm, tiny_llama, tmp_path):
    pool = a_pool(12)
    before = score(name, pool, scorer(lm, tiny_llama, tmp_path)[0])

    other, idle = scorer(lm, tiny_llama, tmp_path)
    after = score(name, pool, other, **options)

    assert idle.seen == {}
    assert not np.array_equal(after.score, before.score)


def test_another_prompt_or_revision_measures_all_again(lm, tiny_llama, tmp_path):
    pool = a_pool(9)
    first, counted = scorer(lm, tiny_llama, tmp_path)
    score("perplexity", pool, first)
    chat = PROMPT.model_copy(update={"template": "chat"})

    for how in (
        {"record": tiny_llama, "prompt": chat},
        {"record": {**tiny_llama, "revision": "1" * 40}},
    ):
        again, n = scorer(lm, folder=tmp_path, **how)
        score("perplexity", pool, again)
        assert n.seen == counted.seen


def test_written_answers_are_shared_out_and_stored_by_the_batch(
    lm, tiny_llama, tmp_path
):
    questions = [[5 + i, 6] for i in range(6)]
    kept, counted = scorer(lm, tiny_llama, tmp_path, Share(1, 3))

    (said,) = kept.lm.generate([[]], questions, max_new_tokens=3)

    assert counted.seen == {"texts": 2}
    assert sum(bool(text) for text in said) == 2


def test_a_loss_that_is_not_finite_is_asked_again(lm, tiny_llama, tmp_path):
    class Broken(Counted):
        def answer_nll(self, prompts, answers):
            sums, counts = super().answer_nll(prompts, answers)
            return np.where(np.arange(len(sums)) == 0, np.inf, sums), counts

    pool = a_pool(3)
    broken = scorer(Broken(lm), tiny_llama, tmp_path)[0]
    statuses = score("perplexity", pool, broken).status.tolist()
    healed, counted = scorer(lm, tiny_llama, tmp_path)

    assert sorted(statuses) == ["failed", "ok", "ok"]
    assert set(score("perplexity", pool, healed).status) == {"ok"}
    assert counted.seen == {"nll": 1}


def test_weights_are_not_read_where_nothing_is_missing(
    tiny_llama, tmp_path, monkeypatch
):
    record = {**tiny_llama, "max_positions": 512}
    pool = a_pool(6)

    def column(name):
        with_ = losses.load(
            record, prompt=PROMPT, engine=ENGINE, open_store=store_at(tmp_path)
        )
        return score(name, pool, with_).score

    names = ("perplexity", "nuggets", "data_whisperer")
    before = [column(name) for name in names]
    monkeypatch.delattr("tmap.engines.load")

    for name, scores in zip(names, before, strict=True):
        assert_array_equal(column(name), scores)


@pytest.mark.parametrize("text", ["3", "3/3", "a/b", "-1/3", "1/0", ""])
def test_a_share_that_is_none_is_refused(text):
    with pytest.raises(TmapError, match="K/N"):
        parse(text)
    assert parse("2/3") == (2, 3)


# --- what was measured and is gone is an error, never an empty answer


class Purged(Store):
    """A store whose folder is removed whenever something was put into it."""

    def put(self, entries):
        super().put(entries)
        shutil.rmtree(self.folder.parents[1])


ASKS = {
    "generate": lambda lm: lm.generate([[1]], [[2], [3]], max_new_tokens=3),
    "answer_nll": lambda lm: lm.answer_nll([[1], [2]], [[3], [4]]),
    "option_nll": lambda lm: lm.option_nll([[1], [2]], [[3]], [[[4], [5]]]),
    "digit_logits": lambda lm: lm.digit_logits([[1], [2]], [3, 4]),
    "attention": lambda lm: lm.attention([[1], [2]], [[3], [4]], 0),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_replies_that_vanish_before_they_are_read_are_an_error(
    tiny_llama, tmp_path, ask
):
    lm = engines.load(tiny_llama, ENGINE)
    purged = partial(Purged, place=tmp_path / "store")
    with pytest.raises(TmapError, match=r"2 of 2 replies that this job measured"):
        ask(CachingEngine(lm, {}, tiny_llama, purged))


def test_an_answer_without_a_token_is_no_lost_one(tiny_llama, tmp_path):
    class Silent(Counted):
        def generate(self, prefixes, questions, **how):
            return [[[] for _ in questions] for _ in prefixes]

    lm = Silent(engines.load(tiny_llama, ENGINE))
    kept = CachingEngine(lm, {}, tiny_llama, store_at(tmp_path))
    assert kept.generate([[1]], [[2], [3]], max_new_tokens=3) == [[[], []]]
    assert kept.generate([[1]], [[2], [3]], max_new_tokens=3) == [[[], []]]


def test_a_likelihood_that_is_not_finite_is_no_lost_one(tiny_llama, tmp_path):
    class Overflown(Counted):
        def answer_nll(self, prompts, answers):
            return np.array([np.inf, 1.0]), np.array([1, 1])

    lm = Overflown(engines.load(tiny_llama, ENGINE))
    kept = CachingEngine(lm, {}, tiny_llama, store_at(tmp_path))
    total, _ = kept.answer_nll([[1], [2, 2]], [[3], [4]])
    assert np.isnan(total).sum() == 1


def test_an_evaluation_leaves_the_folder_of_another_one_alone(tiny_llama, tmp_path):
    lm = engines.load(tiny_llama, ENGINE)

    def job():
        return kept_until_done(lm, tiny_llama, tmp_path / "checkpoints")

    def ask(engine):
        return engine.generate([[1]], [[2], [3]], max_new_tokens=3)

    with job() as first:
        alone = ask(first)
        with job() as second:  # began while the first still ran
            assert ask(second) == alone
        assert not (tmp_path / "checkpoints").exists()
    with job() as first, job() as second:
        ask(first)
        assert ask(second) == alone
    assert not (tmp_path / "checkpoints").exists()


def test_the_first_of_two_evaluations_to_end_takes_no_answer_from_the_other(
    tiny_llama, tmp_path
):
    lm = engines.load(tiny_llama, ENGINE)
    first = kept_until_done(lm, tiny_llama, tmp_path / "checkpoints")
    second = kept_until_done(lm, tiny_llama, tmp_path / "checkpoints")
    one, two = first.__enter__(), second.__enter__()
    answers = two.generate([[1]], [[2], [3]], max_new_tokens=3)
    one.generate([[1]], [[2], [3]], max_new_tokens=3)
    first.__exit__(None, None, None)
    assert two.generate([[1]], [[2], [3]], max_new_tokens=3) == answers
    second.__exit__(None, None, None)
    assert not (tmp_path / "checkpoints").exists()

"""MIWV, Nuggets and Data Whisperer against hand-worked values and literal references.

The references read one prompt at a time with transformers' own model and loss, and loop
over rows, anchors, heads and tokens.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose

from icl import Obedient, a_pool
from tmap import indicators
from tmap.cards.model import EngineSection, PromptSection
from tmap.errors import TmapError
from tmap.indicators import nuggets
from tmap.indicators.scoring import losses, whisper
from tmap.prompts.renderer import Demo, Renderer

ROWS = [
    ("What is 3 + 4?", "3 + 4 = 7\n#### 7"),
    ("What is 30 + 4?", "34\n#### 34"),
    ("Say hello.", "Hello, hello and hello again."),
    ("Grüße?", "Grüße, 你好 🙂."),
    ("How many coins has Sara?", "Sara has 40 coins.\n#### 40"),
    ("Say nothing.", "  "),
    ("How many coins now?", "6+34=40\n#### 40"),
    ("Write at length.", "word " * 3000),
]


def vectors(pool, rows=None):
    """Table 'embeddings' of these vectors; random ones without."""
    if rows is None:
        rows = np.random.default_rng(1).normal(size=(len(pool), 5))
    return pd.DataFrame(
        {"sample_id": pool["sample_id"], "embedding": list(np.float32(rows))}
    )


@pytest.fixture
def pool():
    return a_pool(*ROWS)


@pytest.fixture(scope="module", params=["reference", "transformers"])
def scorer(tiny_llama, request):
    return losses.load(
        {**tiny_llama, "max_positions": 512},
        prompt=PromptSection(template="plain"),
        engine=EngineSection(name=request.param, device="cpu", dtype="float32"),
        embeddings=vectors(a_pool(*ROWS)),
    )


@pytest.fixture(scope="module")
def own(tiny_llama):
    """Transformers' model with its plain attention, and our renderer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(
        tiny_llama["path"], dtype=torch.float32, attn_implementation="eager"
    )
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama["path"])
    return model, Renderer(tokenizer, PromptSection(template="plain"))


def own_loss(own, question, answer, demos=()):
    """Mean nats per answer token by transformers' `labels`; the number of tokens."""
    model, renderer = own
    prompt, ids = renderer.render(question, demos), renderer.answer(answer)
    before = [*prompt.prefix, *prompt.question]
    labels = torch.tensor([[-100] * len(before) + ids])
    with torch.inference_mode():
        loss = model(input_ids=torch.tensor([before + ids]), labels=labels).loss
    return loss.double().item(), len(ids)


def score(name, pool, lm, **options):
    return indicators.get(name)(pool, lm, **options)


class Table:
    """An engine with given losses, by the text before the answer."""

    n_layers = 2

    def __init__(self, nll):
        self.nll = nll

    def answer_nll(self, prompts, answers):
        found = [self.nll(p) * len(a) for p, a in zip(prompts, answers, strict=True)]
        return np.array(found, float), np.array([len(a) for a in answers])


# --- MIWV


def test_miwv_is_the_loss_with_the_neighbour_less_the_loss_without(pool, scorer):
    one_shot = len(scorer.renderer.render("", [Demo("Say hello.", "x")]).prefix)
    lm = replace(
        scorer, lm=Table(lambda prompt: 1.5 if len(prompt) > one_shot else 1.2)
    )
    short = a_pool(*[("Why?", "So it is.")] * 2)

    found = score("miwv", short, replace(lm, embeddings=vectors(short)))

    assert_allclose(found.score, [0.3, 0.3])


def test_miwv_equals_brute_force_with_transformers_own_loss(pool, scorer, own):
    table = scorer.embeddings["embedding"]
    shown = [0, 1, 2, 3, 4, 6]  # 5 has no answer, 7 fills the context

    found = score("miwv", pool, scorer)

    for i in shown:
        near = {
            j: table[i] @ table[j] / np.linalg.norm(table[i]) / np.linalg.norm(table[j])
            for j in shown
            if j != i
        }
        demo = Demo(*ROWS[max(near, key=near.get)])
        expected = own_loss(own, *ROWS[i], [demo])[0] - own_loss(own, *ROWS[i])[0]
        assert_allclose(found.score[i], expected, rtol=1e-5, atol=1e-5)
    assert found.status.tolist() == ["ok"] * 5 + ["empty", "ok", "truncated"]


def test_miwv_of_equally_near_rows_shows_the_first_by_text_hash(pool, scorer, own):
    lm = replace(scorer, embeddings=vectors(pool, np.ones((len(pool), 3))))

    found = score("miwv", pool, lm)

    # Hashes are 0, 7, 14, 5, 12 ...: row 0 is everyone's neighbour, row 3 that of row 0.
    for i, near in [(0, 3), (1, 0), (4, 0)]:
        demo = Demo(*ROWS[near])
        expected = own_loss(own, *ROWS[i], [demo])[0] - own_loss(own, *ROWS[i])[0]
        assert_allclose(found.score[i], expected, rtol=1e-5, atol=1e-5)


def test_miwv_of_a_row_that_has_no_other_is_failed_not_zero(pool, scorer):
    assert score("miwv", pool.iloc[:1], scorer).status == ["failed"]
    assert score("miwv", pool.iloc[[0, 5]], scorer).status.tolist() == [
        "failed",
        "empty",
    ]


def test_miwv_shows_nothing_longer_than_half_of_the_context_and_cuts_nothing(scorer):
    pool = a_pool(*[("a", "x " * 105), ("b", "x " * 150)])
    lm = replace(scorer, embeddings=vectors(pool), max_positions=512)

    assert score("perplexity", pool, lm).status.tolist() == ["ok", "ok"]
    assert score("miwv", pool, lm).status.tolist() == ["failed", "truncated"]


@pytest.mark.parametrize("name", ["miwv", "nuggets"])
def test_a_column_that_compares_rows_says_what_to_build(name, pool, scorer):
    with pytest.raises(TmapError, match="embed-pool"):
        score(name, pool, replace(scorer, embeddings=None))


@pytest.mark.parametrize("name", ["miwv", "nuggets"])
def test_embeddings_of_another_pool_are_refused(name, pool, scorer):
    lm = replace(scorer, embeddings=scorer.embeddings.iloc[1:])

    with pytest.raises(TmapError, match=r"lack 1 samples .* 's0'"):
        score(name, pool, lm)


# --- Nuggets


def test_golden_score_by_hand():
    nll = np.array(
        [
            [2.0, 2.0, 2.0, 2.0],  # without an example
            [1.9, 1.0, 1.5, 2.1],  # 3 of 4
            [2.0, 2.0, 2.0, 2.0],  # equal is not likelier
            [1.0, 3.0, 1.0, 1.0],  # the third anchor is this candidate: 2 of 3
            [np.nan, 1.0, 1.0, 1.0],
        ]
    )
    counts = np.ones((4, 4), bool)
    counts[2, 2] = False

    share = nuggets._share(nll, counts)

    assert_allclose(share, [0.75, 0.0, 2 / 3, np.nan])


def test_nuggets_equals_one_pass_per_candidate_and_anchor(pool, scorer, own):
    found = score("nuggets", pool, scorer, n_anchors=4)

    anchors = [int(name[1:]) for name in found.notes["anchors"]]
    assert len(set(anchors)) == 4
    assert not {5, 7} & set(anchors)
    for i in [0, 1, 2, 3, 4, 6]:
        helped = []
        for j in anchors:
            if j != i:
                with_it, _ = own_loss(own, *ROWS[j], [Demo(*ROWS[i])])
                helped.append(with_it < own_loss(own, *ROWS[j])[0])
        assert found.score[i] == np.mean(helped)
    assert found.status.tolist() == ["ok"] * 5 + ["empty", "ok", "truncated"]


def test_anchors_are_the_rows_nearest_to_the_centres_of_their_clusters(scorer):
    degrees = np.deg2rad([86, 0, 90, -7, 97, 5])  # means 91 and -0.7
    pool = a_pool(*[ROWS[i] for i in (0, 1, 2, 3, 4, 6)])
    spots = np.stack([np.cos(degrees), np.sin(degrees)], axis=1)
    lm = replace(scorer, embeddings=vectors(pool, spots))

    for rows in (pool, pool.iloc[::-1]):
        found = score("nuggets", rows, lm, n_anchors=2)
        assert sorted(found.notes["anchors"]) == ["s1", "s2"]


def test_a_pool_with_few_rows_has_fewer_anchors_and_none_of_its_own(pool, scorer):
    two = score("nuggets", pool.iloc[:2], scorer)

    assert sorted(two.notes["anchors"]) == ["s0", "s1"]
    assert set(two.score) <= {0.0, 1.0}
    assert score("nuggets", pool.iloc[:1], scorer).status == ["failed"]


def test_copies_of_a_candidate_are_no_anchors_of_it(scorer):
    pool = a_pool(*[ROWS[0]] * 3)
    pool["text_hash"] = "same"
    lm = replace(scorer, embeddings=vectors(pool))

    assert score("nuggets", pool, lm).status.tolist() == ["failed"] * 3


def test_no_row_short_enough_to_be_an_anchor_is_an_error(pool, scorer):
    with pytest.raises(TmapError, match="max_anchor_tokens"):
        score("nuggets", pool, scorer, max_anchor_tokens=3)


def test_every_candidate_is_read_once_for_all_anchors(pool, scorer, monkeypatch):
    if not hasattr(scorer.lm, "prefixes"):
        pytest.skip("the reference engine reads everything every time")
    read = []
    prefill = scorer.lm.prefixes.prefill
    monkeypatch.setattr(
        scorer.lm.prefixes, "prefill", lambda ids: read.extend(ids) or prefill(ids)
    )

    score("nuggets", pool, scorer, n_anchors=5)

    assert len(read) == 1 + 6  # once without an example, once for each that fits


# --- Data Whisperer


@pytest.mark.parametrize(
    ("reply", "answers"),
    [
        ("Answer 1: 7\nAnswer 2: 8", ["7", "8"]),
        ("Sure.\n**Answer 1.** 3 + 4\n= 7\n\n answer 2) 8 ", ["3 + 4\n= 7", "8"]),
        ("Answer 1: Answer 2 is hard.\nAnswer 2:", ["Answer 2 is hard.", ""]),
        ("Answer 2: 8\nAnswer 1: 7", None),
        ("Answer 1: 7", None),
        ("Answer 1: 7\nAnswer 1: 8\nAnswer 2: 9", None),
        ("Answer 1: 7\nAnswer 2: 8\nAnswer 3: 9", None),
        ("1: 7\n2: 8", None),
        ("", None),
    ],
)
def test_answers_are_read_by_their_numbers(reply, answers):
    assert whisper.parse(reply, 2) == answers


def test_the_reply_to_one_question_is_its_answer():
    assert whisper.parse(" 3 + 4 = 7\n#### 7\n", 1) == ["3 + 4 = 7\n#### 7"]


def longest_common(a, b):
    """Length of the longest common subsequence, by its recursive definition."""

    @lru_cache(None)
    def of(i, j):
        if not i or not j:
            return 0
        if a[i - 1] == b[j - 1]:
            return of(i - 1, j - 1) + 1
        return max(of(i - 1, j), of(i, j - 1))

    return of(len(a), len(b))


def test_rouge_l_is_the_f1_of_the_longest_common_subsequence():
    # the cat sat / the fat cat sat down: 3 of 3 and 3 of 5
    assert_allclose(whisper.rouge_l("The cat sat.", "the fat cat sat down"), 0.75)
    assert whisper.rouge_l("", "") == whisper.rouge_l("a", "") == 0.0
    rng = np.random.default_rng(0)
    for _ in range(30):
        a, b = (rng.choice(list("abcd"), rng.integers(1, 12)) for _ in range(2))
        expected = 2 * longest_common(tuple(a), tuple(b)) / (len(a) + len(b))
        assert_allclose(whisper.rouge_l(" ".join(a), " ".join(b)), expected)


def test_weights_are_shares_of_the_mean_attention_to_each_example():
    # means 0.3, 0.1 and 0.1 of two, one and four tokens; the first token is nobody's
    paid = np.array([9.0, 0.2, 0.4, 0.1, 0.1, 0.1, 0.0, 0.2])

    assert_allclose(whisper.weights(paid, [1, 3, 4, 8]), [0.6, 0.2, 0.2])


@pytest.mark.parametrize("n", [2, 4, 11, 12])
@pytest.mark.parametrize("rounds", [1, 3])
def test_paper_mode_shows_every_sample_in_batches_of_one_size(n, rounds):
    batches = whisper.deal_paper(n, n_demos=5, n_queries=3, rounds=rounds, seed=0)

    shown = np.bincount(np.concatenate([b.demos for b in batches]), minlength=n)
    assert shown.min() >= rounds
    assert {len(b.demos) for b in batches} == {min(5, n - 1)}
    for batch in batches:
        assert len(set(batch.demos) | set(batch.queries)) == len(batch.demos) + len(
            batch.queries
        )
        assert len(batch.queries) == min(3, n - len(batch.demos))


def test_original_mode_shows_two_halves_in_order_and_asks_the_other_in_turn():
    batches = whisper.deal_original(9, n_demos=3, n_queries=2, rounds=1, seed=42)

    # Halves of a shuffle with seed 42; the larger one is asked first.
    order = np.random.RandomState(42).permutation(9)
    larger, smaller = sorted(order[:5].tolist()), sorted(order[5:].tolist())
    assert [batch.demos.tolist() for batch in batches] == [
        smaller[:3],
        smaller[3:],
        larger[:3],
        larger[3:],
    ]
    assert [batch.queries.tolist() for batch in batches] == [
        larger[:2],
        larger[2:4],
        smaller[:2],
        smaller[2:],
    ]


def test_original_mode_begins_again_where_the_other_half_ends():
    batches = whisper.deal_original(4, n_demos=1, n_queries=2, rounds=1, seed=42)
    few = whisper.deal_original(3, n_demos=1, n_queries=3, rounds=1, seed=42)

    assert batches[0].queries.tolist() == batches[1].queries.tolist()
    assert [len(batch.queries) for batch in few] == [2, 1, 1]


@pytest.mark.parametrize(
    ("n", "n_queries", "places"),
    [
        (14, 3, [[0, 1, 2], [3, 4, 5], [6], [0, 1, 2], [3, 4, 5], [6], [0, 1, 2]]),
        (8, 4, [[0, 1, 2, 3]] * 4),
        (8, 3, [[0, 1, 2], [3], [0, 1, 2], [3]]),
        (8, 9, [[0, 1, 2, 3]] * 4),
        (6, 2, [[0, 1], [2], [0, 1]]),
        (6, 1, [[0], [1], [2]]),
    ],
)
def test_original_mode_asks_a_short_last_batch_and_starts_again(n, n_queries, places):
    """As the published code, whose loader keeps a last batch that is not full."""
    how = {"n_demos": 1, "n_queries": n_queries, "rounds": 1, "seed": 42}
    batches = whisper.deal_original(n, **how)[: n // 2]
    other = sorted(set(range(n)) - {int(b.demos[0]) for b in batches})
    assert [b.queries.tolist() for b in batches] == [
        [other[place] for place in some] for some in places
    ]


@pytest.mark.parametrize("deal", [whisper.deal_paper, whisper.deal_original])
@pytest.mark.parametrize("n", [0, 1])
def test_a_lone_sample_makes_no_batch(deal, n):
    assert deal(n, n_demos=5, n_queries=3, rounds=1, seed=0) == []


def own_attention(own, prompt, layer):
    """The attention of the question's tokens to each token of the prefix, head by head."""
    model, _ = own
    ids = torch.tensor([[*prompt.prefix, *prompt.question]])
    with torch.inference_mode():
        maps = model(input_ids=ids, output_attentions=True).attentions[layer][0]
    paid = np.zeros(len(prompt.prefix))
    for head in maps:
        for asking in range(len(prompt.prefix), ids.shape[1]):
            for seen in range(len(prompt.prefix)):
                paid[seen] += float(head[asking, seen]) / len(prompt.question)
    return paid


def border(renderer, demos, n):
    """The end of the first n examples: the tokens up to it decode to their text."""
    text = "<bos>" + "\n\n".join(f"Question: {q}\nAnswer: {a}" for q, a in demos[:n])
    ids = renderer.render("", demos).prefix
    (end,) = (k for k in range(len(ids)) if renderer.tokenizer.decode(ids[:k]) == text)
    return end


def literal(own, rows, batches, answer_of, metric, layer):
    """Scores by the formula, batch by batch; rows are (question, answer)."""
    got = {i: [] for i in range(len(rows))}
    _, renderer = own
    for batch in batches:
        demos = [Demo(*rows[i]) for i in batch.demos]
        (query,) = batch.queries
        prompt = renderer.render(rows[query][0], demos)
        f = metric(answer_of(prompt), rows[query][1])
        paid = own_attention(own, prompt, layer)
        borders = [1, *(border(renderer, demos, n) for n in range(1, len(demos)))]
        ends = [*borders[1:], len(prompt.prefix)]
        means = [paid[a:b].mean() for a, b in zip(borders, ends, strict=True)]
        for i, mean in zip(batch.demos, means, strict=True):
            got[i].append(f * mean / sum(means))
    return [np.mean(found) if found else np.nan for found in got.values()]


@pytest.mark.parametrize("mode", ["paper", "original"])
@pytest.mark.parametrize("layer", [0, 1])
def test_data_whisperer_equals_a_literal_reference(scorer, own, mode, layer):
    rows = [ROWS[i] for i in (0, 1, 2, 3, 4, 6)]
    pool = a_pool(*rows)
    pool["text_hash"] = [f"{i:02d}" for i in range(6)]  # dealt in this order
    options = {"n_demos": 2, "n_queries": 1, "rounds": 2, "seed": 5}
    deal = whisper.deal_paper if mode == "paper" else whisper.deal_original
    model, renderer = own

    def greedy(prompt):
        ids = torch.tensor([[*prompt.prefix, *prompt.question]])
        out = model.generate(ids, max_new_tokens=9, do_sample=False, pad_token_id=0)
        return renderer.read(out[0, ids.shape[1] :].tolist())

    found = score(
        "data_whisperer",
        pool,
        scorer,
        mode=mode,
        layer=layer,
        metric="rouge_l",
        max_new_tokens=9,
        **options,
    )

    metric = lambda answer, gold: whisper.rouge_l(answer, gold)  # noqa: E731
    expected = literal(own, rows, deal(6, **options), greedy, metric, layer)
    assert_allclose(found.score, expected, rtol=1e-5, atol=1e-7)
    assert found.notes["layer"] == layer


def test_data_whisperer_weighs_by_attention_where_answers_are_right(scorer, own):
    rows = [ROWS[i] for i in (0, 1, 4, 6)]
    pool = a_pool(*rows)
    pool["text_hash"] = [f"{i:02d}" for i in range(4)]
    options = {"n_demos": 3, "n_queries": 1, "rounds": 3, "seed": 1}
    lm = replace(scorer, lm=Obedient(scorer.lm, lambda prompt: "It is 40."))

    found = score("data_whisperer", pool, lm, layer=1, max_new_tokens=20, **options)

    right = lambda answer, gold: float("#### 40" in gold)  # noqa: E731
    batches = whisper.deal_paper(4, **options)
    expected = literal(own, rows, batches, lambda prompt: "40", right, 1)
    assert_allclose(found.score, expected, rtol=1e-5)
    assert any(0 < s < 1 for s in found.score)


def test_the_shares_of_a_batch_sum_to_its_metric(scorer):
    pool = a_pool(*[ROWS[i] for i in (0, 1, 4, 6)])
    lm = replace(scorer, lm=Obedient(scorer.lm), max_positions=1500)

    options = {"n_demos": 2, "n_queries": 2, "mode": "original"}
    found = score("data_whisperer", pool, lm, **options)

    # Every question is asked once and answered by 7, which is right for one of four.
    assert_allclose(found.score.sum(), 2 * 1 / 4)


def test_a_batch_that_is_not_read_scores_nothing(scorer):
    pool = a_pool(*[ROWS[i] for i in (0, 1, 4, 6)])
    options = {"n_demos": 2, "n_queries": 2, "mode": "original"}
    first = []

    def say(prompt):
        first.append(prompt)
        return "I do not know." if prompt == first[0] else "Answer 1: 40\nAnswer 2: 40"

    lm = replace(scorer, lm=Obedient(scorer.lm, say), max_positions=1500)

    found = score("data_whisperer", pool, lm, **options)

    assert sorted(found.status) == ["ok", "ok", "unparsable", "unparsable"]
    assert np.isnan(found.score).tolist() == (found.status == "unparsable").tolist()
    assert found.notes["unread_batches"] == 1


def test_a_sample_longer_than_its_share_takes_no_part(pool, scorer):
    obedient = Obedient(scorer.lm)
    lm = replace(scorer, lm=obedient, max_positions=1500)

    found = score("data_whisperer", pool, lm)

    assert found.status[[5, 7]].tolist() == ["empty", "truncated"]
    assert max(map(len, obedient.prompts)) + 512 <= 1500
    decode = scorer.lm.tokenizer.decode
    assert not any("word word" in decode(prompt) for prompt in obedient.prompts)


def test_the_default_layer_is_two_fifths_of_the_depth(pool, scorer):
    lm = replace(scorer, lm=Obedient(scorer.lm), max_positions=1500)
    assert score("data_whisperer", pool, lm).notes["layer"] == 1  # 0.4 x 2 layers

    with pytest.raises(TmapError, match="count from 0 to 1"):
        score("data_whisperer", pool, lm, layer=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "orginal"}, "Did you mean 'original'"),
        ({"metric": "rouge"}, "Did you mean 'rouge_l'"),
        ({"n_queries": 0}, "n_queries: 0.* at least 1"),
    ],
)
def test_options_that_make_no_batches_are_refused(pool, scorer, options, message):
    with pytest.raises(TmapError, match=message):
        score("data_whisperer", pool, scorer, **options)


def test_watching_attention_leaves_the_engine_as_it_was(scorer):
    before = scorer.lm.model.config._attn_implementation
    question = scorer.renderer.render("Why?").question
    answer = scorer.lm.generate([[1, 5]], [question], max_new_tokens=5)

    scorer.lm.attention([[1, 5]], [question], 0)

    assert scorer.lm.model.config._attn_implementation == before
    assert scorer.lm.generate([[1, 5]], [question], max_new_tokens=5) == answer

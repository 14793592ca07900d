"""Rows packed behind their common beginning: the same numbers from fewer tokens."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tmap.engines.weights import load_tokenizer, load_weights
from tmap.prompts.renderer import Renderer
from tmap.training import batches
from tmap.training.batches import Batches, common, is_cheaper_packed, packed
from tmap.training.rows import IGNORED, Row, encode
from tmap.training.short import ShortTraining
from tmap.training.train import train
from training import CHATS, ENGINE, PLAIN, settings

ROWS = [
    Row([1, 2, 3, 4, 5], [IGNORED, IGNORED, IGNORED, 4, 5]),
    Row([1, 2, 3, 6], [IGNORED, IGNORED, IGNORED, 6]),
    Row([1, 2, 7, 8], [IGNORED, IGNORED, IGNORED, 8]),
]


@pytest.fixture(scope="module")
def rows(tiny_llama):
    return encode(Renderer(load_tokenizer(tiny_llama), PLAIN), CHATS, 512, "key").rows


def test_rows_are_packed_as_worked_by_hand():
    found = packed(ROWS, "cpu")

    assert found.ids.tolist() == [[1, 2, 3, 4, 5, 3, 6, 7, 8]]
    assert found.places.tolist() == [[0, 1, 2, 3, 4, 2, 3, 2, 3]]
    assert found.sources.tolist() == [2, 3, 5, 7]
    assert found.golds.tolist() == [4, 5, 6, 8]
    assert found.sees[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 1, 0, 0, 0],
        [1, 1, 0, 0, 0, 1, 1, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 1, 0],
        [1, 1, 0, 0, 0, 0, 0, 1, 1],
    ]


def test_a_beginning_ends_before_what_is_learned_and_before_a_whole_row():
    assert common(ROWS) == 2
    assert common([ROWS[0], Row([1, 9, 3], [IGNORED, IGNORED, 3])]) == 1
    assert common([Row([1, 2], [IGNORED, 2]), Row([1, 2], [1, 2])]) == 0
    assert common([Row([1, 2], [IGNORED, IGNORED]), ROWS[0]]) == 1


TOKENS = st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=2, max_size=9)


@given(st.lists(TOKENS, min_size=1, max_size=5))
def test_every_learned_token_follows_the_tokens_of_its_row(parts):
    rows = [
        Row([i for i, _ in part], [i if n else IGNORED for i, n in part])
        for part in parts
    ]
    found = packed(rows, "cpu")

    learned = []
    for source in found.sources.tolist():
        seen = found.sees[0, 0, source].nonzero()[:, 0]
        assert found.places[0, seen].tolist() == list(range(len(seen)))
        learned.append(found.ids[0, seen].tolist())
    expected = [
        (row.input_ids[:at], row.input_ids[at])
        for row in rows
        for at in range(1, len(row.input_ids))
        if row.labels[at] != IGNORED
    ]
    assert list(zip(learned, found.golds.tolist(), strict=True)) == expected


def test_long_rows_of_one_length_are_cheaper_padded():
    short = [Row([1] * n, [IGNORED] * (n - 1) + [1]) for n in (30, 40, 80)]
    alike = [Row([i, *[1] * 999], [IGNORED] * 999 + [1]) for i in range(4)]
    assert is_cheaper_packed(short, hidden=64)
    assert not is_cheaper_packed(alike, hidden=64)
    # 8 rows of 100 tokens, 50 of them common: 450 for 800, and 450^2 pairs for 8 x 100^2.
    half = [Row([0] * 50 + [i] * 50, [IGNORED] * 99 + [i]) for i in range(1, 9)]
    assert is_cheaper_packed(half, hidden=60)  # 350 - 122,500 / 360 = 9.7
    assert not is_cheaper_packed(half, hidden=58)  # 350 - 122,500 / 348 = -2.0


def test_packed_rows_have_the_losses_and_gradients_of_padded_ones(tiny_llama, rows):
    found = ShortTraining(tiny_llama, ENGINE, settings(dropout=0.0), seed=0)
    found.train(rows[:4], 1e-2, 2.0)  # an untrained adapter has half of no gradient
    taken = {}
    for takes in (True, False):
        found._batches.takes = takes
        assert found._batches.packs(rows[:8]) is takes
        loss = found._loss(rows[:8])
        loss.backward()
        taken[takes] = loss.detach(), [p.grad.clone() for p in found._adapter]
        found.model.zero_grad()

    torch.testing.assert_close(taken[True][0], taken[False][0], rtol=1e-5, atol=1e-5)
    for a, b in zip(taken[True][1], taken[False][1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("epochs", [2])
def test_the_trainer_packs_and_ends_where_it_ended_padded(
    tiny_llama, tmp_path, monkeypatch, epochs
):
    def losses(name):
        report = train(
            tiny_llama,
            PLAIN,
            ENGINE,
            settings(dropout=0.0, epochs=epochs, batch_size=8, micro_batch_size=4),
            CHATS,
            seed=0,
            adapter=tmp_path / name,
            scratch=tmp_path / f"{name}_checkpoints",
        )
        return [loss for _, loss in report["loss"]]

    asked = []
    usual = Batches.packs
    monkeypatch.setattr(
        Batches,
        "packs",
        lambda self, part: asked.append(usual(self, part)) or asked[-1],
    )
    one = losses("packed")
    assert any(asked)
    monkeypatch.setattr(Batches, "packs", lambda self, part: False)

    assert losses("padded") == pytest.approx(one, rel=1e-4)


def test_a_model_that_reads_over_the_bounds_of_rows_gets_padded_ones(
    tiny_llama, rows, monkeypatch
):
    """It ignores the mask, as a recurrent layer would."""
    model = load_weights(tiny_llama, ENGINE).model
    assert Batches.of(model, rows, 8).takes
    whole = model.forward

    def forward(*args, attention_mask=None, **kwargs):
        return whole(*args, attention_mask=None, **kwargs)

    monkeypatch.setattr(model, "forward", forward)

    found = Batches.of(model, rows, 8)

    assert found.takes is False
    assert not found.packs(rows[:8])


def test_a_model_without_the_keywords_gets_padded_rows(tiny_llama, rows, monkeypatch):
    model = load_weights(tiny_llama, ENGINE).model
    monkeypatch.setattr(model, "forward", lambda input_ids, attention_mask: None)
    assert Batches.of(model, rows, 8).takes is False


def test_what_no_check_could_be_sure_of_is_padded(rows, monkeypatch):
    class Config(SimpleNamespace):
        def get_text_config(self, decoder):
            return self

    longest = max(len(row.input_ids) for row in rows[:8])
    wide = {"hidden_size": 64}
    assert Batches(Config(**wide)).would_pack(rows[:8])
    assert Batches(Config(**wide, sliding_window=longest)).would_pack(rows[:8])
    assert not Batches(Config(**wide, sliding_window=longest - 1)).would_pack(rows[:8])
    assert not Batches(Config()).would_pack(rows[:8])
    kinds = ["full_attention", "sliding_attention"]
    assert Batches(Config(**wide, layer_types=kinds)).would_pack(rows[:8])
    assert not Batches(Config(**wide, layer_types=[*kinds, "conv"])).would_pack(
        rows[:8]
    )
    monkeypatch.setattr(batches, "MOST_PACKED", 10)
    assert not is_cheaper_packed(rows[:8], 64)

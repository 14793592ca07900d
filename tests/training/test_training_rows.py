"""Fine-tuning shows the model our rows, and TRL changes nothing in them."""

import pytest

from tmap.engines.weights import load_tokenizer, load_weights
from tmap.errors import TmapError
from tmap.prompts.renderer import Renderer
from tmap.training.rows import IGNORED, encode
from tmap.training.train import make_trainer
from training import CHATS, ENGINE, PLAIN, TALK, settings


@pytest.fixture
def renderer(tiny_llama):
    return Renderer(load_tokenizer(tiny_llama), PLAIN)


def seen_by_model(record, rows, prepare=lambda tokenizer: None, **changes):
    """(ids, labels) of every row that the model's forward pass gets, less padding."""
    weights = load_weights(record, ENGINE)
    tokenizer = load_tokenizer(record)
    prepare(tokenizer)
    seen = []

    def record_inputs(module, args, inputs):
        parts = [inputs[k] for k in ("input_ids", "labels", "attention_mask")]
        if parts[2].dim() == 4:
            seen.extend(unpacked(*parts))
            return
        for ids, labels, mask in zip(*parts, strict=True):
            n = int(mask.sum())
            assert set(labels[n:].tolist()) <= {IGNORED}
            seen.append((ids[:n].tolist(), labels[:n].tolist()))

    trainer = make_trainer(
        weights, tokenizer, rows, settings(**changes), 0, folder="unused"
    )
    trainer.args.save_strategy = "no"
    trainer.model.register_forward_pre_hook(record_inputs, with_kwargs=True)
    trainer.train()
    return seen


def unpacked(ids, labels, sees):
    """What the last token of each packed row attends to: the row."""
    ids, labels, sees = ids[0], labels[0], sees[0, 0]
    later = sees.tril(-1).any(dim=0)
    for last in (~later).nonzero()[:, 0]:
        row = sees[last].nonzero()[:, 0]
        yield ids[row].tolist(), labels[row].tolist()


def test_the_loss_counts_every_assistant_turn_and_nothing_else(renderer):
    row = encode(renderer, [TALK], 512, "key").rows[0]

    counted = renderer.tokenizer.decode([t for t in row.labels if t != IGNORED])

    said = [text.strip() for text in counted.split("<eos>")]
    assert said == ["A friend.", "Since May.", ""]


def test_long_rows_are_cut_counted_and_named(renderer):
    long = [("user", "Count."), ("assistant", "one two three four five " * 20)]

    rows = encode(renderer, [long, *CHATS], 60, "`train.max_length`")

    assert (rows.truncated, rows.dropped, len(rows.rows)) == (1, 0, 13)
    assert max(len(row.input_ids) for row in rows.rows) == 60
    assert "1 of 13 training rows (7.7%)" in rows.warnings[0]
    assert "`train.max_length`" in rows.warnings[0]


def test_one_cut_row_in_twenty_is_no_warning(renderer):
    long = [("user", "Count."), ("assistant", "one two three four five " * 20)]

    rows = encode(renderer, [long, *CHATS, *CHATS[:7]], 60, "key")

    assert (rows.truncated, rows.warnings) == (1, [])


def test_a_row_whose_answer_is_cut_away_is_dropped_and_counted(renderer):
    long = [("user", "Count to ten. " * 30), ("assistant", "one")]

    rows = encode(renderer, [long, *CHATS], 60, "key")

    assert (rows.truncated, rows.dropped, len(rows.rows)) == (0, 1, 12)
    assert "1 were dropped" in rows.warnings[0]


def test_no_row_left_ends_in_one_sentence(renderer):
    with pytest.raises(TmapError, match="None of the 12 training rows has an answer"):
        encode(renderer, CHATS, 3, "`train.max_length`")


def test_tokens_and_counted_tokens_are_those_of_the_rows(renderer):
    rows = encode(renderer, CHATS, 512, "key")

    assert rows.n_tokens == sum(len(renderer.training(c).ids) for c in CHATS)
    assert rows.n_loss_tokens == sum(sum(renderer.training(c)[1]) for c in CHATS)


def test_trl_hands_the_model_our_ids_and_labels_unchanged(tiny_llama, renderer):
    rows = encode(renderer, [TALK, *CHATS], 512, "key")

    seen = seen_by_model(tiny_llama, rows, epochs=1)

    assert sorted(seen) == sorted((r.input_ids, r.labels) for r in rows.rows)


def test_rows_beyond_trls_own_limit_of_1024_tokens_reach_the_model_whole(
    tiny_llama, renderer
):
    long = [("user", "Count."), ("assistant", "one two three " * 400)]
    rows = encode(renderer, [long], 4000, "key")
    assert len(rows.rows[0].input_ids) > 1024

    seen = seen_by_model(tiny_llama, rows, max_steps=1)

    assert seen == [(rows.rows[0].input_ids, rows.rows[0].labels)]


def test_the_end_token_stays_in_the_loss_where_it_is_also_the_pad_token(
    tiny_llama, renderer
):
    def pad_with_end(tokenizer):
        tokenizer.pad_token = tokenizer.eos_token

    rows = encode(renderer, [TALK, *CHATS], 512, "key")
    seen = seen_by_model(tiny_llama, rows, pad_with_end, epochs=1)

    eos = renderer.tokenizer.eos_token_id
    assert all(labels[-1] == eos for _, labels in seen)

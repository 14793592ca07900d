"""Short trainings of one loaded model: the trainer's own, and each from the same start."""

import numpy as np
import pytest
import torch

from tmap.engines.weights import load_tokenizer
from tmap.prompts.renderer import Renderer
from tmap.training.rows import encode
from tmap.training.short import ShortTraining
from tmap.training.train import train
from training import CHATS, ENGINE, PLAIN, settings


@pytest.fixture(scope="module")
def rows(tiny_llama):
    return encode(Renderer(load_tokenizer(tiny_llama), PLAIN), CHATS, 512, "key").rows


def learner(record, **changes):
    return ShortTraining(record, ENGINE, settings(dropout=0.0, **changes), seed=0)


def adapter(found):
    return [p.detach().clone() for p in found.model.parameters() if p.requires_grad]


def test_its_first_losses_are_the_trainer_s(tiny_llama, rows, tmp_path):
    """A batch of all rows does not depend on their order, nor on the adapter's start."""
    how = {"batch_size": len(CHATS), "micro_batch_size": 4, "warmup_share": 0.0}
    report = train(
        tiny_llama,
        PLAIN,
        ENGINE,
        settings(dropout=0.0, epochs=1, max_steps=1, **how),
        CHATS,
        seed=0,
        adapter=tmp_path / "adapter",
        scratch=tmp_path / "checkpoints",
    )
    found = learner(tiny_llama, **how).train(rows, 1e-3, 1.0)

    assert len(found) == 1
    assert found[0] == pytest.approx(report["loss"][0][1], rel=1e-5)


def test_training_lowers_the_loss_and_reset_forgets_it(tiny_llama, rows):
    found = learner(tiny_llama, batch_size=4, micro_batch_size=4)
    start = adapter(found)
    losses = found.train(rows, 1e-2, 8.0)
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert any(
        not torch.equal(a, b) for a, b in zip(adapter(found), start, strict=True)
    )

    found.reset()
    assert all(torch.equal(a, b) for a, b in zip(adapter(found), start, strict=True))


def test_the_same_rows_train_the_same_adapter_whatever_came_before(tiny_llama, rows):
    found = learner(tiny_llama, batch_size=4, micro_batch_size=4)
    first = found.train(rows[:8], 1e-2, 2.0)
    known = adapter(found)
    found.train(rows[4:], 3e-2, 1.0)

    assert found.train(rows[:8], 1e-2, 2.0) == first
    again = adapter(found)
    assert all(torch.equal(a, b) for a, b in zip(again, known, strict=True))


def test_gradients_of_parts_add_up_to_those_of_the_batch(tiny_llama, rows):
    whole = learner(tiny_llama, batch_size=8, micro_batch_size=8)
    parts = learner(tiny_llama, batch_size=8, micro_batch_size=2)
    one, two = (each.train(rows[:8], 1e-3, 3.0) for each in (whole, parts))
    assert two == pytest.approx(one, rel=1e-4)

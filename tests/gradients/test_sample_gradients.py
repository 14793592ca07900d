"""Per-sample gradients against a loop, and the Adam form against its formula."""

import numpy as np
import pytest
import torch

from tmap.gradients import sample_gradients
from tmap.gradients.proxy import adam_form
from tmap.training.rows import IGNORED, Row


@pytest.fixture(scope="module")
def model(tiny_llama):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(tiny_llama["path"])
    shape = LoraConfig(task_type="CAUSAL_LM", r=3, target_modules="all-linear")
    found = get_peft_model(base, shape).eval()
    for name, weight in found.named_parameters():
        if "lora_B" in name:  # zero in a fresh adapter, so A would have no gradient
            torch.nn.init.normal_(weight, std=0.05)
    return found


def rows(lengths, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for n in lengths:
        ids = rng.integers(5, 300, n).tolist()
        start = int(rng.integers(1, n))
        found.append(Row(ids, [IGNORED] * start + ids[start:]))
    return found


def loop(model, batch):
    """torch's own gradients, one row at a time, by the loss of transformers."""
    found = []
    for row in batch:
        model.zero_grad()
        given = {k: torch.tensor([v]) for k, v in row._asdict().items()}
        model(**given, use_cache=False).loss.backward()
        found.append(
            {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}
        )
    model.zero_grad()
    return found


def test_a_batch_gives_the_gradients_of_a_loop(model):
    batch = rows([40, 7, 23, 3])  # of 2, one key is attended to: no gradient in k
    found = {}
    sample_gradients.each(model, batch, lambda name, g: found.update({name: g}))
    alone = loop(model, batch)
    assert set(found) == set(alone[0])
    for name, gradients in found.items():
        for row, one in zip(gradients, alone, strict=True):
            length = one[name].norm()
            assert length > 0, name
            assert (row - one[name]).norm() <= 1e-5 * length, name


def test_no_hook_and_no_gradient_stays_behind(model):
    sample_gradients.each(model, rows([9]), lambda name, gradient: None)
    assert all(p.grad is None for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_adams_form_is_that_of_less():
    """b1 m + (1 - b1) g = .9 x .2 + .1 x 1 = .28; .999 x .04 + .001 x 1 = .04096."""
    g, m, v = torch.tensor([[1.0]]), torch.tensor([0.2]), torch.tensor([0.04])
    assert adam_form(g, m, v).item() == pytest.approx(0.28 / 0.04096**0.5, rel=1e-5)
    zero = torch.zeros(1)
    # eps is inside the root: 1e-6 x .1 / sqrt(.001 x 1e-12 + 1e-8)
    tiny = adam_form(torch.tensor([[1e-6]]), zero, zero).item()
    assert tiny == pytest.approx(1e-7 / (1e-15 + 1e-8) ** 0.5, rel=1e-4)

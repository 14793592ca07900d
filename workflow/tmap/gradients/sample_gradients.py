"""The gradient of every sample's own loss, computed for a batch of samples at a time.

For a linear layer, the gradient of one sample is the sum over its tokens of (gradient of
the output) x (input). Hooks catch both in one backward pass over the batch's summed
losses. Samples share no computation, so their gradients can be separated. A sample's loss
is the mean negative log-likelihood of its counted tokens, as in training.

Only LoRA weights have a gradient here, layer by layer: never more than one layer's
gradients of a batch are in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from tmap.training.batches import padded
from tmap.training.rows import IGNORED, Row

#: Takes a weight's name and (n_samples, n_out, n_in) gradients.
Consume = Callable[[str, torch.Tensor], None]


def each(model: Any, rows: Sequence[Row], consume: Consume) -> None:
    """Pass every trainable weight's gradients to `consume`, one weight after another.

    Parameters
    ----------
    model : PEFT model in evaluation mode; all weights that require a gradient belong to
        linear layers, each called once per pass
    rows : of one batch, each with a counted token
    consume : gets float32 gradients, in the order of the backward pass
    """
    handles = [
        module.register_forward_hook(_catcher(f"{name}.weight", consume))
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module.weight.requires_grad
    ]
    try:
        with torch.enable_grad():
            losses(model, rows).sum().backward()
    finally:
        for handle in handles:
            handle.remove()
        model.zero_grad(set_to_none=True)


def losses(model: Any, rows: Sequence[Row]) -> torch.Tensor:
    """(n_samples,) float32, mean nats over each row's counted tokens."""
    ids, mask, labels = padded(rows, model.device)
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    targets = labels[:, 1:]
    nll = torch.nn.functional.cross_entropy(
        logits[:, :-1].float().transpose(1, 2),
        targets,
        ignore_index=IGNORED,
        reduction="none",
    )
    return nll.sum(dim=1) / (targets != IGNORED).sum(dim=1)


def _catcher(name: str, consume: Consume) -> Callable[..., None]:
    """A forward hook that waits for the gradient of the layer's output."""

    def catch(module: Any, inputs: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
        given = inputs[0].detach()

        def arrive(gradient: torch.Tensor) -> None:
            consume(name, torch.einsum("bto,bti->boi", gradient.float(), given.float()))

        out.register_hook(arrive)

    return catch

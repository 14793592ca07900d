"""Attention weights of one layer, read from the model's own plain attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from tmap.engines.base import Ids
from tmap.errors import TmapError


def paid(
    model: Any, prefixes: Sequence[Ids], questions: Sequence[Ids], layer: int
) -> list[np.ndarray]:
    """As `LanguageModel.attention`; one prompt at a time.

    Memory: heads x T x T numbers of one layer at a time, for a prompt of T tokens.
    """
    found = []
    with _watching(model, layer) as seen:
        for prefix, question in zip(prefixes, questions, strict=True):
            ids = torch.tensor([[*prefix, *question]], device=model.device)
            seen.clear()
            model.base_model(input_ids=ids, use_cache=False)
            if not seen:
                raise TmapError(
                    f"The model does not expose the attention of layer {layer}, which "
                    "Data Whisperer uses as weights; it needs a decoder whose layers "
                    "attend. Take `data_whisperer` out of the method card."
                )
            heads = seen[-1][0, :, len(prefix) :, : len(prefix)].double()
            found.append(heads.sum(dim=0).mean(dim=0).cpu().numpy())
    return found


@contextmanager
def _watching(model: Any, layer: int) -> Iterator[list[torch.Tensor]]:
    """A list that collects the layer's weights, (1, heads, T, T), of every pass."""
    seen: list[torch.Tensor] = []

    def look(module: Any, given: Any, output: Any) -> None:
        weights = output[1] if isinstance(output, tuple) and len(output) > 1 else None
        if isinstance(weights, torch.Tensor) and weights.dim() == 4:
            seen.append(weights)

    usual = model.config._attn_implementation
    watched = [m for m in model.modules() if getattr(m, "layer_idx", None) == layer]
    hooks = [module.register_forward_hook(look) for module in watched]
    model.set_attn_implementation("eager")
    try:
        yield seen
    finally:
        model.set_attn_implementation(usual)
        for hook in hooks:
            hook.remove()

"""Log-probabilities of given tokens, without logits over the whole text.

Only positions that predict an answer token go through the output layer, some at a time.
The softmax is computed in float32 and sums in float64 (bfloat16 throughout would be off by
about 1 %).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch

from tmap.errors import TmapError

#: Most logits in memory at a time: positions times vocabulary.
MAX_LOGITS = {"cpu": 2**22, "cuda": 2**26}
logger = logging.getLogger(__name__)


class Head:
    """The output layer of a model, with its logit scaling or cap.

    Raises
    ------
    TmapError
        If the model computes its logits in another way (checked on a short text).
    """

    def __init__(self, model: Any) -> None:
        self._layer = model.get_output_embeddings()
        config = model.config.get_text_config(decoder=True)
        self._cap = getattr(config, "final_logit_softcapping", None)
        # Cohere multiplies, Granite divides.
        self._scale = float(getattr(config, "logit_scale", None) or 1.0)
        self._scale /= float(getattr(config, "logits_scaling", None) or 1.0)
        most = MAX_LOGITS.get(model.device.type, 2**22)
        self._positions = max(1, most // config.vocab_size)
        self._check(model)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """(n, d) -> (n, V) float32."""
        found = self._layer(hidden.to(self._layer.weight.device)).float()
        found = found if self._scale == 1.0 else found * self._scale
        return found if not self._cap else torch.tanh(found / self._cap) * self._cap

    def log_p(self, hidden: torch.Tensor, targets: Sequence[int]) -> torch.Tensor:
        """Log-probability of each target given its hidden state: (n,) float64, CPU."""
        found = []
        some = self._positions
        for start in range(0, len(targets), some):
            logits = self.logits(hidden[start : start + some])
            ids = torch.tensor(targets[start : start + some], device=logits.device)
            picked = logits.gather(1, ids[:, None])[:, 0]
            found.append((picked - torch.logsumexp(logits, dim=-1)).double().cpu())
        return torch.cat(found)

    @torch.inference_mode()
    def _check(self, model: Any) -> None:
        size = model.config.get_text_config(decoder=True).vocab_size
        ids = torch.arange(8, device=model.device)[None] % size
        theirs = model(input_ids=ids).logits[0].float()
        ours = self.logits(model.base_model(input_ids=ids).last_hidden_state[0])
        error = (theirs - ours.to(theirs.device)).norm() / theirs.norm()
        if not error < 0.02:
            raise TmapError(
                "The model computes its logits in a way that the engine does not know "
                f"(they differ by {float(error):.0%}); plain, scaled or soft-capped "
                "logits work. Set `engine: {name: reference}` in the model card."
            )


def budget_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices in batches of at most `budget` tokens with padding, longest first.

    A row longer than the budget is a batch of its own.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        widest = lengths[batches[-1][0]] if batches else 0
        if batches and widest * (len(batches[-1]) + 1) <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def in_batches(
    lengths: Sequence[int], budget: int, work: Callable[[list[int]], None]
) -> int:
    """Do `work` on the indices of every batch; halve batches that do not fit into memory.

    Parameters
    ----------
    lengths : of the rows, in tokens
    budget : tokens of a batch with padding

    Returns
    -------
    the final budget

    Raises
    ------
    TmapError
        If a single row does not fit.
    """
    left = budget_batches(lengths, budget)
    while left:
        batch = left[0]
        try:
            work(batch)
            fits = True
        except torch.OutOfMemoryError:
            fits = False  # the exception releases the batch's tensors; then continue
        if fits:
            left.pop(0)
            continue
        budget = lengths[batch[0]] * len(batch) // 2
        if len(batch) == 1:
            raise TmapError(
                f"A single row of {lengths[batch[0]]} tokens does not fit into the "
                "device's memory; it must. Free the device, or ask for a larger one."
            )
        logger.warning("Out of memory: continuing with %d tokens at a time.", budget)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        rest = [index for others in left for index in others]
        again = budget_batches([lengths[i] for i in rest], budget)
        left = [[rest[i] for i in others] for others in again]
    return budget

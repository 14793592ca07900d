"""Short fine-tunings of one loaded model, each from the same start.

The model stays loaded and the adapter is reset, not loaded again. Prompts, loss mask,
truncation, adapter shape, optimiser and schedule are those of `tmap.training.train`; only
checkpoints and TRL's machinery are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tmap.cards.model import PlaceSection, TrainSection
from tmap.engines.weights import load_weights
from tmap.errors import TmapError
from tmap.training.arguments import lora_config, schedule, total_steps
from tmap.training.batches import Batches, packed, padded
from tmap.training.rows import IGNORED, Row
from tmap.training.train import max_length

#: Largest norm of a gradient, the default of transformers' trainer.
LARGEST = 1.0


class ShortTraining:
    """A LoRA adapter that is trained on a few rows again and again.

    Parameters
    ----------
    record : the model's record, written by `fetch_model`
    place : its device and precision
    settings : of the training; `epochs` and `learning_rate` are those of each call
    seed : of the adapter's first values

    Attributes
    ----------
    model : the transformers model, the adapter in its layers
    limit : most tokens of a row
    version : part of what is recorded of a training; raise it if a loss can differ
    """

    version = 2

    def __init__(
        self,
        record: dict[str, Any],
        place: PlaceSection,
        settings: TrainSection,
        seed: int,
    ) -> None:
        from peft import get_peft_model

        weights = load_weights(record, place)
        if place.quantization:
            raise TmapError(
                f"The model card says quantization: {place.quantization}, which a short "
                "training cannot use; its probe needs plain weights. Set `search: {probe: "
                "icl_logprob}` in the method card, or leave `engine.quantization` out."
            )
        torch.manual_seed(seed)
        tuned = get_peft_model(weights.model, lora_config(settings))
        self.settings, self.seed = settings, seed
        self.model: Any = tuned.get_base_model()
        self._batches = Batches(self.model.config)
        self.limit = max_length(self.model, settings)[0]
        self._adapter = [p for p in self.model.parameters() if p.requires_grad]
        for values in self._adapter:  # as the trainer's: the adapter's own are float32
            values.data = values.data.float()
        self._start = [values.detach().clone() for values in self._adapter]
        self.reset()

    def reset(self) -> None:
        """Forget all that was learned: the model answers as it did before."""
        for values, first in zip(self._adapter, self._start, strict=True):
            values.data.copy_(first)
            values.grad = None
        self.model.eval()

    def train(self, rows: Sequence[Row], rate: float, epochs: float) -> list[float]:
        """Train from the start on rows; the loss of each step, nats per counted token.

        Parameters
        ----------
        rows : ids and labels; `seed` shuffles them in each epoch
        rate : highest learning rate
        """
        from transformers import get_scheduler

        self.reset()
        self.model.train()
        how = self.settings.model_copy(update={"epochs": epochs, "max_steps": None})
        steps = total_steps(how, len(rows))
        optimiser = torch.optim.AdamW(
            self._adapter, lr=rate, weight_decay=how.weight_decay
        )
        rates = get_scheduler(
            schedule(how), optimiser, math.ceil(how.warmup_share * steps), steps
        )
        rng = np.random.default_rng(self.seed)
        torch.manual_seed(self.seed)  # of dropout
        losses, order = [], np.empty(0, dtype=int)
        for _ in range(steps):
            if not len(order):
                order = rng.permutation(len(rows))
            batch, order = order[: how.batch_size], order[how.batch_size :]
            losses.append(self._step([rows[i] for i in batch]))
            torch.nn.utils.clip_grad_norm_(self._adapter, LARGEST)
            optimiser.step()
            rates.step()
            optimiser.zero_grad()
        self.model.eval()
        return losses

    def _step(self, rows: Sequence[Row]) -> float:
        """Add up the gradients of a batch, part by part; its loss."""
        counted = sum(row.n_loss_tokens for row in rows)
        size, total = self.settings.micro_batch_size, 0.0
        for i in range(0, len(rows), size):
            loss = self._loss(rows[i : i + size]) / counted
            loss.backward()
            total += float(loss.detach())
        if not math.isfinite(total):
            raise TmapError(
                f"The loss of a short training became {total}; it must be a finite "
                "number. Lower `search: {sft: {learning_rate: ...}}` in the method card."
            )
        return total

    def _loss(self, rows: Sequence[Row]) -> torch.Tensor:
        """Summed loss of the learned tokens, nats."""
        if self._batches.takes is None and self._batches.would_pack(rows):
            self._batches.check(self.model, rows)
        device = self.model.device
        if self._batches.packs(rows):
            part = packed(rows, device)
            asked = {**part.asked(), "logits_to_keep": part.sources}
            logits, golds = self.model(**asked, use_cache=False).logits[0], part.golds
        else:
            ids, mask, labels = padded(rows, device)
            asked = {"input_ids": ids, "attention_mask": mask}
            learned = labels[:, 1:] != IGNORED
            logits = self.model(**asked, use_cache=False).logits[:, :-1][learned]
            golds = labels[:, 1:][learned]
        return torch.nn.functional.cross_entropy(logits.float(), golds, reduction="sum")

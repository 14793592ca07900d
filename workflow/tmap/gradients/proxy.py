"""A proxy model: the gradient of its LoRA weights for each row.

At each checkpoint of a warm-up, a row's gradient is projected
(`tmap.gradients.projection`) and scaled to length 1. Candidates use Adam's form, as
defined by LESS, with the moments m and v of the warm-up, eps inside the root, and no bias
correction::

    (b1 m + (1 - b1) g) / sqrt(b2 v + (1 - b2) g^2 + eps)      b1 .9, b2 .999, eps 1e-8

because training will take such steps. Questions keep the plain gradient g (SGD form). A
proxy without a warm-up has no moments, so both keep g.

Source: Xia et al. 2024, arXiv:2402.04333 (LESS), section 3.1, and their code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tmap.cards.dataset import GradientSection
from tmap.cards.model import PlaceSection, PromptSection, TrainSection
from tmap.engines import adapters
from tmap.engines.weights import load_tokenizer, load_weights
from tmap.gradients import sample_gradients, warmup
from tmap.gradients.projection import Projection
from tmap.gradients.warmup import Checkpoint
from tmap.prompts.conversation import Spoken
from tmap.prompts.renderer import Renderer
from tmap.store.measurements import digest
from tmap.training import adapter
from tmap.training.arguments import lora_config
from tmap.training.rows import IGNORED, Row

#: Raised with every change that can alter a vector; part of every key.
VERSION = 1
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
#: Most tokens of a batch, and most logits.
TOKENS, LOGITS = 4096, 2**28


class Proxy:
    """A model with LoRA weights, at one checkpoint at a time.

    Parameters
    ----------
    record : of the fetched model
    prompt, place, train : sections of its card; `train` gives the adapter's shape
    how : settings of the projection
    warm : file of a warm-up, or weights of an adapter; "" for neither
    """

    def __init__(
        self,
        record: dict[str, Any],
        prompt: PromptSection,
        place: PlaceSection,
        train: TrainSection,
        how: GradientSection,
        warm: str | Path = "",
    ) -> None:
        weights = load_weights(record, place)
        self.model = _with_adapter(weights.model, train, how.seed, warm).eval()
        self.renderer = Renderer(load_tokenizer(record), prompt)
        limit = record.get("max_positions") or train.max_length
        self.max_length = min(train.max_length, limit)
        self.projection = Projection(how.dim, how.nonzeros, how.seed)
        self.checkpoints = _checkpoints(self.model, warm)
        vocabulary = self.model.config.get_text_config(decoder=True).vocab_size
        self.batch_tokens = max(1, min(TOKENS, LOGITS // vocabulary))
        self.asked = {"gradients": VERSION, "card": record["model"]}
        self.asked |= {"revision": record["revision"]}
        sizes = [how.dim, how.nonzeros, how.seed]
        self.who = ["gradients", VERSION, record["revision"], weights.dtype]
        self.who += [weights.device, place.quantization, place.device_map, *sizes]

    def rates(self) -> list[float]:
        """The weight of each checkpoint; they add up to 1."""
        given = np.array([checkpoint.rate for checkpoint in self.checkpoints])
        return (given / given.sum()).tolist()

    def row(self, turns: Sequence[Spoken]) -> tuple[Row, str]:
        """A conversation in training form, cut to the context, and its status."""
        ids, counts = self.renderer.training(turns)
        labels = [i if n else IGNORED for i, n in zip(ids, counts, strict=True)]
        row = Row(ids[: self.max_length], labels[: self.max_length])
        if not row.n_loss_tokens:
            return row, "empty"
        return row, "truncated" if len(ids) > self.max_length else "ok"

    def vectors(
        self, number: int, rows: Sequence[Row], adam: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Projected gradients of length 1 at the current checkpoint, and norms.

        Returns
        -------
        (n, dim) float32 and (n,) float64; norms are those before the projection
        """
        point = self.checkpoints[number]
        total = torch.zeros(len(rows), self.projection.dim, device=self.model.device)
        squares = torch.zeros(len(rows), device=self.model.device)

        def consume(name: str, gradient: torch.Tensor) -> None:
            if adam and point.first:
                gradient = adam_form(gradient, point.first[name], point.second[name])
            flat = gradient.flatten(1).to(total.device)  # layers may be spread
            squares.add_(flat.square().sum(dim=1))
            self.projection.add(total, name, flat)

        sample_gradients.each(self.model, rows, consume)
        length = total.norm(dim=1, keepdim=True).clamp_min(
            torch.finfo(total.dtype).tiny
        )
        return (total / length).cpu().numpy(), squares.sqrt().double().cpu().numpy()

    def set(self, number: int) -> None:
        """Load a checkpoint's weights into the model."""
        own = dict(self.model.named_parameters())
        for name, value in self.checkpoints[number].weights.items():
            own[name].data.copy_(value)


def adam_form(
    gradient: torch.Tensor, first: torch.Tensor, second: torch.Tensor
) -> torch.Tensor:
    """The step that Adam would take, without its rate: LESS's form of a gradient.

    Parameters
    ----------
    gradient : (n_samples, ...) of one weight
    first, second : Adam's moments of this weight, (...)
    """
    first, second = first.to(gradient), second.to(gradient)
    step = BETA1 * first + (1 - BETA1) * gradient
    return step / (BETA2 * second + (1 - BETA2) * gradient.square() + EPSILON).sqrt()


def _with_adapter(model: Any, train: TrainSection, seed: int, warm: str | Path) -> Any:
    """The model with LoRA weights: those of an adapter, or new ones from a seed."""
    from peft import get_peft_model

    if _is_adapter(warm):
        return adapters.attach(model, Path(warm).parent, is_trainable=True)
    torch.manual_seed(seed)
    return get_peft_model(model, lora_config(train))


def _checkpoints(model: Any, warm: str | Path) -> list[Checkpoint]:
    """The checkpoints of a warm-up, or else the model as it is, without moments."""
    if warm and not _is_adapter(warm):
        return warmup.read(warm)
    own = {
        name: weight.detach().clone()
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }
    return [Checkpoint(own, {}, {}, 1.0)]


def _is_adapter(warm: str | Path) -> bool:
    return Path(warm).name == adapter.WEIGHTS


def digest_of(checkpoint: Checkpoint) -> str:
    """A digest of all numbers of a checkpoint."""
    parts = [checkpoint.weights, checkpoint.first, checkpoint.second]
    return digest(
        [
            [name, hashlib.sha256(value.float().cpu().numpy().tobytes()).hexdigest()]
            for part in parts
            for name, value in sorted(part.items())
        ]
    )

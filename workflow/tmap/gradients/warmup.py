"""Warm up a proxy: a short LoRA training that keeps a checkpoint per epoch.

A checkpoint is more than an adapter: it has each weight with Adam's two moments, and the
mean learning rate of its epoch, as LESS needs (arXiv:2402.04333, section 3).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

from tmap.artifacts.files import atomic, broken, missing
from tmap.cards.model import PlaceSection, PromptSection, TrainSection
from tmap.engines.weights import load_tokenizer, load_weights
from tmap.prompts.conversation import Turn
from tmap.prompts.renderer import Renderer
from tmap.training import checkpoints
from tmap.training.arguments import total_steps
from tmap.training.rows import encode
from tmap.training.train import make_trainer

PARTS = ("weight", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Checkpoint:
    """LoRA weights, their Adam moments if there are any, and a relative weight.

    Attributes
    ----------
    weights, first, second : name of the weight -> tensor of its shape
    rate : learning rate; the checkpoint's weight relative to others
    """

    weights: Mapping[str, torch.Tensor]
    first: Mapping[str, torch.Tensor]
    second: Mapping[str, torch.Tensor]
    rate: float


class Capture(TrainerCallback):
    """Writes a checkpoint at the end of each epoch, before the trainer saves its own."""

    def __init__(self, folder: Path, per_epoch: int) -> None:
        self.folder, self.per_epoch = folder, per_epoch

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write epoch-N.safetensors; a run that continues finds the earlier ones."""
        if state.global_step % self.per_epoch:
            return
        found = {}
        for name, weight in kwargs["model"].named_parameters():
            if weight.requires_grad:
                moments = kwargs["optimizer"].state[weight]
                found[f"{name}/weight"] = weight
                found[f"{name}/exp_avg"] = moments["exp_avg"]
                found[f"{name}/exp_avg_sq"] = moments["exp_avg_sq"]
        _save(self.folder / f"epoch-{state.global_step // self.per_epoch}", found)


def warm_up(
    record: dict[str, Any],
    prompt: PromptSection,
    place: PlaceSection,
    settings: TrainSection,
    chats: Sequence[Sequence[Turn]],
    *,
    seed: int,
    output: Path,
    scratch: Path,
) -> dict[str, Any]:
    """Train on `chats` and write all epochs' checkpoints into one file.

    Parameters
    ----------
    record : of the fetched proxy
    prompt, place : sections of its card
    settings : its `train:`, with whole epochs
    chats : conversations of the drawn rows, in an order that does not depend on the draw
    seed : of shuffling, of the adapter's first values and of dropout
    output : safetensors file; tensors are named {epoch}/{weight}/{part}
    scratch : folder of the checkpoints from which a killed run resumes

    Returns
    -------
    n_samples, and per epoch the mean learning rate and loss
    """
    weights = load_weights(record, place)
    tokenizer = load_tokenizer(record)
    limit = min(settings.max_length, record.get("max_positions") or settings.max_length)
    rows = encode(Renderer(tokenizer, prompt), chats, limit, "`train.max_length`")
    about = {"model": record["revision"], "seed": seed, "place": place.model_dump()}
    about |= {"settings": settings.model_dump(mode="json")}
    folder = scratch / checkpoints.name(rows, about)
    folder.mkdir(parents=True, exist_ok=True)
    per_epoch = total_steps(settings, len(rows.rows)) // int(settings.epochs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # TRL's own use of old names
        trainer = make_trainer(weights, tokenizer, rows, settings, seed, folder)
        trainer.add_callback(Capture(folder, per_epoch))
        found = checkpoints.latest(folder)
        trainer.train(resume_from_checkpoint=str(found) if found else None)
    epochs = _epochs(trainer.state.log_history, per_epoch, int(settings.epochs))
    _join(folder, epochs, output)
    checkpoints.clear(scratch)
    return {"n_samples": len(rows.rows), "epochs": epochs}


def read(path: str | Path) -> list[Checkpoint]:
    """The checkpoints of a warm-up, first epoch first."""
    try:
        return _read(path)
    except FileNotFoundError:
        raise missing(path) from None
    except (SafetensorError, LookupError, ValueError, TypeError) as fault:
        raise broken(path, f"it is no whole warm-up ({fault})") from None


def _read(path: str | Path) -> list[Checkpoint]:
    with safe_open(path, framework="pt") as file:
        rates = json.loads(file.metadata()["rates"])
        found = []
        for number, rate in enumerate(rates):
            parts: dict[str, dict[str, torch.Tensor]] = {part: {} for part in PARTS}
            for key in file.keys():
                epoch, name, part = key.split("/")
                if epoch == str(number):
                    parts[part][name] = file.get_tensor(key)
            weights, first, second = (parts[part] for part in PARTS)
            found.append(Checkpoint(weights, first, second, rate))
    return found


def _epochs(
    history: Sequence[Mapping[str, Any]], per_epoch: int, n: int
) -> list[dict[str, float]]:
    """Mean learning rate and loss of each epoch's steps."""
    logged = [entry for entry in history if "loss" in entry]
    parts = [logged[k * per_epoch : (k + 1) * per_epoch] for k in range(n)]
    return [
        {
            key: float(np.mean([e[key] for e in part]))
            for key in ("learning_rate", "loss")
        }
        for part in parts
    ]


def _join(folder: Path, epochs: Sequence[Mapping[str, float]], output: Path) -> None:
    rates = json.dumps([epoch["learning_rate"] for epoch in epochs])
    found = {
        f"{number}/{key}": tensor
        for number in range(len(epochs))
        for key, tensor in load_file(folder / f"epoch-{number + 1}").items()
    }
    with atomic(output) as temporary:
        save_file(found, temporary, {"rates": rates})


def _save(path: Path, found: Mapping[str, torch.Tensor]) -> None:
    with atomic(path) as temporary:
        save_file(
            {k: v.detach().cpu().contiguous().clone() for k, v in found.items()},
            temporary,
        )

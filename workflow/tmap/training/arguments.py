"""Translate card values to settings of TRL's trainer: docs/decisions/0003-training.md."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from tmap.cards.model import TrainSection
from tmap.errors import require
from tmap.training import launch

SAVES = 10  # approximate number of checkpoints per run


class Curves(NamedTuple):
    """A tracker, which is a package of that name; what it is to call project and run."""

    tracker: str
    project: str
    run: str


def curves_of(report: Path, tracker: str) -> Curves | None:
    """Where the losses of the training that writes `report` go.

    Parameters
    ----------
    report : DATASET/MODEL/METHOD/sN/tN/train.json
    tracker : a package, or "none"

    Raises
    ------
    TmapError
        If the tracker is not installed.
    """
    if tracker == "none":
        return None
    require(tracker, f"report_to: {tracker}", tracker)
    dataset, model, *run = report.parent.parts[-5:]
    return Curves(tracker, f"{dataset}-{model}", "-".join(run))


def total_steps(settings: TrainSection, n_rows: int) -> int:
    """Optimiser steps over `n_rows` rows; `max_steps` can only end them early."""
    per_epoch = math.ceil(n_rows / settings.batch_size)
    steps = max(1, math.ceil(settings.epochs * per_epoch))
    return min(steps, settings.max_steps or steps)


def sft_config(
    settings: TrainSection,
    n_rows: int,
    *,
    seed: int,
    device: str,
    dtype: str,
    folder: Path,
    curves: Curves | None = None,
) -> Any:
    """An `SFTConfig` that sets every default that could change a row or a number.

    Parameters
    ----------
    device : cpu or cuda
    dtype : float32, bfloat16 or float16, for the frozen weights and the arithmetic;
        the adapter's own weights are float32
    folder : where checkpoints are written
    curves : where the loss of each step is also sent
    """
    from trl import SFTConfig  # type: ignore[attr-defined]

    steps = total_steps(settings, n_rows)
    warmup_steps = math.ceil(settings.warmup_share * steps)
    found = SFTConfig(
        output_dir=str(folder),
        seed=seed,
        per_device_train_batch_size=settings.micro_batch_size,
        gradient_accumulation_steps=settings.batch_size
        // (settings.micro_batch_size * settings.processes),
        ddp_backend="gloo" if device == "cpu" and launch.rank() is not None else None,
        ddp_find_unused_parameters=False,
        max_steps=steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=schedule(settings),
        warmup_steps=warmup_steps,
        weight_decay=settings.weight_decay,
        optim="adamw_torch",
        loss_type="nll",
        max_length=None,
        packing=False,
        padding_free=False,
        shuffle_dataset=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        gradient_checkpointing=checkpoints_gradients(settings, device),
        gradient_checkpointing_kwargs={"use_reentrant": False},
        bf16=dtype == "bfloat16",
        fp16=dtype == "float16",
        use_cpu=device == "cpu",
        dataloader_pin_memory=device != "cpu",
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to=curves.tracker if curves else "none",
        project=curves.project if curves else "",
        run_name=curves.run if curves else None,
        trackio_space_id=None,
        save_strategy="steps",
        save_steps=max(1, steps // SAVES),
        save_total_limit=2,
    )
    one_gpu(found)
    return found


def one_gpu(found: Any) -> None:
    """Make a process compute on one GPU, however many it sees.

    transformers would spread each batch over all of them (DataParallel) and multiply its
    size by their number.
    """
    found._n_gpu = min(found.n_gpu, 1)


def lora_config(settings: TrainSection) -> Any:
    """The adapter's shape as a PEFT `LoraConfig`."""
    from peft import LoraConfig

    return LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=settings.target_modules,
        bias="none",
    )


def checkpoints_gradients(settings: TrainSection, device: str) -> bool:
    """Whether activations are recomputed to save memory: `auto` does it on a GPU."""
    if settings.gradient_checkpointing == "auto":
        return device != "cpu"
    return settings.gradient_checkpointing == "on"


def schedule(settings: TrainSection) -> str:
    """Transformers' plain "constant" leaves out the warm-up."""
    if settings.schedule == "constant":
        return "constant_with_warmup"
    return settings.schedule

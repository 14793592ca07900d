"""Fine-tune a LoRA adapter on chosen samples, with TRL's SFTTrainer and PEFT.

Paper sections 4.1 and 4.3. Its settings are not published; ours are in the model card.
The trainer gets token ids and labels, not text. They come from `prompts.Renderer`, as in
reward and evaluation, and TRL neither tokenises nor cuts them.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tmap.artifacts.provenance import versions
from tmap.cards.model import PlaceSection, PromptSection, TrainSection
from tmap.engines.weights import Weights, load_tokenizer, load_weights, settle
from tmap.prompts.conversation import Spoken
from tmap.prompts.renderer import Renderer
from tmap.training import adapter as adapter_files
from tmap.training import checkpoints, launch
from tmap.training.arguments import Curves, lora_config, sft_config
from tmap.training.batches import Batches
from tmap.training.rows import TrainingRows, encode

LOG = logging.getLogger(__name__)


def train(
    record: dict[str, Any],
    prompt: PromptSection,
    place: PlaceSection,
    settings: TrainSection,
    chats: Sequence[Sequence[Spoken]],
    *,
    seed: int,
    adapter: Path,
    scratch: Path,
    keep_checkpoints: bool = False,
    curves: Curves | None = None,
) -> dict[str, Any]:
    """Train on `chats`, write the adapter, and return a report.

    The same arguments give the same adapter bytes on a CPU in float32 with one thread,
    even if a run was killed and started again.

    Parameters
    ----------
    record : the model's record, written by `fetch_model`
    prompt, place, settings : sections of the model card
    chats : conversations as `samples.turns_of` gives them, in an order that does not
        depend on how they were chosen; `seed` shuffles them
    seed : of shuffling, of the adapter's first values and of dropout
    adapter : folder of the adapter
    scratch : folder of the checkpoints
    keep_checkpoints : leave them there when training has finished
    curves : where the loss of each step is also sent; the tracker must be installed

    Returns
    -------
    The content of train.json: counts of rows, of their tokens and of tokens trained on
    (times the epochs, which may be fractional), warnings, steps, the loss (mean nats per
    counted token) of each step, and its mean over the last tenth.

    Raises
    ------
    TmapError
        If no row has anything to learn, or the loss stops being a number.
    """
    if launch.rank() is not None:
        launch.enter()
    weights = load_to_train(record, place, settings)
    tokenizer = load_tokenizer(record)
    limit, key = max_length(weights.model, settings)
    rows = encode(Renderer(tokenizer, prompt), chats, limit, key)
    for warning in rows.warnings:
        LOG.warning(warning)
    folder = scratch / _run_name(rows, record, weights, place, settings, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # TRL's own use of old names
        trainer = make_trainer(weights, tokenizer, rows, settings, seed, folder, curves)
        found = checkpoints.latest(folder)
        if found:
            LOG.info("train: resuming from %s", found)
        trainer.train(resume_from_checkpoint=str(found) if found else None)
    # If the model is split, all processes together assemble it.
    whole = (
        trainer.accelerator.get_state_dict(trainer.model)
        if trainer.is_fsdp_enabled
        else None
    )
    if trainer.is_world_process_zero():
        base = record["source"], record["revision"]
        adapter_files.save(trainer.model, adapter, *base, state=whole)
        if not keep_checkpoints:
            checkpoints.clear(scratch)
    return _report(rows, trainer.state)


def load_to_train(
    record: dict[str, Any], place: PlaceSection, settings: TrainSection
) -> Weights:
    """The bare model; one that is to be split over GPUs stays in host memory.

    Otherwise, each process would put the whole model on its GPU before FSDP splits it.
    Quantization to four bits runs on a GPU, so a quantized model does start there.
    """
    if settings.parallel != "fsdp" or place.quantization or launch.rank() is None:
        return load_weights(record, place)
    device, dtype = settle(place)
    aside = place.model_copy(update={"device": "cpu", "dtype": dtype})
    return load_weights(record, aside)._replace(device=device)


def make_trainer(
    weights: Weights,
    tokenizer: Any,
    rows: TrainingRows,
    settings: TrainSection,
    seed: int,
    folder: Path,
    curves: Curves | None = None,
) -> Any:
    """The `SFTTrainer` of these rows: ids and labels reach the model as given."""
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import SFTTrainer  # type: ignore[attr-defined]

    from tmap.training.watch import Watch

    args = sft_config(
        settings,
        len(rows.rows),
        seed=seed,
        device=weights.device,
        dtype=weights.dtype,
        folder=folder,
        curves=curves,
    )
    batches = Batches(weights.model.config)
    if settings.parallel != "fsdp":  # the model is not whole where it trains
        batches = Batches.of(weights.model, rows.rows, settings.micro_batch_size)
    trainer = SFTTrainer(
        model=prepared(weights.model, args),
        args=args,
        data_collator=batches,
        train_dataset=Dataset.from_list([row._asdict() for row in rows.rows]),
        processing_class=tokenizer,
        peft_config=lora_config(settings),
        callbacks=[Watch()],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def prepared(model: Any, args: Any) -> Any:
    """The model as LoRA needs it; a quantized one gets its norms and head in float32."""
    if not getattr(model, "is_quantized", False):
        return model
    from peft import prepare_model_for_kbit_training

    return prepare_model_for_kbit_training(  # type: ignore[no-untyped-call]
        model,
        use_gradient_checkpointing=args.gradient_checkpointing,
        gradient_checkpointing_kwargs=args.gradient_checkpointing_kwargs,
    )


def max_length(model: Any, settings: TrainSection) -> tuple[int, str]:
    """The smaller of the card's `max_length` and the model's context, and its name."""
    config = model.config.get_text_config(decoder=True)
    context = getattr(config, "max_position_embeddings", None)
    if context is not None and context < settings.max_length:
        return context, "the model's context"
    return settings.max_length, "`train.max_length` in the model card"


def _run_name(
    rows: TrainingRows,
    record: dict[str, Any],
    weights: Weights,
    place: PlaceSection,
    settings: TrainSection,
    seed: int,
) -> str:
    about = {
        "model": [record["source"], record["revision"]],
        "where": [weights.device, weights.dtype, place.quantization, place.device_map],
        "settings": settings.model_dump(mode="json"),
        "seed": seed,
        "versions": versions(),
    }
    return checkpoints.name(rows, about)


def _report(rows: TrainingRows, state: Any) -> dict[str, Any]:
    logged = [entry for entry in state.log_history if "loss" in entry]
    curve = [[entry["step"], entry["loss"]] for entry in logged]
    tail = [loss for _, loss in curve[-max(1, len(curve) // 10) :]]
    return {
        "n_samples": len(rows.rows),
        "n_tokens": rows.n_tokens,
        "n_trained_tokens": round(rows.n_tokens * state.epoch),
        "n_loss_tokens": rows.n_loss_tokens,
        "truncated": rows.truncated,
        "dropped": rows.dropped,
        "warnings": rows.warnings,
        "steps": len(curve),
        "loss": curve,
        "final_loss": sum(tail) / len(tail),
    }

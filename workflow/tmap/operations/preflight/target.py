"""A model before it is loaded: size, tokenizer, limits, and the memory it will need."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tmap.cards.model import ModelCard, ModelSource, TrainSection
from tmap.data import checkpoint, gguf, models
from tmap.data.sources import hub
from tmap.engines.weights import load_tokenizer
from tmap.errors import TmapError
from tmap.operations.preflight import memory

#: Bytes of a number, by dtype.
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
#: Usable share of memory; the rest is lost to fragmentation and the libraries.
USABLE = 0.9


@dataclass
class ModelFindings:
    """What is known about a model without loading its weights.

    Attributes
    ----------
    n_parameters, size_bytes : None for a hub model that does not state them
    context : tokens that it can read; None if it does not state them
    """

    place: str
    folder: Path
    trust_remote_code: bool
    n_parameters: int | None
    size_bytes: int | None
    context: int | None
    shape: memory.Shape | None


@dataclass
class Needs:
    """Bytes that answering and fine-tuning need, and the bytes available.

    Attributes
    ----------
    answering, training : None if the model's size is unknown
    available : bytes of the GPU, or those that the card requests from the scheduler; None
        if the card needs a GPU and none is visible
    """

    device: str
    dtype: str
    answering: int | None
    training: int | None
    available: int | None

    @property
    def fits(self) -> bool | None:
        """Whether both fit; None if either side is unknown."""
        if self.available is None or self.answering is None or self.training is None:
            return None
        return max(self.answering, self.training) <= USABLE * self.available


def look(card: ModelCard) -> ModelFindings:
    """Size and shape, from a folder or the hub's record.

    Raises
    ------
    TmapError
        As in `fetch_model`: incomplete, pickles only, gated, unreachable or too large.
    """
    source = card.source
    if source.hub is not None and source.gguf is None:
        place = source.hub
        folder, size = _from_hub(source, place)
    else:
        folder, _, place, file = models.locate(source)
        if file is not None:
            folder, about = gguf.small(file, place)
            n = about["n_parameters"]
            size = {"n_parameters": n, "size_bytes": n * gguf.WIDTH}
        else:
            size = models.measure(models.check_folder(folder, place), folder, place)
    config = _config(folder, place, source.trust_remote_code)
    n_parameters = size.get("n_parameters")
    return ModelFindings(
        place,
        folder,
        source.trust_remote_code,
        n_parameters,
        size.get("size_bytes"),
        getattr(config, "max_position_embeddings", None),
        memory.shape(config, n_parameters) if n_parameters else None,
    )


def tokenizer(found: ModelFindings) -> Any:
    """The tokenizer, loaded as in every job, with the same errors."""
    return load_tokenizer(
        {
            "path": str(found.folder),
            "source": found.place,
            "trust_remote_code": found.trust_remote_code,
        }
    )


def max_length(found: ModelFindings, settings: TrainSection) -> tuple[int, str]:
    """Most tokens of a training row, and what sets the limit, as in `train`."""
    if found.context is not None and found.context < settings.max_length:
        return found.context, "the model's context"
    return settings.max_length, "`train.max_length`"


def needs(card: ModelCard, found: ModelFindings, longest: int) -> Needs:
    """Memory that the card's settings need on this machine.

    Parameters
    ----------
    longest : tokens of the longest training row, after cutting
    """
    device, available = _available(card)
    engine, train = card.engine, card.train
    dtype = engine.dtype
    if dtype == "auto":
        dtype = "float32" if device == "cpu" else "bfloat16"
    if found.shape is None:
        return Needs(device, dtype, None, None, available)
    width = BYTES[dtype]
    weights = memory.weights(found.shape, width, engine.quantization)
    checkpointing = train.gradient_checkpointing == "on" or (
        train.gradient_checkpointing == "auto" and device != "cpu"
    )
    tokens = longest + engine.max_new_tokens
    rows = 1 if engine.batch_size == "auto" else engine.batch_size
    answers = memory.answering(found.shape, width, rows, tokens)
    tokens = train.micro_batch_size * longest
    tuning = memory.training(found.shape, width, train.rank, tokens, checkpointing)
    return Needs(device, dtype, weights + answers, weights + tuning, available)


def check_needs(needs: Needs) -> None:
    """Refuse what does not fit."""
    if needs.fits is not False:
        return
    wanted = max(needs.answering or 0, needs.training or 0)
    place = "the GPU has" if needs.device == "gpu" else "`resources.mem_mb` requests"
    raise TmapError(
        f"The model needs about {wanted / 1e9:.1f} GB, but {place} "
        f"{(needs.available or 0) / 1e9:.1f} GB. Lower `train.micro_batch_size` "
        "or `engine.batch_size`, or use more memory or a smaller model."
    )


def check_layers(card: ModelCard, found: ModelFindings) -> None:
    """Refuse `train: target_modules:` that names no layer of the model.

    The model is made without weights, which takes no memory for them.
    """
    wanted = card.train.target_modules
    if wanted == "all-linear":
        return
    import torch
    from transformers import AutoModelForCausalLM

    config = _config(found.folder, found.place, found.trust_remote_code)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            config, trust_remote_code=found.trust_remote_code
        )
    # `Conv1D` is GPT-2's linear layer.
    kinds = (torch.nn.Linear, torch.nn.Embedding)
    names = [
        name
        for name, layer in model.named_modules()
        if isinstance(layer, kinds) or type(layer).__name__ == "Conv1D"
    ]
    if any(_is_named(name, wanted) for name in names):
        return
    known = ", ".join(sorted({name.rpartition(".")[2] for name in names})[:20])
    raise TmapError(
        f"`train: target_modules:` {wanted!r:.80} names no layer of '{found.place}'. It "
        f"has {known}. Name some of these, or write all-linear."
    )


def _is_named(layer: str, wanted: str | list[str]) -> bool:
    """As PEFT: a text is a pattern of the whole name, a list has ends of names."""
    if isinstance(wanted, str):
        return re.fullmatch(wanted, layer) is not None
    return any(layer == end or layer.endswith(f".{end}") for end in wanted)


def _available(card: ModelCard) -> tuple[str, int | None]:
    """The device that jobs will use, and its bytes."""
    if card.engine.device == "cpu" or card.resources.gpu == 0:
        return "cpu", card.resources.mem_mb * 1_000_000
    import torch

    if not torch.cuda.is_available():
        return "gpu", None
    n_gpus = torch.cuda.device_count() if card.engine.device_map else 1
    sizes = [torch.cuda.get_device_properties(i).total_memory for i in range(n_gpus)]
    return "gpu", sum(sizes)


def _from_hub(source: ModelSource, name: str) -> tuple[Path, dict[str, Any]]:
    """Folder of the small files, and sizes; from the cache if the hub cannot be reached."""
    from huggingface_hub import HfApi, snapshot_download

    small = [pattern for pattern in models.ALLOWED if pattern != "*.safetensors"]
    small += ["*.py"] if source.trust_remote_code else []
    how: dict[str, Any] = {
        "allow_patterns": small,
        "ignore_patterns": [*models.IGNORED, *models.ASIDE],
    }
    try:
        with hub.door("model", name, source.revision):
            info = HfApi().model_info(
                name, revision=source.revision, files_metadata=True
            )
            models.check_files(name, info, source)
            folder = snapshot_download(name, revision=info.sha, **how)
        checkpoint.check_config(Path(folder), name)
    except hub.Unreachable as unreachable:
        cached = models.cached(source, name, how)
        if cached is None:
            raise unreachable from None
        weights = models.check_folder(Path(cached), name)
        return Path(cached), models.measure(weights, Path(cached), name)
    total = getattr(info.safetensors, "total", None)
    return Path(folder), {"n_parameters": total}


def _config(folder: Path, place: str, trust_remote_code: bool) -> Any:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=trust_remote_code
        )
    except (OSError, ValueError, KeyError) as fault:
        reason = " ".join(str(fault).split())[:200]
        raise TmapError(
            f"transformers does not know the model '{place}' ({reason}). Name a causal "
            "language model, or set `source: {trust_remote_code: true}` if you trust "
            "its code."
        ) from None
    return config.get_text_config(decoder=True)

"""A recorded model and its tokenizer as transformers gives them.

For engines and for training; apart from the engines, so that a change of theirs trains
no adapter anew.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from tmap.errors import TmapError

if TYPE_CHECKING:
    from tmap.cards.model import PlaceSection


LOG = logging.getLogger(__name__)


class Weights(NamedTuple):
    """A model as transformers gives it, and where and how precisely it computes."""

    model: Any
    device: str
    dtype: str


def load_weights(
    record: dict[str, Any], place: PlaceSection, kind: str = "AutoModelForCausalLM"
) -> Weights:
    """The bare model of a record, on its device, without network access.

    Parameters
    ----------
    record : what `fetch_model` wrote
    place : device and dtype
    kind : class of transformers that loads it; "AutoModel": without an output layer

    Raises
    ------
    TmapError
        If the device is missing, or the model holds no safetensors weights.
    """
    _prepare()
    import torch

    device, dtype = settle(place)
    LOG.info("model %s on %s in %s", record["model"], device, dtype)
    model = _load_model(record, getattr(torch, dtype), kind)
    return Weights(model.to(device), device, dtype)


def settle(place: PlaceSection) -> tuple[str, str]:
    """Device and dtype that a place comes to on this machine."""
    device = _device(place)
    return device, _dtype(place, device)


def load_tokenizer(record: dict[str, Any]) -> Any:
    """The tokenizer of a recorded model, without network access."""
    _prepare()
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(
        record["path"],
        local_files_only=True,
        trust_remote_code=bool(record["trust_remote_code"]),
    )


def load_config(record: dict[str, Any]) -> Any:
    """The text part of a recorded model's configuration, without network access."""
    _prepare()
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(
        record["path"],
        local_files_only=True,
        trust_remote_code=bool(record["trust_remote_code"]),
    ).get_text_config(decoder=True)


def _prepare() -> None:
    """Hub offline, libraries quiet, kernels deterministic; before models are loaded."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _load_model(record: dict[str, Any], dtype: Any, kind: str) -> Any:
    import transformers

    try:
        return getattr(transformers, kind).from_pretrained(
            record["path"],
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=bool(record["trust_remote_code"]),
        )
    except OSError as fault:
        reason = str(fault).splitlines()[0]
        raise TmapError(
            f"Model '{record['model']}' ({record['source']}) does not load: {reason} "
            "A complete folder with safetensors weights is needed. Fetch the model "
            "again, or convert its weights with save_pretrained."
        ) from fault


def _device(place: PlaceSection) -> str:
    import torch

    has_gpu = torch.cuda.is_available()
    if place.device == "cuda" and not has_gpu:
        raise TmapError(
            "The model card says device: cuda, but torch sees no GPU; it needs one. "
            "Run on a GPU node, or set `engine: {device: auto}`."
        )
    if place.device == "auto":
        return "cuda" if has_gpu else "cpu"
    return place.device


def _dtype(place: PlaceSection, device: str) -> str:
    if place.dtype == "auto":
        return "bfloat16" if device == "cuda" else "float32"
    return place.dtype

"""Load a recorded model and its tokenizer with transformers.

For engines and for training; separate from the engines, so that a change of an engine
retrains no adapter.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from tmap.errors import TmapError, lacking, require

if TYPE_CHECKING:
    from tmap.cards.model import PlaceSection


LOG = logging.getLogger(__name__)


class Weights(NamedTuple):
    """A transformers model, with its device and its precision."""

    model: Any
    device: str
    dtype: str


def load_weights(
    record: dict[str, Any], place: PlaceSection, kind: str = "AutoModelForCausalLM"
) -> Weights:
    """The bare model of a record, on its device or devices, without network access.

    Parameters
    ----------
    record : the model's record, written by `fetch_model`
    place : device, dtype, quantization and device map
    kind : transformers class that loads it; "AutoModel": without an output layer

    Raises
    ------
    TmapError
        If a GPU or bitsandbytes is missing, or the model does not fit its GPUs, has no
        safetensors weights, or needs code that its card does not trust.
    """
    _prepare()
    import torch

    device, dtype = settle(place)
    LOG.info(
        "model %s on %s in %s", record["model"], device, place.quantization or dtype
    )
    how = _placing(place, device, getattr(torch, dtype))
    model = _load_model(record, kind, dtype=getattr(torch, dtype), **how)
    _check_spread(model, device, record["model"])
    return Weights(model if how else model.to(device), device, dtype)


def settle(place: PlaceSection) -> tuple[str, str]:
    """The device and dtype of a place on this machine.

    Raises
    ------
    TmapError
        If the card asks for a GPU, by `device` or `quantization`, and there is none.
    """
    device = _device(place)
    if place.quantization and device != "cuda":
        raise TmapError(
            f"The model card says quantization: {place.quantization}, which computes on "
            f"a GPU, but the device is {device}. Run on a GPU node, or leave "
            "`engine.quantization` out."
        )
    return device, _dtype(place, device)


def load_tokenizer(record: dict[str, Any]) -> Any:
    """The tokenizer of a recorded model, without network access.

    Raises
    ------
    TmapError
        If its files are broken, or need code that the model's card does not trust.
    """
    _prepare()
    from transformers import AutoTokenizer

    trusted = bool(record["trust_remote_code"])
    try:
        return AutoTokenizer.from_pretrained(
            record["path"], local_files_only=True, trust_remote_code=trusted
        )
    except Exception as fault:  # the tokenizers library raises nothing narrower
        _check_trust(record, fault)
        raise TmapError(
            f"The tokenizer of '{record.get('source', record['path'])}' does not load "
            f"({_short(fault)}). Save it again next to the weights: "
            "tokenizer.save_pretrained(FOLDER)."
        ) from fault


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
    """Set hub offline, libraries quiet, kernels deterministic, before models load."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _placing(place: PlaceSection, device: str, dtype: Any) -> dict[str, Any]:
    """Arguments of `from_pretrained` in addition to dtype; none for one plain device."""
    if not place.quantization:
        return {"device_map": place.device_map} if place.device_map else {}
    user = f"quantization: {place.quantization}"
    require("bitsandbytes", user, "-e '.[quantization]'")
    from transformers import BitsAndBytesConfig

    four_bits = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=place.quantization,
        bnb_4bit_compute_dtype=dtype,
    )
    spread = place.device_map or {"": device}
    return {"quantization_config": four_bits, "device_map": spread}


def _check_spread(model: Any, device: str, name: str) -> None:
    """Refuse layers that a device map put outside the GPUs: they would be very slow."""
    spread: dict[str, Any] = getattr(model, "hf_device_map", None) or {}
    aside = [layer for layer, where in spread.items() if where in ("cpu", "disk")]
    if device != "cpu" and aside:
        raise TmapError(
            f"Model '{name}' does not fit the GPUs of this job: {len(aside)} of its "
            f"{len(spread)} parts, such as '{aside[0]}', would be in host memory; all "
            "must be on GPUs. Raise `resources.gpu`, or set "
            "`engine: {quantization: nf4}` in the model card."
        )


def _load_model(record: dict[str, Any], kind: str, **how: Any) -> Any:
    import transformers

    try:
        model, about = getattr(transformers, kind).from_pretrained(
            record["path"],
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=bool(record["trust_remote_code"]),
            output_loading_info=True,
            **how,
        )
    except ImportError as fault:
        raise lacking(fault, f"Model '{record['model']}'") from fault
    except (OSError, ValueError, KeyError) as fault:
        _check_trust(record, fault)
        raise TmapError(
            f"Model '{record['model']}' ({record['source']}) does not load "
            f"({_short(fault)}). It needs a complete folder with safetensors weights of "
            "an architecture that transformers knows. Fetch the model again, or convert "
            "its weights with save_pretrained."
        ) from fault
    lacks = sorted(about["missing_keys"]) if kind == "AutoModelForCausalLM" else []
    if lacks:  # transformers fills them with random numbers
        raise TmapError(
            f"Model '{record['model']}' ({record['source']}) lacks {len(lacks)} of the "
            f"weights that a causal language model has, such as '{lacks[0]}'. Name a "
            "model that writes text (...ForCausalLM), or save it again with its output "
            "layer."
        )
    return model


def _check_trust(record: dict[str, Any], fault: Exception) -> None:
    if "trust_remote_code" in str(fault) and not record["trust_remote_code"]:
        place = record.get("source", record["path"])
        raise TmapError(
            f"'{place}' has its own code, which is not run unless the card trusts it. "
            "Read the code, then set `source: {trust_remote_code: true}` in the model "
            "card, or name a model that transformers knows."
        ) from fault


def _short(fault: Exception) -> str:
    return " ".join(str(fault).split())[:200]


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

"""Load a recorded model as an engine.

Nothing heavy is imported before a model is requested.
"""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tmap.artifacts.secrets import published
from tmap.engines.adapters import ADAPTER_FILES, attach, folder_of
from tmap.engines.base import ENGINE_VERSION
from tmap.engines.weights import load_config, load_tokenizer, load_weights, settle

if TYPE_CHECKING:
    from tmap.cards.model import EngineSection
    from tmap.engines.base import LanguageModel

__all__ = ["around", "is_served", "key_of", "load", "load_config", "load_tokenizer"]


def load(
    record: dict[str, Any],
    engine: EngineSection,
    adapter: str | Path | None = None,
) -> LanguageModel:
    """The model of a record, ready to compute, without network access.

    Parameters
    ----------
    record : written by `fetch_model`: model, source, revision, path, trust_remote_code
    engine : `engine:` section of the model card. A server answers for the bare model
        only; with an adapter, transformers is used in this process
    adapter : folder of a LoRA adapter (or a file in it). It is merged into the weights,
        or kept separate if they are quantized (merging would round them again); "" or
        None: the bare model

    Raises
    ------
    TmapError
        If the device is missing, or model or adapter have no safetensors weights.
    """
    folder = folder_of(adapter)
    if is_served(engine, folder):
        from tmap.engines.server import Server

        served: LanguageModel = Server.start(record, engine, key_of(record, engine))
        return served
    engine = engine.in_process()
    if engine.data_parallel > 1:
        from tmap.engines.workers import Workers

        several: LanguageModel = Workers(
            record, engine, folder, key_of(record, engine, adapter)
        )
        return several
    model, device, _ = load_weights(record, engine)
    if folder is not None:
        tuned = attach(model, folder, torch_device=device)
        # Both are the plain class again, now with the adapter in the layers.
        model = (
            tuned.get_base_model() if engine.quantization else tuned.merge_and_unload()
        )
    return around(model, record, engine, key_of(record, engine, adapter))


def around(
    model: Any, record: dict[str, Any], engine: EngineSection, key: str
) -> LanguageModel:
    """A loaded model as an engine in this process.

    Parameters
    ----------
    model : transformers causal language model
    record, engine : as for `load`
    key : identifies everything that can change a token
    """
    kind = _engine(engine.name)
    found: LanguageModel = kind(
        model,
        load_tokenizer(record),
        key=key,
        batch_size=engine.batch_size,
        max_new_tokens=engine.max_new_tokens,
    )
    return found


def is_served(engine: EngineSection, adapter: str | Path | None) -> bool:
    """Whether a server answers; it does so for the bare model only."""
    return engine.server is not None and folder_of(adapter) is None


def key_of(
    record: dict[str, Any],
    engine: EngineSection,
    adapter: str | Path | None = None,
) -> str:
    """The key of the engine that `load` would return, without loading it."""
    folder = folder_of(adapter)
    if is_served(engine, folder):
        assert engine.server is not None
        who = json.dumps(published(engine.server.identity()))
        return f"server|v{ENGINE_VERSION}|{record['revision']}|{who}"
    engine = engine.in_process()
    device, dtype = settle(engine)
    dtype += f"/{engine.quantization}" if engine.quantization else ""
    device += f"/{engine.device_map}" if engine.device_map else ""
    several = f"x{engine.data_parallel}" if engine.data_parallel > 1 else ""
    return "|".join(
        [
            engine.name,
            f"v{ENGINE_VERSION}",
            str(record["revision"]),
            "-" if folder is None else _hash(folder),
            dtype,
            device,
            f"batch{engine.batch_size}{several}",
            _minor("torch"),
            _minor("transformers"),
        ]
    )


def _engine(name: str) -> Any:
    if name == "reference":
        from tmap.engines.reference import Reference

        return Reference
    from tmap.engines.prefix_cache import PrefixCache

    return PrefixCache


def _hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in ADAPTER_FILES:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:16]


def _minor(package: str) -> str:
    """`torch 2.13`: the part of a version that may change tokens."""
    return f"{package} {'.'.join(metadata.version(package).split('.')[:2])}"

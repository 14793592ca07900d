"""The size of a LoRA adapter, from the rank and the layers that get weights.

A layer of weights (out, in) gets rank x (in + out) float32 numbers. Worked example, rank 8
on all linear layers of four blocks of width 192, with an MLP of width 512: per block 4 x
(192 + 192) + 3 x (192 + 512) = 3,648, so 8 x 4 x 3,648 x 4 bytes = 467 kB.
"""

from __future__ import annotations

import re
from pathlib import Path

from tmap.cards.model import ModelCard, TrainSection
from tmap.operations.planning import hours

#: Bytes of an adapter of rank `RANK` on all linear layers of a model of 8 B parameters,
#: assumed where the layers are not known.
ASSUMED, RANK = 160 * 2**20, 16
WIDTH = 4  # bytes of a weight
#: Matrices that are no linear layers of the model's blocks, by a part of their names.
ASIDE = re.compile(r"embed|wte|wpe|lm_head|embed_out")


def size(model: str, card: ModelCard) -> float:
    """Bytes of one adapter; of a model whose layers are not known, `ASSUMED` by rank."""
    folder = hours.folder(model, card)
    layers = _matrices(folder) if folder else {}
    found = sum(
        rows + columns
        for name, (rows, columns) in layers.items()
        if _gets_weights(name, card.train)
    )
    if not found:
        return ASSUMED * card.train.rank / RANK
    return WIDTH * card.train.rank * found


def _gets_weights(layer: str, how: TrainSection) -> bool:
    """As PEFT: a text is a pattern of the whole name, a list has ends of names."""
    wanted = how.target_modules
    if wanted == "all-linear":
        return ASIDE.search(layer) is None
    if isinstance(wanted, str):
        return re.fullmatch(wanted, layer) is not None
    return any(layer == end or layer.endswith(f".{end}") for end in wanted)


def _matrices(folder: Path) -> dict[str, tuple[int, int]]:
    """Layer -> shape of its weights, from the headers of the files; {} without any."""
    from safetensors import SafetensorError, safe_open

    found: dict[str, tuple[int, int]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="np") as file:
                for name in file.keys():
                    shape = file.get_slice(name).get_shape()
                    if name.endswith(".weight") and len(shape) == 2:
                        found[name.removesuffix(".weight")] = (shape[0], shape[1])
        except (SafetensorError, OSError):
            return {}  # `tmap check` and `fetch_model` say what is wrong with the file
    return found

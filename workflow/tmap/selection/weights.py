"""The weights of a method: fixed by its card, drawn, learned, or a sentinel's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tmap.artifacts.files import read_json
from tmap.errors import TmapError
from tmap.selection.variants import parse


def drawn(bounds: tuple[float, float], k: int, seed: int) -> np.ndarray:
    """(K,) random weights, uniform within `bounds`: a baseline for the search."""
    return np.random.default_rng(seed).uniform(*bounds, size=k)


def read_weights(
    weights: str | dict[str, float], indicators: Sequence[str], path: str = ""
) -> np.ndarray:
    """The (K,) weights of a method, in the order of `indicators`.

    Parameters
    ----------
    weights : as in the card: "uniform", "product", "learned" or a mapping
    indicators : names of the columns
    path : weights.json, for learned weights
    """
    if weights in ("uniform", "product"):
        return np.ones(len(indicators))
    if isinstance(weights, dict):
        return np.array([weights[name] for name in indicators], dtype=float)
    if not path:
        raise TmapError(
            f"Weights '{weights}' are not fixed by the card, so a weights file is "
            "needed. Run `tmap search-weights` and name its weights.json (--weights)."
        )
    learned = read_json(path)
    by_name = dict(zip(learned["indicators"], learned["weights"], strict=True))
    if set(by_name) != set(indicators):
        raise TmapError(
            f"{path} has weights for {', '.join(by_name)}, but the card lists "
            f"{', '.join(indicators)}. Run `tmap search-weights` again."
        )
    return np.array([by_name[name] for name in indicators], dtype=float)


def weights_of(
    card: Mapping[str, Any], names: list[str], path: str, seed: int, part: str
) -> np.ndarray:
    """(K,) weights of a method, or of one of its sentinels, in the order of `names`.

    Parameters
    ----------
    card : `settings.select_subset`
    path : weights.json of a search, or sentinels.json of a sentinel; otherwise ""
    seed : of weights that are drawn
    part : as `tmap.selection.variants` reads it; "" if there is none
    """
    if part[:1] == "k":
        return sentinel_weights(part, names, path)
    if card["weights"] == "drawn":
        return drawn(card["bounds"], len(names), seed)
    return read_weights(card["weights"], names, path)


def sentinel_weights(name: str, indicators: list[str], path: str) -> np.ndarray:
    """(K,) weights of sentinel k<i>, in the order of `indicators`."""
    about: dict[str, Any] = read_json(path)
    weights = about["sentinels"][int(parse(name).value)]["weights"]
    by_name = dict(zip(about["indicators"], weights, strict=True))
    return np.array([by_name[column] for column in indicators], dtype=float)

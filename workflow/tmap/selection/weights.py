"""The weights of a method: fixed by its card, drawn, learned, or a sentinel's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tmap.artifacts.files import broken, read_document
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
    by_name = _named(path, read_document("weights", path))
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
    about = read_document("sentinels", path)
    try:
        chosen = about["sentinels"][int(parse(name).value)]
        by_name = _named(path, {**about, "weights": chosen["weights"]})
        return np.array([by_name[column] for column in indicators], dtype=float)
    except (LookupError, TypeError):
        raise broken(path, f"it has no sentinel '{name}' of these columns") from None


def _named(path: str, about: Mapping[str, Any]) -> dict[str, float]:
    """Column -> weight, as weights.json or a sentinel has them."""
    names, weights = about["indicators"], about["weights"]
    are_numbers = isinstance(weights, list) and all(
        isinstance(w, (int, float)) and not isinstance(w, bool) for w in weights
    )
    if not are_numbers or len(names) != len(weights):
        raise broken(path, "it has not one number as the weight of each column")
    return dict(zip(names, weights, strict=True))

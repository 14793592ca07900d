"""Tiny and confirm sets, and the history behind them."""

from __future__ import annotations

from tmap import cards, indicators
from tmap.dag.indicators import embeddings_file
from tmap.errors import TmapError


def tiny_file(dataset: str, method: str, name: str) -> str:
    """The tiny (or confirm) set of a method's reward: the dataset's, or one of its own."""
    card = cards.load("methods", method)
    own, columns = card.n_anchors, card.indicator_names()
    aiming = [n for n in columns if indicators.get(n).looks_at == "gradients"]
    if own and aiming:
        raise TmapError(
            f"Method '{method}' has n_anchors: {own} and weighs '{aiming[0]}', whose "
            "gradients aim at all reward questions except those that the dataset card "
            "sets aside to confirm; with n_anchors: null these confirm the reward. "
            "Set `tiny: n_anchors:` in the dataset card instead."
        )
    return f"results/{dataset}/{f'anchors/{own}/' if own else ''}{name}.parquet"


def own_anchors(dataset: str, methods: list[str]) -> list[str]:
    """Tiny and confirm sets of the methods whose cards set their own S."""
    own = [m for m in methods if cards.load("methods", m).n_anchors]
    files = [tiny_file(dataset, m, name) for m in own for name in ("tiny", "confirm")]
    return list(dict.fromkeys(files))


def history_files(dataset: str) -> list[str]:
    """IRT tables and responses of a dataset with a history; none without one."""
    if cards.load("datasets", dataset).responses is None:
        return []
    names = ("irt", "abilities", "responses")
    return [f"results/{dataset}/{name}.parquet" for name in names]


def vectors_files(dataset: str) -> list[str]:
    """Embeddings of the reward questions: one file if the card names an encoder."""
    how = cards.load("datasets", dataset).tiny
    if not how.encoder:
        return []
    cards.load("models", how.encoder)
    return [embeddings_file(dataset, how.encoder, "reward", how.pooling)]

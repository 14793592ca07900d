"""Files of gradients: which proxy, its warm-up, its shards."""

from __future__ import annotations

from tmap import cards, indicators

GRADIENTS = (
    "candidates.parquet",
    "candidates.npy",
    "questions.parquet",
    "questions.npy",
)


def gradients_of_indicator(dataset: str, model: str, indicator: str) -> list[str]:
    """The gradients and targets that an indicator compares, or none."""
    if indicators.get(indicator).looks_at != "gradients":
        return []
    proxy = proxy_of(dataset, model)
    room = f"results/{dataset}/gradients/{proxy}"
    return [*(f"{room}/{n}" for n in GRADIENTS), f"results/{dataset}/targets.parquet"]


def proxy_of(dataset: str, model: str) -> str:
    """The model card whose gradients represent the target's: its own, or a proxy's."""
    name = cards.load("datasets", dataset).gradients.proxy or model
    cards.load("models", name)
    return name


def warmup_file(dataset: str, proxy: str) -> list[str]:
    """The warm-up of a proxy, as a list; empty if it has none."""
    if cards.load("datasets", dataset).gradients.share == 0:
        return []
    return [f"results/{dataset}/gradients/{proxy}/warmup.safetensors"]


def shards(dataset: str, proxy: str) -> list[str]:
    """Files of the jobs that share the measuring of gradients; none for a single job."""
    n = cards.load("datasets", dataset).shards
    room = f"results/{dataset}/gradients/{proxy}"
    return [f"{room}/shard-{k}-of-{n}.json" for k in range(n)] if n > 1 else []

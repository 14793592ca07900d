"""Where gradients and rounds lie: what `tmap.paths` is to the other rules."""

from __future__ import annotations

from typing import Any

from tmap import cards, indicators
from tmap.errors import TmapError
from tmap.paths import judge_minutes

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
    """The model card whose gradients stand for the target's: its own, or a proxy's."""
    name = cards.load("datasets", dataset).gradients.proxy or model
    cards.load("models", name)
    return name


def warmup_file(dataset: str, proxy: str) -> list[str]:
    """The warm-up of a proxy, as a list; empty if it stays as it is."""
    if cards.load("datasets", dataset).gradients.share == 0:
        return []
    return [f"results/{dataset}/gradients/{proxy}/warmup.safetensors"]


def shards(dataset: str, proxy: str) -> list[str]:
    """What the jobs leave that measure gradients together; none if a single job does."""
    n = cards.load("datasets", dataset).shards
    room = f"results/{dataset}/gradients/{proxy}"
    return [f"{room}/shard-{k}-of-{n}.json" for k in range(n)] if n > 1 else []


def rounds_of(method: str) -> int:
    """How many rounds a method goes; 0 for one that selects from the dataset's pool."""
    how = cards.load("methods", method).rounds
    return how.n if how else 0


def selection_room(dataset: str, model: str, method: str, seed: str) -> str:
    """Where a method's subset lies."""
    return f"results/{dataset}/{model}/{method}/s{seed}"


def pool_of_method(w: Any) -> str:
    """The table that a method's subset is taken from: the pool, or what rounds chose."""
    if not rounds_of(w.method):
        return f"results/{w.dataset}/pool.parquet"
    return f"{selection_room(w.dataset, w.model, w.method, w.seed)}/chosen.parquet"


def round_file(w: Any, number: int, name: str) -> list[str]:
    """A file of one round of a method, as a list; none of round 0."""
    room = selection_room(w.dataset, w.model, w.method, w.seed)
    return [f"{room}/r{number}/{name}"] if number else []


def round_files(w: Any, number: int, name: str) -> list[str]:
    """A file of every round up to `number`, in order; none up to round 0."""
    return [f for n in range(1, number + 1) for f in round_file(w, n, name)]


def round_columns(w: Any, number: int) -> list[str]:
    """The tables that a method weighs in one round, in the order of its card."""
    names = cards.load("methods", w.method).indicator_names()
    for name in names:
        if indicators.get(name).looks_at not in ("text", "gradients"):
            raise TmapError(
                f"Method '{w.method}' goes in rounds and weighs '{name}', which looks at "
                f"a {indicators.get(name).looks_at}; there, columns of text and of "
                "gradients can be weighed. Leave it out of the method card."
            )
    return [f for n in names for f in round_file(w, number, f"indicators/{n}.parquet")]


def round_gradients(w: Any) -> list[str]:
    """What a round's column compares, or none."""
    if indicators.get(w.indicator).looks_at != "gradients":
        return []
    names = [f"gradients/{name}" for name in GRADIENTS]
    found = [f for name in names for f in round_file(w, int(w.round), name)]
    return [*found, f"results/{w.dataset}/targets.parquet"]


def round_adapter(w: Any) -> list[str]:
    """The adapter that the round before trained, if the target is its own proxy."""
    if proxy_of(w.dataset, w.model) != w.model:
        return []
    return round_file(w, int(w.round) - 1, "t0/adapter/adapter_model.safetensors")


def generator_model(method: str) -> str | None:
    """The model card of a method's generator; None if it is a server or a recording."""
    how = cards.load("methods", method).rounds
    return cards.load("judges", how.generator).model if how else None


def generator_minutes(method: str) -> int:
    """Minutes to ask for to generate a round's candidates."""
    how = cards.load("methods", method).rounds
    assert how is not None  # only methods with rounds have such a job
    return judge_minutes(how.generator, "generate_candidates")

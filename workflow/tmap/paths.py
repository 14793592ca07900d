"""Lists of artifacts: what a method, an arm or a metrics file is made from.

Rules hold their own paths as literals; only lists whose length depends on cards live here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from tmap import cards, embeddings, indicators
from tmap.errors import TmapError
from tmap.names import RESERVED


def indicator_file(dataset: str, model: str, indicator: str) -> str:
    """Where an indicator's table lies: beside the pool unless it looks at the target."""
    room = f"{dataset}/{model}" if indicators.get(indicator).per_model else dataset
    return f"results/{room}/indicators/{indicator}.parquet"


def indicator_files(dataset: str, model: str, method: str) -> list[str]:
    """The tables that a method weighs, in the order of its card."""
    names = cards.load("methods", method).indicator_names()
    return [indicator_file(dataset, model, name) for name in names]


def model_file(model: str) -> str:
    """The record of a fetched model."""
    return f"results/models/{model}.json"


def model_of_indicator(dataset: str, model: str | None, indicator: str) -> str | None:
    """The model card that computes a column: target, proxy or judge; None if none does."""
    looks_at = indicators.get(indicator).looks_at
    options = cards.load("datasets", dataset).indicator_options(indicator)
    if looks_at == "judge":
        return cards.load("judges", options["judge"]).model
    return {"target": model, "proxy": options.get("proxy")}.get(looks_at)


def models_of_indicator(dataset: str, model: str | None, indicator: str) -> list[str]:
    """Model records that scoring one indicator reads: one, or none."""
    name = model_of_indicator(dataset, model, indicator)
    return [model_file(name)] if name else []


def minutes(dataset: str, model: str | None, indicator: str) -> int:
    """Minutes to ask for; of a judge on a server, its card says."""
    if indicators.get(indicator).looks_at == "judge":
        options = cards.load("datasets", dataset).indicator_options(indicator)
        judge = cards.load("judges", options["judge"])
        if judge.server:
            return judge.limits.runtime
    return runtime(model_of_indicator(dataset, model, indicator), "score_indicator")


def columns_of_indicator(dataset: str, model: str | None, indicator: str) -> list[str]:
    """The tables that an indicator is made from, if it looks at columns."""
    names = indicators.get(indicator).made_from
    return [indicator_file(dataset, model or "", name) for name in names]


def embeddings_file(dataset: str, encoder: str, text: str, pooling: str) -> str:
    """Vectors of a pool's texts: whose hidden states, of which text, how pooled."""
    return f"results/{dataset}/embeddings/{encoder}/{text}_{pooling}.parquet"


def embeddings_of_indicator(
    dataset: str, model: str | None, indicator: str
) -> list[str]:
    """The embeddings that an indicator reads: one file, or none."""
    about = indicators.get(indicator)
    if not about.embeds:
        return []
    options = cards.load("datasets", dataset).indicator_options(indicator)
    encoder = options["encoder"] or model or ""
    cards.load("models", encoder)
    embeddings.check_pooling(
        options["pooling"], f"under `indicators: {indicator}:` in the dataset card"
    )
    return [embeddings_file(dataset, encoder, about.embeds, options["pooling"])]


def embeddings_of_method(dataset: str, model: str, method: str) -> list[str]:
    """The embeddings that a method's diversity filter compares: one file, or none."""
    how = cards.load("methods", method).filter
    if how.diversity is None:
        return []
    encoder = how.encoder or model
    cards.load("models", encoder)
    return [embeddings_file(dataset, encoder, "conversation", how.pooling)]


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
    """Minutes to ask for; of a generator on a server, its card says."""
    how = cards.load("methods", method).rounds
    generator = cards.load("judges", how.generator) if how else None
    if generator and generator.server:
        return generator.limits.runtime
    return runtime(generator_model(method), "generate_candidates")


def recordings(dataset: str, indicator: str) -> list[str]:
    """The recorded replies that stand in for a judge, if its card names some."""
    if indicators.get(indicator).looks_at != "judge":
        return []
    options = cards.load("datasets", dataset).indicator_options(indicator)
    recorded = cards.load("judges", options["judge"]).recorded
    return [recorded.path] if recorded else []


def weights_file(dataset: str, model: str, method: str, seed: str) -> list[str]:
    """The learned weights of a method, as a list; empty if its card fixes them."""
    if cards.load("methods", method).weights != "learned":
        return []
    return [f"results/{dataset}/{model}/{method}/s{seed}/weights.json"]


def labels_file(dataset: str, method: str) -> list[str]:
    """Known faults of the pool, as a list; empty for every method but an oracle."""
    if cards.load("methods", method).weights != "oracle":
        return []
    return [f"results/{dataset}/pool_labels.parquet"]


def arms(method: str, n_seeds: int) -> list[tuple[int, int]]:
    """(s, t) seeds of a method: base runs once; random and learned vary s and t.

    A deterministic selection has s0 only; its training seeds vary. There are `n_seeds`
    of them, or as many as the method's card says.
    """
    card = cards.load("methods", method)
    if card.weights == "none":
        return [(0, 0)]
    varies = card.weights == "random" or card.vary_search_seed
    return [(i if varies else 0, i) for i in range(card.seeds or n_seeds)]


def arm_files(
    dataset: str, model: str, methods: list[str], n_seeds: int, name: str
) -> list[str]:
    """File `name` of every arm of these methods, in the order of the methods."""
    return [
        f"results/{dataset}/{model}/{method}/s{s}/t{t}/{name}"
        for method in methods
        for s, t in arms(method, n_seeds)
        if not (name == "train.json" and not trains(method))
    ]


def trains(method: str) -> bool:
    """Whether a method fine-tunes on a subset; `base` and its like do not."""
    return cards.load("methods", method).weights != "none"


def learned(methods: list[str]) -> list[str]:
    """Those of `methods` whose weights are searched for."""
    return [m for m in methods if cards.load("methods", m).weights == "learned"]


def search_files(
    dataset: str, model: str, methods: list[str], n_seeds: int, name: str
) -> list[str]:
    """File `name` of every search behind these methods."""
    return [
        f"results/{dataset}/{model}/{method}/s{s}/{name}"
        for method in learned(methods)
        for s in sorted({s for s, _ in arms(method, n_seeds)})
    ]


def measured(dataset: str, model: str, methods: list[str], n_seeds: int) -> list[str]:
    """Every file of arms and searches that a results table is made from."""
    arms = ("predictions.parquet", "train.json")
    searches = ("weights.json", "trace.parquet")
    return [
        *(f for n in arms for f in arm_files(dataset, model, methods, n_seeds, n)),
        *(
            f
            for n in searches
            for f in search_files(dataset, model, methods, n_seeds, n)
        ),
    ]


def data_cards(dataset: str, model: str, methods: list[str], n_seeds: int) -> list[str]:
    """The data card beside every subset: not read, but to be there with the table."""
    return [
        f"results/{dataset}/{model}/{method}/s{s}/README.md"
        for method in methods
        if trains(method)
        for s in sorted({s for s, _ in arms(method, n_seeds)})
    ]


def history_files(dataset: str) -> list[str]:
    """IRT tables and responses of a dataset with a history, else none."""
    if cards.load("datasets", dataset).responses is None:
        return []
    names = ("irt", "abilities", "responses")
    return [f"results/{dataset}/{name}.parquet" for name in names]


def adapter_files(
    name: str, dataset: str, model: str, method: str, seed: str, training_seed: str
) -> list[str]:
    """File `name` of the adapter that is measured; none for a method without training."""
    if not trains(method):
        return []
    room = f"results/{dataset}/{model}/{method}/s{seed}/t{training_seed}"
    return [f"{room}/adapter/{name}"]


def check(target: str) -> None:
    """Refuse a target whose path names an unknown card, with the nearest known one.

    Snakemake itself would only say that no rule makes it.
    """
    parts = Path(target).parts
    if len(parts) < 3 or parts[0] != "results":
        return
    kinds: list[Literal["datasets", "models", "methods"]]
    kinds = ["datasets", "models", "methods"]
    for kind, name in zip(kinds, parts[1:-1], strict=False):
        if name in RESERVED:
            return
        cards.load(kind, name)


def local_source(part: str) -> Callable[[Any], list[str]]:
    """An input function: the local file behind pool, questions or responses, if any."""

    def find(wildcards: Any) -> list[str]:
        source = getattr(cards.load("datasets", wildcards.dataset), part)
        return [source.path] if source and source.path else []

    return find


def local_model(wildcards: Any) -> list[str]:
    """An input function: the files of a model that lies in a local folder, else none."""
    from tmap.sources import models

    folder = cards.load("models", wildcards.model).source.path
    return [str(path) for path in models.files(Path(folder))] if folder else []


def gpu(model: str | None) -> int:
    """GPUs of a job with this model; none without a model."""
    return cards.load("models", model).resources.gpu if model else 0


def threads(model: str | None) -> int:
    """Threads of a job with this model; one without a model."""
    return cards.load("models", model).resources.threads if model else 1


def mem_mb(model: str | None) -> int:
    """Memory of a job with this model; 4 GB without a model."""
    return cards.load("models", model).resources.mem_mb if model else 4000


def runtime(model: str | None, rule: str) -> int:
    """Minutes to ask for; half an hour without a model."""
    return cards.load("models", model).resources.minutes(rule) if model else 30

"""Lists of artifacts: what a method, an arm or a metrics file is made from.

Rules hold their own paths as literals; only lists whose length depends on cards live here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from tmap import cards, embeddings, indicators
from tmap.cards.method import SEARCHED
from tmap.errors import TmapError
from tmap.files import read_json
from tmap.names import CONSENSUS, RESERVED


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
    if not name:  # text may be counted by a model's tokenizer, which computes nothing
        options = cards.load("datasets", dataset).indicator_options(indicator)
        name = options.get("tokenizer")
        if name:
            cards.load("models", name)
    return [model_file(name)] if name else []


def shards(dataset: str, model: str | None, indicator: str) -> list[str]:
    """What the jobs leave that measure a column together; none if a single job does.

    A server is asked by one job: its card says by how many requests at once.
    """
    n = cards.load("datasets", dataset).shards
    if n == 1 or not model_of_indicator(dataset, model, indicator):
        return []
    room = indicator_file(dataset, model or "", indicator).removesuffix(".parquet")
    return [f"{room}/shard-{k}-of-{n}.json" for k in range(n)]


def minutes(dataset: str, model: str | None, indicator: str) -> int:
    """Minutes to ask for to measure a column."""
    if indicators.get(indicator).looks_at == "judge":
        options = cards.load("datasets", dataset).indicator_options(indicator)
        return judge_minutes(options["judge"], "score_indicator")
    return runtime(model_of_indicator(dataset, model, indicator), "score_indicator")


def judge_minutes(judge: str, rule: str) -> int:
    """Minutes to ask for to ask a judge: of one on a server, its card says."""
    card = cards.load("judges", judge)
    return card.limits.runtime if card.server else runtime(card.model, rule)


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


def distilled() -> list[str]:
    """Datasets whose pool a teacher rewrites."""
    return [n for n in cards.names("datasets") if cards.load("datasets", n).distil]


def teacher(dataset: str) -> str | None:
    """The model card that distils a pool; None if its judge is no local model."""
    how = cards.load("datasets", dataset).distil
    return cards.load("judges", how.judge).model if how else None


def minutes_to_distil(dataset: str) -> int:
    """Minutes to ask for to rewrite a pool."""
    how = cards.load("datasets", dataset).distil
    assert how is not None  # the rule is for datasets of `distilled` only
    return judge_minutes(how.judge, "score_indicator")


def recordings(dataset: str, indicator: str) -> list[str]:
    """The recorded replies that stand in for a judge, if its card names some."""
    if indicators.get(indicator).looks_at != "judge":
        return []
    options = cards.load("datasets", dataset).indicator_options(indicator)
    recorded = cards.load("judges", options["judge"]).recorded
    return [recorded.path] if recorded else []


def searcher(method: str) -> str:
    """The method whose search a method's weights come from: itself, or `weights_of:`."""
    return cards.load("methods", method).weights_of or method


def search_room(dataset: str, model: str, method: str) -> str | None:
    """The folder of a method's searches; a consensus has one for all models."""
    weights, name = cards.load("methods", method).weights, searcher(method)
    if weights == "consensus":
        return f"results/{dataset}/{CONSENSUS}{name}"
    return f"results/{dataset}/{model}/{name}" if weights in SEARCHED else None


def weights_file(dataset: str, model: str, method: str, seed: str) -> list[str]:
    """The learned weights of a method, as a list; empty if its card fixes them."""
    room = search_room(dataset, model, method)
    return [f"{room}/s{seed}/weights.json"] if room else []


def part_weights(
    dataset: str, model: str, method: str, seed: str, part: str
) -> list[str]:
    """The weights behind a part of a selection: its method's, or a sentinel's own."""
    if part[0] == "k":
        return [f"results/{dataset}/{model}/{method}/s{seed}/sentinels.json"]
    return weights_file(dataset, model, method, seed)


def part_questions(dataset: str, part: str) -> str:
    """What a part is measured on: sentinels never on test questions."""
    role = "reward" if part[0] == "k" else "test"
    return f"results/{dataset}/questions_{role}.parquet"


def tiny_file(dataset: str, method: str, name: str) -> str:
    """The tiny (or confirm) set behind a method's reward: the dataset's, or its own S."""
    card = cards.load("methods", method)
    own, columns = card.n_anchors, card.indicator_names()
    aiming = [n for n in columns if indicators.get(n).looks_at == "gradients"]
    if own and aiming:
        raise TmapError(
            f"Method '{method}' has n_anchors: {own} and weighs '{aiming[0]}', whose "
            "gradients aim at all reward questions but those that the dataset card sets "
            "aside to confirm; with n_anchors: null the confirmed reward is on these. "
            "Set `tiny: n_anchors:` in the dataset card instead."
        )
    return f"results/{dataset}/{f'anchors/{own}/' if own else ''}{name}.parquet"


def labels_file(dataset: str, method: str) -> list[str]:
    """Known faults of the pool, as a list; empty for every method but an oracle."""
    if cards.load("methods", method).weights != "oracle":
        return []
    return [f"results/{dataset}/pool_labels.parquet"]


def own_anchors(dataset: str, methods: list[str]) -> list[str]:
    """Tiny and confirm sets of those methods whose cards bring their own S."""
    own = [m for m in methods if cards.load("methods", m).n_anchors]
    files = [tiny_file(dataset, m, name) for m in own for name in ("tiny", "confirm")]
    return list(dict.fromkeys(files))


def arms(method: str, n_seeds: int) -> list[tuple[int, int]]:
    """(s, t) seeds of a method: base runs once; random and learned vary s and t.

    A deterministic selection has s0 only, and so has the whole pool; its training seeds
    vary. There are `n_seeds` of them, or as many as the method's card says.
    """
    card = cards.load("methods", method)
    if card.weights == "none":
        return [(0, 0)]
    drawn = card.weights in ("random", "drawn") and card.fraction != 1
    varies = drawn or card.vary_search_seed
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


def searched(methods: list[str]) -> list[str]:
    """Those of `methods` whose weights one model's search of their own ends with."""
    return [m for m in methods if _own(m) in SEARCHED]


def agreed(methods: list[str]) -> list[str]:
    """Those of `methods` whose weights models agree on, by a search of their own."""
    return [m for m in methods if _own(m) == "consensus"]


def _own(method: str) -> object:
    card = cards.load("methods", method)
    return None if card.weights_of else card.weights


def certifiable(methods: list[str]) -> list[str]:
    """Those of `methods` whose weights a search, of one model or of several, ends with."""
    return [m for m in methods if m in (*searched(methods), *agreed(methods))]


def models_of(method: str) -> list[str]:
    """The models whose rewards a consensus averages."""
    return cards.load("methods", method).models


def consensus(dataset: str, method: str) -> dict[str, list[str]]:
    """What a consensus search reads of its models: indicator tables, records."""
    models = cards.load("methods", method).models
    return {
        "models": [model_file(model) for model in models],
        "indicators": [f for m in models for f in indicator_files(dataset, m, method)],
    }


def search_files(
    dataset: str, model: str, methods: list[str], n_seeds: int, name: str
) -> list[str]:
    """File `name` of every search behind these methods, each once."""
    found = [
        f"{room}/s{s}/{name}"
        for method in methods
        if (room := search_room(dataset, model, method))
        for s in sorted({s for s, _ in arms(method, n_seeds)})
    ]
    return list(dict.fromkeys(found))


def sentinel_runs(
    dataset: str, model: str, method: str, seed: str, chosen: str = ""
) -> list[str]:
    """Answers after training on each sentinel, a sentinel's seeds together.

    Parameters
    ----------
    chosen : sentinels.json, which may hold none; "": as many as the method's card wants
    """
    how = cards.load("methods", method).certificate
    n = len(read_json(chosen)["sentinels"]) if chosen else how.n_sentinels
    return [
        f"results/{dataset}/{model}/{method}/s{seed}/k{k}/t{t}/predictions.parquet"
        for k in range(n)
        for t in range(how.n_seeds)
    ]


def measured(
    dataset: str,
    model: str,
    methods: list[str],
    n_seeds: int,
    certify: Sequence[str] = (),
) -> list[str]:
    """Every file of arms and searches that a results table is made from.

    Parameters
    ----------
    certify : methods of which the certificate of the first search is read too
    """
    arms = ("predictions.parquet", "train.json")
    searches = ("weights.json", "trace.parquet")
    return [
        *(f for n in arms for f in arm_files(dataset, model, methods, n_seeds, n)),
        *(
            f
            for n in searches
            for f in search_files(dataset, model, methods, n_seeds, n)
        ),
        *(
            f"results/{dataset}/{model}/{method}/s0/certificate.json"
            for method in certified(methods, certify)
        ),
    ]


def certified(methods: Sequence[str], certify: Sequence[str]) -> list[str]:
    """The methods under `certify:` of a config, each of which must have a search.

    Raises
    ------
    TmapError : one is no row of the table, or searches for no weights
    """
    for method in certify:
        if method not in methods:
            raise TmapError(
                f"`certify:` names '{method}', which is not among `methods:` "
                f"({', '.join(methods)}). Add it there, or take it out of `certify:`."
            )
        if not certifiable([method]):
            able = ", ".join(certifiable(list(methods))) or "none of these"
            raise TmapError(
                f"`certify:` names '{method}', which has no search of its own. "
                f"Of `methods:`, {able} can be certified. Mend `certify:` in the config."
            )
    return list(certify)


def data_cards(dataset: str, model: str, methods: list[str], n_seeds: int) -> list[str]:
    """The data card beside every subset: not read, but to be there with the table."""
    return [
        f"results/{dataset}/{model}/{method}/s{s}/README.md"
        for method in methods
        if trains(method)
        for s in sorted({s for s, _ in arms(method, n_seeds)})
    ]


def warm_start(method: str) -> list[str]:
    """The trace of an earlier search whose best points this method tries first."""
    path = cards.load("methods", method).search.warm_start
    return [path] if isinstance(path, str) else []


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
    if parts[1] == "tables":
        cards.load("experiments", Path(target).stem)
        return
    kinds: list[Literal["datasets", "models", "methods"]]
    kinds = ["datasets", "models", "methods"]
    for kind, name in zip(kinds, parts[1:-1], strict=False):
        if name in RESERVED or name.startswith(CONSENSUS):
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


def gpus_to_answer(model: str) -> int:
    """GPUs of a search or an evaluation with this model."""
    return cards.load("models", model).gpus_to_answer()


def gpus_to_train(model: str) -> int:
    """GPUs of a training of this model."""
    return cards.load("models", model).gpus_to_train()


def threads(model: str | None) -> int:
    """Threads of a job with this model; one without a model."""
    return cards.load("models", model).resources.threads if model else 1


def mem_mb(model: str | None) -> int:
    """Memory of a job with this model; 4 GB without a model."""
    return cards.load("models", model).resources.mem_mb if model else 4000


def runtime(model: str | None, rule: str) -> int:
    """Minutes to ask for; half an hour without a model."""
    return cards.load("models", model).resources.minutes(rule) if model else 30

"""The card values that each rule reads, and nothing more.

One function per rule returns the values that its command passes to the library; `of`
returns the same values as JSON for the rule, so a card edit re-runs what read the value.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from tmap import cards, indicators
from tmap.artifacts.secrets import published
from tmap.cards.method import SearchSection
from tmap.cards.model import EngineSection, ModelCard, PlaceSection, PromptSection
from tmap.dag.indicators import options


def of(rule: str, **names: str) -> str:
    """The values of `rule` for these cards as canonical JSON, without secrets.

    Snakemake prints and keeps them, and every artifact records them.
    """
    text = json.dumps(globals()[rule](**names), default=_plain)
    return json.dumps(published(json.loads(text)), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} cannot be a rule parameter")


def fetch_pool(dataset: str) -> dict[str, Any]:
    card = cards.load("datasets", dataset)
    return {
        "dataset": dataset,
        "source": card.pool,
        "ngram": card.overlap.ngram,
        "share": card.overlap.share,
        "by_letter": card.reader == "letter",
    }


def distil_pool(dataset: str) -> dict[str, Any]:
    card = cards.load("datasets", dataset)
    name = card.distil.judge if card.distil else ""
    judge = cards.load("judges", name).with_form("reasoning", name)
    engine = _judging(judge.model) if judge.model else None
    return {"judge": judge, "engine": engine, "reader": card.reader}


def label_pool(dataset: str) -> dict[str, Any]:
    return {"dataset": dataset, "source": cards.load("datasets", dataset).pool}


def fetch_questions(dataset: str) -> dict[str, Any]:
    card = cards.load("datasets", dataset)
    return {
        "dataset": dataset,
        "source": card.questions,
        "task": card.task,
        "reader": card.reader,
        "metric": card.metric,
        "protocol": card.protocol,
        "reward_share": card.reward_share,
        "ngram": card.overlap.ngram,
    }


def fetch_responses(dataset: str) -> dict[str, Any]:
    card = cards.load("datasets", dataset)
    return {"dataset": dataset, "source": card.responses}


def fetch_model(model: str) -> dict[str, Any]:
    return {"model": model, "source": cards.load("models", model).source}


def embed_pool(encoder: str, text: str, pooling: str) -> dict[str, Any]:
    place = _place(cards.load("models", encoder))
    return {"place": place, "text": text, "pooling": pooling}


def fetch_targets(dataset: str) -> dict[str, Any]:
    card = cards.load("datasets", dataset)
    return {"source": card.questions, "reader": card.reader}


def warm_up_proxy(dataset: str, proxy: str) -> dict[str, Any]:
    how = cards.load("datasets", dataset).gradients
    card = cards.load("models", proxy)
    # One process, because the checkpoints and the share are small.
    alone = {"epochs": how.epochs, "max_steps": None, "processes": 1}
    return {
        "share": how.share,
        "seed": how.seed,
        "prompt": _unstopped(card),
        "place": _place(card),
        "train": card.train.model_copy(update=alone),
    }


def gradients(dataset: str, proxy: str) -> dict[str, Any]:
    card = cards.load("models", proxy)
    return {
        "how": cards.load("datasets", dataset).gradients,
        "prompt": _unstopped(card),
        "place": _place(card),
        "train": card.train,
    }


def measure_gradients(dataset: str, proxy: str) -> dict[str, Any]:
    return gradients(dataset, proxy)


def generate_candidates(dataset: str, method: str) -> dict[str, Any]:
    data = cards.load("datasets", dataset)
    how = cards.load("methods", method).rounds
    assert how is not None
    generator = cards.load("judges", how.generator)
    found: dict[str, Any] = {
        "judge": generator.with_form("candidate", how.generator),
        "n_candidates": how.n_candidates,
        "n_shots": how.n_shots,
        "seed": how.seed,
        "reader": data.reader,
        "ngram": data.overlap.ngram,
        "share": data.overlap.share,
    }
    if generator.model:
        found["engine"] = _judging(generator.model)
    return found


def select_round(dataset: str, method: str) -> dict[str, Any]:
    how = cards.load("methods", method).rounds
    assert how is not None
    version = cards.load("judges", how.generator).version
    about = {"generator": how.generator, "generator_version": version}
    return _selection(dataset, method) | about


def score_indicator(dataset: str, indicator: str, model: str = "") -> dict[str, Any]:
    """Without a target model, `model` is the indicator's proxy, if it has one."""
    given = options(dataset, indicator)
    found: dict[str, Any] = {"indicator": indicator, "options": given}
    about = indicators.get(indicator)
    if about.looks_at == "judge":
        judge = cards.load("judges", given["judge"])
        # Only this form, so that an edit of another one re-runs nothing here.
        found["judge"] = judge.with_form(about.form, given["judge"])
        name = judge.model
        return found | ({"engine": _judging(name)} if name else {})
    if about.looks_at == "gradients":
        return found
    name = model or given.get("proxy")
    return found | (_likelihood(name) if name else {})


def measure_shard(dataset: str, indicator: str, model: str = "") -> dict[str, Any]:
    """The same as `score_indicator`, which decides what is measured."""
    return score_indicator(dataset, indicator, model)


def fit_irt(dataset: str) -> dict[str, Any]:
    return {"irt": cards.load("datasets", dataset).irt}


def choose_tiny(dataset: str, n_anchors: str = "") -> dict[str, Any]:
    """`n_anchors` comes from a method card and replaces the dataset card's."""
    tiny = cards.load("datasets", dataset).tiny
    own = {"n_anchors": int(n_anchors)} if n_anchors else {}
    return {"tiny": tiny.model_copy(update=own)}


def search_weights(dataset: str, model: str, method: str) -> dict[str, Any]:
    data = cards.load("datasets", dataset)
    how = cards.load("methods", method)
    return {
        **_selection(dataset, method),
        **_language_model(model),
        "bounds": how.bounds,
        "search": how.search,
        "estimator": how.estimator or data.tiny.estimator,
        "task": data.task,
        "reader": data.reader,
        "metric": data.metric,
        "aliases": cards.load("models", model).aliases,
    }


def search_groups(dataset: str, model: str, method: str) -> dict[str, Any]:
    """As `search_weights`; what groups do not use of `search:` is left out."""
    unused = {"n_initial", "n_iterations", "proposals", "racing", "batch", "warm_start"}
    found = search_weights(dataset, model, method)
    search = found["search"].model_dump(mode="json", exclude=unused)
    if search["probe"] in ("sft", "auto"):
        found["train"] = cards.load("models", model).train
    return found | {"search": SearchSection(**search)}


def compare_probes(dataset: str, model: str, method: str) -> dict[str, Any]:
    """As `search_groups`, without its budget."""
    found = search_groups(dataset, model, method)
    kept = {"n_shots", "sft", "exemplars", "n_groups"}
    search = found["search"].model_dump(mode="json", include=kept)
    train = cards.load("models", model).train
    return found | {"search": SearchSection(**search), "train": train}


def search_consensus(dataset: str, method: str) -> dict[str, Any]:
    """The values that each model's own search would read, in the order of the card."""
    models = cards.load("methods", method).models
    return {model: search_weights(dataset, model, method) for model in models}


def explain_weights(dataset: str, model: str, method: str) -> dict[str, Any]:
    n = cards.load("methods", method).explain_orders
    return {**search_weights(dataset, model, method), "n_orders": n}


def choose_sentinels(dataset: str, method: str) -> dict[str, Any]:
    chosen = _selection(dataset, method)
    kept = ("normalise", "fraction", "max_unscored")
    n = cards.load("methods", method).certificate.n_sentinels
    return {key: chosen[key] for key in kept} | {"n_sentinels": n}


def certify_proxy(method: str) -> dict[str, Any]:
    how = cards.load("methods", method).certificate
    return {"n_seeds": how.n_seeds, "safe": how.safe}


def select_subset(dataset: str, method: str) -> dict[str, Any]:
    how = cards.load("methods", method)
    # The encoder is part of the file's path, so its name need not be a parameter.
    steps = how.filter.model_dump(include={"below", "diversity"})
    drawn = {"bounds": how.bounds} if how.weights == "drawn" else {}
    by = {"score": how.score} if how.score != "weights" else {}
    return {**_selection(dataset, method), "filter": steps, **drawn, **by}


def export_subset(dataset: str, method: str) -> dict[str, Any]:
    found = {k: _selection(dataset, method)[k] for k in ("weights", "normalise")}
    by_value = cards.load("methods", method).score == "value"
    return found | ({"weights": "value"} if by_value else {})


def train_adapter(model: str) -> dict[str, Any]:
    card = cards.load("models", model)
    return {"prompt": _unstopped(card), "place": _place(card), "train": card.train}


def evaluate_adapter(dataset: str, model: str) -> dict[str, Any]:
    data = cards.load("datasets", dataset)
    return {
        **_language_model(model),
        "task": data.task,
        "reader": data.reader,
        "metric": data.metric,
    }


def make_table(experiment: str) -> dict[str, Any]:
    card = cards.load("experiments", experiment)
    found: dict[str, Any] = {"experiment": card}
    if card.kind == "accuracy":
        found["margins"] = {n: cards.load("datasets", n).margin for n in card.datasets}
    return found


def collect_metrics(dataset: str) -> dict[str, Any]:
    card = cards.load("datasets", dataset)
    return {
        "metric": card.metric,
        "warn_overlap": card.overlap.warn_above,
        "margin": card.margin,
    }


def take_look(dataset: str) -> dict[str, Any]:
    return {"margin": cards.load("datasets", dataset).margin}


def write_page(model: str) -> dict[str, Any]:
    """What a row looks like when it is trained on."""
    card = cards.load("models", model)
    return {"prompt": _unstopped(card), "max_length": card.train.max_length}


def _language_model(model: str) -> dict[str, Any]:
    card = cards.load("models", model)
    return {"prompt": card.prompt, "engine": card.engine}


def _judging(model: str) -> EngineSection:
    """The engine of a model that rates or rewrites a pool: one process; shards share it."""
    return cards.load("models", model).engine.model_copy(update={"data_parallel": 1})


def _likelihood(model: str) -> dict[str, Any]:
    """A language model that writes nothing: no stop texts, limits or batch sizes."""
    card = cards.load("models", model)
    how = _place(card).model_dump()
    engine = EngineSection(name=card.engine.in_process().name, **how)
    return {"prompt": _unstopped(card), "engine": engine}


def _place(card: ModelCard) -> PlaceSection:
    return PlaceSection(
        **card.engine.model_dump(include=set(PlaceSection.model_fields))
    )


def prompt_words(model: str) -> PromptSection:
    """The prompt of indicators that use a model; its losses are stored under this."""
    return _unstopped(cards.load("models", model))


def _unstopped(card: ModelCard) -> PromptSection:
    return card.prompt.model_copy(update={"stop": []})


def _selection(dataset: str, method: str) -> dict[str, Any]:
    data = cards.load("datasets", dataset)
    how = cards.load("methods", method)
    return {
        "weights": how.weights,
        "indicators": how.indicator_names(),
        "normalise": how.normalise,
        "fraction": data.fraction if how.fraction is None else how.fraction,
        "max_unscored": data.max_unscored,
    }

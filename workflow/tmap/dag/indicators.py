"""Files behind each indicator's column, and which model computes it."""

from __future__ import annotations

from typing import Any

from tmap import cards, indicators
from tmap.dag.data import model_file
from tmap.embeddings.embed import POOLINGS, TEXTS_OF_ROWS, check_pooling
from tmap.errors import TmapError

__all__ = ["POOLINGS", "TEXTS_OF_ROWS"]  # for rules, in addition to the functions here


def options(dataset: str, indicator: str) -> dict[str, Any]:
    """All options of an indicator: its defaults, overridden by the dataset card's."""
    check_options(dataset)
    own = cards.load("datasets", dataset).indicators.get(indicator, {})
    return indicators.get(indicator).check_options(own)


def check_options(dataset: str) -> None:
    """Refuse an option of any indicator in the dataset card that a job would refuse."""
    for name, own in cards.load("datasets", dataset).indicators.items():
        try:
            about = indicators.get(name)
            about.check_options(own)
            if about.embeds and "pooling" in own:
                where = f"under `indicators: {name}:` in the dataset card"
                check_pooling(own["pooling"], where)
        except TmapError as fault:
            raise TmapError(f"Dataset card '{dataset}': {fault}") from None


def check_cards(dataset: str) -> None:
    """Refuse a card that the dataset card names and that does not exist or fit."""
    card = cards.load("datasets", dataset)
    for name, own in card.indicators.items():
        for option in ("proxy", "tokenizer", "encoder"):
            if own.get(option):
                cards.load("models", own[option])
        if own.get("judge"):
            judge = cards.load("judges", own["judge"])
            judge.with_form(indicators.get(name).form, own["judge"])
    if card.distil:
        teacher = cards.load("judges", card.distil.judge)
        teacher.with_form("reasoning", card.distil.judge)
    for name in (card.gradients.proxy, card.tiny.encoder):
        if name:
            cards.load("models", name)


def looking_at(what: str) -> set[str]:
    """Indicators that look at `what`: "text", "target", "proxy", "judge", ..."""
    return {n for n in indicators.names() if indicators.get(n).looks_at == what}


def of_pool(*kinds: str) -> set[str]:
    """Indicators with one column for all target models; only those that look at `kinds`."""
    wanted = set().union(*map(looking_at, kinds)) if kinds else set(indicators.names())
    return wanted - per_model()


def per_model() -> set[str]:
    """Indicators that have a separate column for every target model."""
    return {n for n in indicators.names() if indicators.get(n).per_model}


def indicator_file(dataset: str, model: str, indicator: str) -> str:
    """The path of an indicator's table: next to the pool unless it looks at the target."""
    room = f"{dataset}/{model}" if indicators.get(indicator).per_model else dataset
    return f"results/{room}/indicators/{indicator}.parquet"


def indicator_files(dataset: str, model: str, method: str) -> list[str]:
    """The tables that a method weighs, in the order of its card."""
    names = cards.load("methods", method).indicator_names()
    return [indicator_file(dataset, model, name) for name in names]


def model_of_indicator(dataset: str, model: str | None, indicator: str) -> str | None:
    """The model that computes a column: target, proxy or judge; None if none does."""
    looks_at = indicators.get(indicator).looks_at
    given = options(dataset, indicator)
    if looks_at == "judge":
        return cards.load("judges", given["judge"]).model
    return {"target": model, "proxy": given.get("proxy")}.get(looks_at)


def models_of_indicator(dataset: str, model: str | None, indicator: str) -> list[str]:
    """Model records that are needed to score one indicator: one, or none."""
    name = model_of_indicator(dataset, model, indicator)
    if not name:  # a model's tokenizer may count text without computing anything
        given = options(dataset, indicator)
        name = given.get("tokenizer")
        if name:
            cards.load("models", name)
    return [model_file(name)] if name else []


def shards(dataset: str, model: str | None, indicator: str) -> list[str]:
    """Files of the jobs that share the measuring of a column; none for a single job.

    One job asks a server; the judge card says with how many requests at once.
    """
    n = cards.load("datasets", dataset).shards
    if n == 1 or not model_of_indicator(dataset, model, indicator):
        return []
    room = indicator_file(dataset, model or "", indicator).removesuffix(".parquet")
    return [f"{room}/shard-{k}-of-{n}.json" for k in range(n)]


def columns_of_indicator(dataset: str, model: str | None, indicator: str) -> list[str]:
    """The tables that an indicator is made from, if it looks at columns."""
    names = indicators.get(indicator).made_from
    return [indicator_file(dataset, model or "", name) for name in names]


def embeddings_file(dataset: str, encoder: str, text: str, pooling: str) -> str:
    """Vectors of a pool's texts, by encoder, kind of text and pooling."""
    return f"results/{dataset}/embeddings/{encoder}/{text}_{pooling}.parquet"


def embeddings_of_indicator(
    dataset: str, model: str | None, indicator: str
) -> list[str]:
    """The embeddings that an indicator reads: one file, or none."""
    about = indicators.get(indicator)
    if not about.embeds:
        return []
    given = options(dataset, indicator)
    encoder = given["encoder"] or model or ""
    cards.load("models", encoder)
    check_pooling(
        given["pooling"], f"under `indicators: {indicator}:` in the dataset card"
    )
    return [embeddings_file(dataset, encoder, about.embeds, given["pooling"])]


def embeddings_of_method(dataset: str, model: str, method: str) -> list[str]:
    """The embeddings that a method's diversity filter compares: one file, or none."""
    how = cards.load("methods", method).filter
    if how.diversity is None:
        return []
    encoder = how.encoder or model
    cards.load("models", encoder)
    return [embeddings_file(dataset, encoder, "conversation", how.pooling)]


def recordings(dataset: str, indicator: str) -> list[str]:
    """The recorded replies that replace a judge, if its card names some."""
    if indicators.get(indicator).looks_at != "judge":
        return []
    given = options(dataset, indicator)
    recorded = cards.load("judges", given["judge"]).recorded
    return [recorded.path] if recorded else []

"""Resources that each job requests: GPUs, threads, memory, minutes."""

from __future__ import annotations

from tmap import cards, indicators
from tmap.dag.indicators import model_of_indicator, options


def minutes(dataset: str, model: str | None, indicator: str) -> int:
    """Minutes to request for measuring a column."""
    if indicators.get(indicator).looks_at == "judge":
        judge = options(dataset, indicator)["judge"]
        return judge_minutes(judge, "score_indicator")
    return runtime(model_of_indicator(dataset, model, indicator), "score_indicator")


def judge_minutes(judge: str, rule: str) -> int:
    """Minutes to request for asking a judge; the card of one on a server sets them."""
    card = cards.load("judges", judge)
    return card.limits.runtime if card.server else runtime(card.model, rule)


def minutes_to_distil(dataset: str) -> int:
    """Minutes to request for rewriting a pool."""
    how = cards.load("datasets", dataset).distil
    assert how is not None  # the rule is for datasets with `distil:` only
    return judge_minutes(how.judge, "score_indicator")


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
    """Minutes to request; half an hour without a model."""
    return cards.load("models", model).resources.minutes(rule) if model else 30


def generator_minutes(method: str) -> int:
    """Minutes to request for generating a round's candidates."""
    how = cards.load("methods", method).rounds
    assert how is not None  # only methods with rounds have such a job
    return judge_minutes(how.generator, "generate_candidates")

"""Names shared by all chapters: known cards and legal wildcards."""

from tmap import attempts, embeddings, indicators, settings
from tmap.names import one_of
from tmap.provenance import fingerprint

METHODS = cards.names("methods")
LOOKS_AT_TARGET = [n for n in indicators.names() if indicators.get(n).per_model]
LOOKS_AT_JUDGE = [
    n for n in indicators.names() if indicators.get(n).looks_at == "judge"
]


wildcard_constraints:
    dataset=one_of(cards.names("datasets")),
    model=one_of(cards.names("models")),
    method=one_of(METHODS),
    seed="[0-9]+",
    training_seed="[0-9]+",


def scoring_rule(w):
    """Who scores an indicator; its log lies where the wildcards say."""
    return "score_indicator_per_model" if w.get("model") else "score_indicator"


def computes(w):
    """The model card that an indicator's job computes with, or None."""
    return paths.model_of_indicator(w.dataset, w.get("model"), w.indicator)


# One environment for the whole workflow, with the versions of constraints.txt.
# `--sdm conda` builds it; without, the active one is used.
ENVIRONMENT = f"../envs/{SETTINGS.environment}.yaml"


if workflow.remote_exec:
    attempts.job_began()
else:
    attempts.run_began()


def number(w, attempt):
    """Which attempt at a scheduler's job this is; 0 where none sets a time limit.

    `tmap --job` stops before the limit, and the next attempt goes on (tmap.attempts).
    """
    return attempt if workflow.remote_exec else 0


def memory(name, model, w, attempt):
    """Megabytes for a job with this model: more only after it ran out of them."""
    log = getattr(rules, name).log[0].format(**w)
    return attempts.memory(paths.mem_mb(model), log, attempt)

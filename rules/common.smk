"""Names shared by all chapters: known cards and legal wildcards."""

import re
from pathlib import Path

from snakemake.exceptions import IncompleteCheckpointException
from tmap import attempts, embeddings, gradient_paths, indicators, parts, settings
from tmap.names import one_of
from tmap.provenance import fingerprint

METHODS = cards.names("methods")
LOOKS_AT_TARGET = [n for n in indicators.names() if indicators.get(n).per_model]
LOOKS_AT_JUDGE = [
    n for n in indicators.names() if indicators.get(n).looks_at == "judge"
]
LOOKS_AT_PROXY = [
    n for n in indicators.names() if indicators.get(n).looks_at == "proxy"
]


wildcard_constraints:
    dataset=one_of(cards.names("datasets")),
    model=one_of(cards.names("models")),
    proxy=one_of(cards.names("models")),
    method=one_of(METHODS),
    seed="[0-9]+",
    training_seed="[0-9]+",
    round="[0-9]+",
    part=parts.PATTERN,


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


# Rules that are another one on other files (`use rule ... as`).
DERIVED = {
    "measure_shard": ["measure_shard_per_model"],
    "score_indicator": ["score_indicator_per_model", "score_indicator_of_round"],
    "gradients": ["gradients_of_round"],
    "train_adapter": ["train_part", "train_adapter_of_round"],
    "evaluate_adapter": [
        "evaluate_part",
        "evaluate_shown",
        "evaluate_on_reward_questions",
    ],
}


def log_of(name, w):
    """Log of the job of this rule, or of one derived from it, with these wildcards."""
    for kind in (name, *DERIVED.get(name, [])):
        pattern = str(getattr(rules, kind).log[0])
        if set(re.findall(r"{(\w+)}", pattern)) == set(w.keys()):
            return pattern.format(**w)
    raise KeyError(f"no log of rule {name} has the wildcards {sorted(w.keys())}")


def memory(name, models, w, attempt):
    """Megabytes for a job with these models: more only after it ran out of them."""
    models = models if isinstance(models, list) else [models]
    needed = sum(paths.mem_mb(model) for model in models)
    return attempts.memory(needed, log_of(name, w), attempt)


def sentinel_runs(w):
    """As many as the search offers; until it has run, a dry run counts what the card says."""
    try:
        chosen = checkpoints.choose_sentinels.get(**w).output[0]
    except IncompleteCheckpointException:
        if not workflow.dryrun:
            raise
        chosen = ""
    return paths.sentinel_runs(**w, chosen=chosen)

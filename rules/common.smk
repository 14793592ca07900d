"""Names that all chapters share: known cards and valid wildcards."""

import re
from pathlib import Path

from snakemake.exceptions import IncompleteCheckpointException
from tmap.artifacts.names import one_of
from tmap.artifacts.provenance import fingerprint
from tmap.artifacts.rules import repeats
from tmap.jobs import attempts, fork_server

METHODS = cards.names("methods")


wildcard_constraints:
    dataset=one_of(cards.names("datasets")),
    model=one_of(cards.names("models")),
    proxy=one_of(cards.names("models")),
    method=one_of(METHODS),
    seed="[0-9]+",
    training_seed="[0-9]+",
    round="[0-9]+",
    part=dag.variants.PATTERN,


def computes(w):
    """The model card that an indicator's job computes with, or None."""
    return dag.indicators.model_of_indicator(w.dataset, w.get("model"), w.indicator)


# One environment for the whole workflow, with the versions of constraints.txt.
# `--sdm conda` builds it; without that option, the active one is used.
ENVIRONMENT = f"../envs/{SETTINGS.environment}.yaml"


if workflow.remote_exec:
    attempts.job_began()
else:
    attempts.run_began()
    if workflow.local_exec and not workflow.dryrun:
        fork_server.offer()


def number(w, attempt):
    """The number of this attempt at a scheduler's job; 0 without a scheduler.

    `tmap --job` stops before the time limit, and the next attempt continues
    (tmap.jobs.attempts).
    """
    return attempt if workflow.remote_exec else 0


def log_of(name, w):
    """Log of the job of this rule, or of one derived from it, with these wildcards."""
    for kind in repeats(name):
        pattern = str(getattr(rules, kind).log[0])
        if set(re.findall(r"{(\w+)}", pattern)) == set(w.keys()):
            return pattern.format(**w)
    raise KeyError(f"no log of rule {name} has the wildcards {sorted(w.keys())}")


def memory(name, models, w, attempt):
    """Megabytes for a job with these models; more only after it ran out of memory."""
    models = models if isinstance(models, list) else [models]
    needed = sum(dag.machines.mem_mb(model) for model in models)
    return attempts.memory(needed, log_of(name, w), attempt)


def sentinel_runs(w):
    """Runs of the search's sentinels; before the search, a dry run uses the card's n."""
    try:
        chosen = checkpoints.choose_sentinels.get(**w).output[0]
    except IncompleteCheckpointException:
        if not workflow.dryrun:
            raise
        chosen = ""
    return dag.certificate.sentinel_runs(**w, chosen=chosen)


def look_of(w, waits=True):
    """The last look that was needed; in a dry run, the first that was not taken.

    A finished metrics.json does not wait for its looks: Snakemake does not compare what
    waits for a checkpoint with its earlier params and inputs, so that looks that were asked
    for later would never be taken.
    """

    def taken(look):
        try:
            return checkpoints.take_look.get(**w, look=look).output[0]
        except IncompleteCheckpointException:
            if waits and not workflow.dryrun:
                raise

    return dag.comparison.look_reached(SETTINGS, taken)


def is_unfinished(w):
    """Whether metrics.json is still to be made."""
    return not Path(f"results/{w.dataset}/{w.model}/metrics.json").exists()


def seeds_of(w, waits=True):
    """Runs of each method at that look."""
    return dag.comparison.seeds(SETTINGS, look_of(w, waits))


def looks_of(w):
    """What was decided at the looks so far; nothing is decided at the last one."""
    look = look_of(w, is_unfinished(w))
    return dag.comparison.look_files(w.dataset, w.model, SETTINGS, look)

"""Every rule of the workflow: its chapter, what it repeats, where it runs, what it costs.

This is the only list of rules. `tmap plan` counts work by it, model cards may set minutes
for the rules that have some here, `tmap --help` groups commands by chapter, the Slurm
profile places the rules that run on a GPU, and `docs/reference/rules.md` is generated from
it. A test compares it with `rules/*.smk` and names what is missing
(`docs/how-to/rule.md`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Where a job runs: where Snakemake was started, or on a node without or with a GPU.
Place = Literal["here", "cpu", "gpu"]
#: The kind of work that `tmap.operations.planning.costs` counts for a job.
Work = Literal[
    "none",
    "distilling",
    "generating",
    "scoring",
    "embedding",
    "warming",
    "gradients",
    "searching",
    "training",
    "evaluating",
]


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes
    ----------
    name : as in `rules/`; also its command's name, unless it repeats another rule
    chapter : `rules/CHAPTER.smk`
    place : where its jobs run
    work : what `tmap plan` counts; "none" if files only move, or if the rule that gathers
        the shares of several jobs counts for all of them
    minutes : requested from a scheduler unless `resources: runtime:` of the model card
        sets them; None if it requests another rule's minutes, or none
    base : the rule that it repeats on other files (`use rule BASE as NAME`)
    """

    name: str
    chapter: str
    place: Place = "here"
    work: Work = "none"
    minutes: int | None = None
    base: str = ""


#: Chapters in the order of the data; the last three reuse rules of the others.
CHAPTERS = {
    "data": "Bring in pool, questions, history and models",
    "indicators": "Score every candidate, one table per indicator",
    "gradients": "Measure a proxy's gradients",
    "tiny": "Choose a tiny question set that represents all questions",
    "search": "Search indicator weights",
    "groups": "Search them by asking groups of rows",
    "selection": "Take the best-scoring samples",
    "training": "Fine-tune an adapter",
    "evaluation": "Answer the test questions",
    "comparison": "Compare all methods",
    "experiments": "Build the tables of several tasks and models",
    "rounds": "Generate, select and train in rounds",
    "variants": "Subsets of other sizes, and sentinels",
    "certificate": "Check the proxy, and what each indicator adds",
}

_ALL = (
    Rule("fetch_questions", "data"),
    Rule("fetch_pool", "data"),
    Rule("fetch_undistilled_pool", "data", base="fetch_pool"),
    Rule("distil_pool", "data", "gpu", "distilling"),
    Rule("label_pool", "data"),
    Rule("fetch_responses", "data"),
    Rule("fetch_model", "data"),
    Rule("embed_pool", "indicators", "gpu", "embedding", 120),
    Rule("measure_shard", "indicators", "gpu"),
    Rule("measure_shard_per_model", "indicators", "gpu", base="measure_shard"),
    Rule("score_indicator", "indicators", "cpu", "scoring", 240),
    Rule(
        "score_indicator_by_judge",
        "indicators",
        "gpu",
        "scoring",
        None,
        "score_indicator",
    ),
    Rule(
        "score_indicator_by_proxy",
        "indicators",
        "gpu",
        "scoring",
        None,
        "score_indicator",
    ),
    Rule(
        "score_indicator_per_model",
        "indicators",
        "gpu",
        "scoring",
        None,
        "score_indicator",
    ),
    Rule("fetch_targets", "gradients"),
    Rule("warm_up_proxy", "gradients", "gpu", "warming", 240),
    Rule("measure_gradients", "gradients", "gpu"),
    Rule("gradients", "gradients", "gpu", "gradients", 480),
    Rule("fit_irt", "tiny"),
    Rule("embed_questions", "tiny", "gpu", "embedding", None, "embed_pool"),
    Rule("choose_tiny", "tiny"),
    Rule("choose_tiny_of_size", "tiny", base="choose_tiny"),
    Rule("search_weights", "search", "gpu", "searching", 720),
    Rule("search_consensus", "search", "gpu", "searching"),
    Rule("compare_probes", "groups", "gpu", "searching"),
    Rule("search_groups", "groups", "gpu", "searching"),
    Rule("select_subset", "selection"),
    Rule("export_subset", "selection"),
    Rule("train_adapter", "training", "gpu", "training", 480),
    Rule("evaluate_adapter", "evaluation", "gpu", "evaluating", 120),
    Rule("take_look", "comparison"),
    Rule("collect_metrics", "comparison"),
    Rule("write_page", "comparison"),
    Rule("make_table", "experiments"),
    Rule("generate_candidates", "rounds", "gpu", "generating", 240),
    Rule("gradients_of_round", "rounds", "gpu", "gradients", None, "gradients"),
    Rule(
        "score_indicator_of_round", "rounds", "cpu", "scoring", None, "score_indicator"
    ),
    Rule("select_round", "rounds"),
    Rule("select_last_round", "rounds", base="select_round"),
    Rule("train_adapter_of_round", "rounds", "gpu", "training", None, "train_adapter"),
    Rule("select_part", "variants", base="select_subset"),
    Rule("train_part", "variants", "gpu", "training", None, "train_adapter"),
    Rule("evaluate_part", "variants", "gpu", "evaluating", None, "evaluate_adapter"),
    Rule("evaluate_shown", "variants", "gpu", "evaluating", None, "evaluate_adapter"),
    Rule(
        "evaluate_on_reward_questions",
        "variants",
        "gpu",
        "evaluating",
        None,
        "evaluate_adapter",
    ),
    Rule("choose_sentinels", "certificate"),
    Rule("certify_proxy", "certificate"),
    Rule("explain_weights", "certificate", "gpu", "searching"),
)
RULES = {rule.name: rule for rule in _ALL}
#: Rules whose minutes a model card may set.
TIMED = tuple(rule.name for rule in _ALL if rule.minutes is not None)


def base(name: str) -> str:
    """The rule that `name` repeats on other files; itself if it repeats none."""
    return RULES[name].base or name


def repeats(name: str) -> list[str]:
    """`name` and the rules that repeat it; their logs and benchmarks share a folder."""
    return [rule.name for rule in _ALL if name in (rule.name, rule.base)]

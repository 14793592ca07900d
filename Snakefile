"""tmap: choose the instruction data that teaches your model your task.

    snakemake --profile profiles/local results/gsm8k/llama3/report.html

rules/ defines which file is computed from which, one file per stage; workflow/tmap/ is the
code.
"""

import sys

from snakemake.utils import min_version

from tmap import cards, dag
from tmap.jobs import failures

min_version("9.27")


configfile: workflow.source_path("config/config.yaml")


for path in workflow.configfiles:  # Snakemake keeps the last of two equal keys
    cards.check_config_file(path)
SETTINGS = cards.workflow_config(config)
cards.use_folders(SETTINGS.cards)


for name in [*SETTINGS.methods, *SETTINGS.certify]:
    cards.load("methods", name)
dag.certificate.certified(SETTINGS.methods, SETTINGS.certify)
for target in [*SETTINGS.targets, *sys.argv[1:]]:  # known before the DAG is built
    dag.targets.check(target)


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/indicators.smk"
include: "rules/gradients.smk"
include: "rules/tiny.smk"
include: "rules/search.smk"
include: "rules/groups.smk"
include: "rules/selection.smk"
include: "rules/training.smk"
include: "rules/evaluation.smk"
include: "rules/comparison.smk"
include: "rules/experiments.smk"
include: "rules/rounds.smk"
include: "rules/variants.smk"
include: "rules/certificate.smk"


rule all:
    default_target: True
    input:
        dag.comparison.with_pages(SETTINGS.targets),


onerror:
    print(failures.summary(log, ["snakemake", *sys.argv[1:]]), file=sys.stderr)

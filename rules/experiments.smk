"""
Build the table of an experiment: the paper's tables, and others.

READS   the finished results that config/experiments/{experiment}.yaml names
WRITES  results/tables/{experiment}.parquet, .md, .csv, .tex, .png
PAPER   Tables 1 to 9, Figure 2
"""


rule make_table:
    input:
        lambda w: dag.experiments.of(w.experiment),
    output:
        table="results/tables/{experiment}.parquet",
        markdown="results/tables/{experiment}.md",
        csv="results/tables/{experiment}.csv",
        latex="results/tables/{experiment}.tex",
        picture=report(
            "results/tables/{experiment}.png",
            category="tables",
            labels={"table": "{experiment}"},
        ),
    log:
        "results/logs/make_table/{experiment}.log",
    wildcard_constraints:
        experiment=one_of(cards.names("experiments")),
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        card=lambda w: dag.params.of("make_table", experiment=w.experiment),
        code=lambda w: fingerprint(
            "make_table",
            f"tmap.experiments.{cards.load('experiments', w.experiment).kind}",
        ),
    shell:
        "tmap make-table {wildcards.experiment} --output {output.table}"
        " --markdown {output.markdown} --csv {output.csv} --latex {output.latex}"
        " --picture {output.picture} 2>&1 | tee {log}"

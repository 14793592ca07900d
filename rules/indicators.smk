"""
Score every candidate, one table per indicator, in its own unit.

READS   results/{dataset}/pool.parquet
        results/models/{model}.json                            if a model computes it
        .../indicators/{indicator}.parquet                     if made from other columns
        what a judge card records                              if its replies are recorded
WRITES  results/{dataset}/indicators/{indicator}.parquet
        results/{dataset}/{model}/indicators/{indicator}.parquet    if it looks at the target
        results/store/                                         what judges said; no output
PAPER   section 3.3
"""


rule score_indicator:
    input:
        models=lambda w: paths.models_of_indicator(w.dataset, None, w.indicator),
        columns=lambda w: paths.columns_of_indicator(w.dataset, None, w.indicator),
        recorded=lambda w: paths.recordings(w.dataset, w.indicator),
        pool="results/{dataset}/pool.parquet",
    output:
        "results/{dataset}/indicators/{indicator}.parquet",
    log:
        "results/logs/score_indicator/{dataset}/{indicator}.log",
    benchmark:
        "results/benchmarks/score_indicator/{dataset}/{indicator}.tsv"
    wildcard_constraints:
        indicator=one_of(set(indicators.names()) - {*LOOKS_AT_TARGET, *LOOKS_AT_JUDGE}),
    conda:
        ENVIRONMENT
    threads: lambda w: paths.threads(computes(w))
    resources:
        gpu=lambda w: paths.gpu(computes(w)),
        mem_mb=lambda w: paths.mem_mb(computes(w)),
        runtime=lambda w: paths.minutes(w.dataset, w.get("model"), w.indicator),
    params:
        card=lambda w: settings.params(
            "score_indicator", dataset=w.dataset, indicator=w.indicator
        ),
        code=lambda w: fingerprint("score_indicator", f"tmap.indicators.{w.indicator}"),
    shell:
        "tmap score-indicator {wildcards.dataset} {wildcards.indicator}"
        " --pool {input.pool} --model-file '{input.models}' --columns '{input.columns}'"
        " --output {output} 2>&1 | tee {log}"


# The same with a name of its own: a profile may send judges to other machines.
use rule score_indicator as score_indicator_by_judge with:
    wildcard_constraints:
        indicator=one_of(LOOKS_AT_JUDGE),


use rule score_indicator as score_indicator_per_model with:
    input:
        models=lambda w: paths.models_of_indicator(w.dataset, w.model, w.indicator),
        columns=lambda w: paths.columns_of_indicator(w.dataset, w.model, w.indicator),
        pool="results/{dataset}/pool.parquet",
    output:
        "results/{dataset}/{model}/indicators/{indicator}.parquet",
    log:
        "results/logs/score_indicator/{dataset}/{model}/{indicator}.log",
    benchmark:
        "results/benchmarks/score_indicator/{dataset}/{model}/{indicator}.tsv"
    wildcard_constraints:
        indicator=one_of(LOOKS_AT_TARGET),
    params:
        card=lambda w: settings.params(
            "score_indicator", dataset=w.dataset, indicator=w.indicator, model=w.model
        ),
        code=lambda w: fingerprint("score_indicator", f"tmap.indicators.{w.indicator}"),

"""
Score every candidate, one table per indicator, in its own unit.

READS   results/{dataset}/pool.parquet
        results/models/{model}.json                            if a model computes it
WRITES  results/{dataset}/indicators/{indicator}.parquet
        results/{dataset}/{model}/indicators/{indicator}.parquet    if it looks at the target
PAPER   section 3.3
"""


rule score_indicator:
    input:
        models=lambda w: paths.models_of_indicator(w.dataset, None, w.indicator),
        pool="results/{dataset}/pool.parquet",
    output:
        "results/{dataset}/indicators/{indicator}.parquet",
    log:
        "results/logs/score_indicator/{dataset}/{indicator}.log",
    benchmark:
        "results/benchmarks/score_indicator/{dataset}/{indicator}.tsv"
    wildcard_constraints:
        indicator=one_of(n for n in indicators.names() if n not in LOOKS_AT_TARGET),
    conda:
        ENVIRONMENT
    threads: lambda w: paths.threads(paths.proxy(w.dataset, w.indicator))
    resources:
        gpu=lambda w: paths.gpu(paths.proxy(w.dataset, w.indicator)),
        mem_mb=lambda w: paths.mem_mb(paths.proxy(w.dataset, w.indicator)),
        runtime=lambda w: paths.runtime(
            paths.proxy(w.dataset, w.indicator), "score_indicator"
        ),
    params:
        card=lambda w: settings.params(
            "score_indicator", dataset=w.dataset, indicator=w.indicator
        ),
        code=lambda w: fingerprint("score_indicator", f"tmap.indicators.{w.indicator}"),
    shell:
        "tmap score-indicator {wildcards.dataset} {wildcards.indicator}"
        " --pool {input.pool} --model-file '{input.models}' --output {output}"
        " 2>&1 | tee {log}"


use rule score_indicator as score_indicator_per_model with:
    input:
        models=lambda w: paths.models_of_indicator(w.dataset, w.model, w.indicator),
        pool="results/{dataset}/pool.parquet",
    output:
        "results/{dataset}/{model}/indicators/{indicator}.parquet",
    log:
        "results/logs/score_indicator/{dataset}/{model}/{indicator}.log",
    benchmark:
        "results/benchmarks/score_indicator/{dataset}/{model}/{indicator}.tsv"
    wildcard_constraints:
        indicator=one_of(LOOKS_AT_TARGET),
    threads: lambda w: paths.threads(w.model)
    resources:
        gpu=lambda w: paths.gpu(w.model),
        mem_mb=lambda w: paths.mem_mb(w.model),
        runtime=lambda w: paths.runtime(w.model, "score_indicator"),
    params:
        card=lambda w: settings.params(
            "score_indicator", dataset=w.dataset, indicator=w.indicator, model=w.model
        ),
        code=lambda w: fingerprint("score_indicator", f"tmap.indicators.{w.indicator}"),

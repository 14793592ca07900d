"""
Score every candidate, one table per indicator, in its own unit.

READS   results/{dataset}/pool.parquet
        results/models/{model}.json                            if a model computes it
        results/{dataset}/embeddings/{encoder}/{text}_{pooling}.parquet    if it compares
        .../indicators/{indicator}.parquet                     if made from other columns
        results/{dataset}/gradients/{proxy}/, targets.parquet  if it compares gradients
        recorded replies named by a judge card                 if its replies are recorded
        .../indicators/{indicator}/shard-{shard}-of-{shards}.json    if several jobs measure
WRITES  results/{dataset}/embeddings/{encoder}/{text}_{pooling}.parquet
        results/{dataset}/indicators/{indicator}.parquet
        results/{dataset}/{model}/indicators/{indicator}.parquet    if it looks at the target
        results/store/                             measurements and replies; not an output
PAPER   section 3.3
"""


rule embed_pool:
    input:
        pool="results/{dataset}/pool.parquet",
        model="results/models/{encoder}.json",
    output:
        "results/{dataset}/embeddings/{encoder}/{text}_{pooling}.parquet",
    log:
        "results/logs/embed_pool/{dataset}/{encoder}/{text}_{pooling}.log",
    benchmark:
        "results/benchmarks/embed_pool/{dataset}/{encoder}/{text}_{pooling}.tsv"
    wildcard_constraints:
        encoder=one_of(cards.names("models")),
        text=one_of(dag.indicators.TEXTS_OF_ROWS),
        pooling=one_of(dag.indicators.POOLINGS),
    conda:
        ENVIRONMENT
    threads: lambda w: dag.machines.threads(w.encoder)
    resources:
        gpu=lambda w: dag.machines.gpu(w.encoder),
        mem_mb=lambda w, attempt: memory("embed_pool", w.encoder, w, attempt),
        runtime=lambda w: dag.machines.runtime(w.encoder, "embed_pool"),
        attempt=number,
    params:
        card=lambda w: dag.params.of(
            "embed_pool", encoder=w.encoder, text=w.text, pooling=w.pooling
        ),
        code=fingerprint("embed_pool"),
    shell:
        "tmap --job {log} {resources.attempt} {resources.runtime}"
        " embed-pool {wildcards.dataset} {wildcards.encoder} {wildcards.text}"
        " {wildcards.pooling} --pool {input.pool} --model-file {input.model}"
        " --output {output} 2>&1 | tee {log}"


# Jobs for `shards:` in a dataset card: each stores its share.
rule measure_shard:
    input:
        models=lambda w: dag.indicators.models_of_indicator(
            w.dataset, None, w.indicator
        ),
        embeddings=lambda w: dag.indicators.embeddings_of_indicator(
            w.dataset, None, w.indicator
        ),
        pool="results/{dataset}/pool.parquet",
    output:
        temp("results/{dataset}/indicators/{indicator}/shard-{shard}-of-{shards}.json"),
    log:
        "results/logs/measure_shard/{dataset}/{indicator}/{shard}-of-{shards}.log",
    benchmark:
        "results/benchmarks/measure_shard/{dataset}/{indicator}/{shard}-of-{shards}.tsv"
    wildcard_constraints:
        indicator=one_of(dag.indicators.of_pool()),
        shard="[0-9]+",
        shards="[0-9]+",
    priority: 1
    conda:
        ENVIRONMENT
    threads: lambda w: dag.machines.threads(computes(w))
    resources:
        gpu=lambda w: dag.machines.gpu(computes(w)),
        mem_mb=lambda w, attempt: memory("measure_shard", computes(w), w, attempt),
        runtime=lambda w: dag.machines.minutes(w.dataset, w.get("model"), w.indicator),
        attempt=number,
    params:
        card=lambda w: dag.params.of(
            "measure_shard", dataset=w.dataset, indicator=w.indicator
        ),
        code=lambda w: fingerprint("measure_shard", f"tmap.indicators.{w.indicator}"),
    shell:
        "tmap --job {log} {resources.attempt} {resources.runtime}"
        " measure-shard {wildcards.dataset} {wildcards.indicator}"
        " {wildcards.shard}/{wildcards.shards} --pool {input.pool}"
        " --model-file {input.models} --embeddings '{input.embeddings}'"
        " --output {output} 2>&1 | tee {log}"


use rule measure_shard as measure_shard_per_model with:
    input:
        models=lambda w: dag.indicators.models_of_indicator(
            w.dataset, w.model, w.indicator
        ),
        embeddings=lambda w: dag.indicators.embeddings_of_indicator(
            w.dataset, w.model, w.indicator
        ),
        pool="results/{dataset}/pool.parquet",
    output:
        temp(
            "results/{dataset}/{model}/indicators/{indicator}/shard-{shard}-of-{shards}.json"
        ),
    log:
        "results/logs/measure_shard/{dataset}/{model}/{indicator}/{shard}-of-{shards}.log",
    benchmark:
        "results/benchmarks/measure_shard/{dataset}/{model}/{indicator}/{shard}-of-{shards}.tsv"
    wildcard_constraints:
        indicator=one_of(dag.indicators.per_model()),
        shard="[0-9]+",
        shards="[0-9]+",
    params:
        card=lambda w: dag.params.of(
            "measure_shard", dataset=w.dataset, indicator=w.indicator, model=w.model
        ),
        code=lambda w: fingerprint("measure_shard", f"tmap.indicators.{w.indicator}"),


rule score_indicator:
    input:
        models=lambda w: dag.indicators.models_of_indicator(
            w.dataset, None, w.indicator
        ),
        columns=lambda w: dag.indicators.columns_of_indicator(
            w.dataset, None, w.indicator
        ),
        embeddings=lambda w: dag.indicators.embeddings_of_indicator(
            w.dataset, None, w.indicator
        ),
        recorded=lambda w: dag.indicators.recordings(w.dataset, w.indicator),
        shards=lambda w: dag.indicators.shards(w.dataset, None, w.indicator),
        gradients=[],
        pool="results/{dataset}/pool.parquet",
    output:
        "results/{dataset}/indicators/{indicator}.parquet",
    log:
        "results/logs/score_indicator/{dataset}/{indicator}.log",
    benchmark:
        "results/benchmarks/score_indicator/{dataset}/{indicator}.tsv"
    wildcard_constraints:
        indicator=one_of(dag.indicators.of_pool("text", "columns")),
    # On the longest path through the graph: starts before trainings that can wait.
    priority: 1
    conda:
        ENVIRONMENT
    threads: lambda w: dag.machines.threads(computes(w))
    resources:
        gpu=lambda w: dag.machines.gpu(computes(w)),
        mem_mb=lambda w, attempt: memory("score_indicator", computes(w), w, attempt),
        runtime=lambda w: dag.machines.minutes(w.dataset, w.get("model"), w.indicator),
        attempt=number,
    params:
        card=lambda w: dag.params.of(
            "score_indicator", dataset=w.dataset, indicator=w.indicator
        ),
        code=lambda w: fingerprint("score_indicator", f"tmap.indicators.{w.indicator}"),
    shell:
        "tmap --job {log} {resources.attempt} {resources.runtime}"
        " score-indicator {wildcards.dataset} {wildcards.indicator}"
        " --pool {input.pool} --model-file '{input.models}' --columns '{input.columns}'"
        " --embeddings '{input.embeddings}' --gradients '{input.gradients}'"
        " --output {output} 2>&1 | tee {log}"


# The same rule under several names, so that a profile can send each kind to its machines.
use rule score_indicator as score_indicator_by_judge with:
    wildcard_constraints:
        indicator=one_of(dag.indicators.looking_at("judge")),


use rule score_indicator as score_indicator_by_proxy with:
    wildcard_constraints:
        indicator=one_of(dag.indicators.looking_at("proxy")),


use rule score_indicator as score_indicator_per_model with:
    input:
        models=lambda w: dag.indicators.models_of_indicator(
            w.dataset, w.model, w.indicator
        ),
        columns=lambda w: dag.indicators.columns_of_indicator(
            w.dataset, w.model, w.indicator
        ),
        embeddings=lambda w: dag.indicators.embeddings_of_indicator(
            w.dataset, w.model, w.indicator
        ),
        shards=lambda w: dag.indicators.shards(w.dataset, w.model, w.indicator),
        gradients=lambda w: dag.gradients.gradients_of_indicator(
            w.dataset, w.model, w.indicator
        ),
        pool="results/{dataset}/pool.parquet",
    output:
        "results/{dataset}/{model}/indicators/{indicator}.parquet",
    log:
        "results/logs/score_indicator/{dataset}/{model}/{indicator}.log",
    benchmark:
        "results/benchmarks/score_indicator/{dataset}/{model}/{indicator}.tsv"
    wildcard_constraints:
        indicator=one_of(dag.indicators.per_model()),
    params:
        card=lambda w: dag.params.of(
            "score_indicator", dataset=w.dataset, indicator=w.indicator, model=w.model
        ),
        code=lambda w: fingerprint("score_indicator", f"tmap.indicators.{w.indicator}"),

"""
Analyse a search: the quality of its proxy, and the contribution of each indicator.

READS   results/{dataset}/{model}/{method}/s{seed}/trace.parquet, weights.json
        (of a consensus: results/{dataset}/consensus-{method}/s{seed}/...)
        .../groups.parquet                              of a search that asks groups
        .../k{i}/t{training_seed}/predictions.parquet   reward questions, no test questions
WRITES  .../sentinels.json                              the selections that are trained on
        .../certificate.json                            trust, weak or abstain
        .../explain.json                                contribution of each indicator
PAPER   3.4 claims that the proxy preserves ranks; Table 8 is its evidence
"""


# A checkpoint, because a search may offer no sentinels; nothing is trained then.
checkpoint choose_sentinels:
    input:
        indicators=lambda w: dag.indicators.indicator_files(
            w.dataset, w.model, w.method
        ),
        trace=lambda w: f"{dag.search.search_room(w.dataset, w.model, w.method)}/s{w.seed}/trace.parquet",
        weights=lambda w: dag.search.weights_file(**w),
        pool="results/{dataset}/pool.parquet",
    output:
        "results/{dataset}/{model}/{method}/s{seed}/sentinels.json",
    log:
        "results/logs/choose_sentinels/{dataset}/{model}/{method}/s{seed}.log",
    wildcard_constraints:
        method=one_of(dag.certificate.certifiable(METHODS)),
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        card=lambda w: dag.params.of(
            "choose_sentinels", dataset=w.dataset, method=w.method
        ),
        code=fingerprint("choose_sentinels"),
    shell:
        "tmap choose-sentinels {wildcards.dataset} {wildcards.model}"
        " {wildcards.method} --pool {input.pool} --trace {input.trace}"
        " --weights {input.weights} --output {output}"
        " -- {input.indicators} 2>&1 | tee {log}"


rule certify_proxy:
    input:
        measured=sentinel_runs,
        sentinels="results/{dataset}/{model}/{method}/s{seed}/sentinels.json",
        asked=lambda w: dag.certificate.asked_file(**w),
    output:
        "results/{dataset}/{model}/{method}/s{seed}/certificate.json",
    log:
        "results/logs/certify_proxy/{dataset}/{model}/{method}/s{seed}.log",
    wildcard_constraints:
        method=one_of(dag.certificate.certifiable(METHODS)),
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        card=lambda w: dag.params.of("certify_proxy", method=w.method),
        code=fingerprint("certify_proxy"),
    shell:
        "tmap certify-proxy {wildcards.dataset} {wildcards.method}"
        " --sentinels {input.sentinels} --asked {input.asked} --output {output}"
        " -- {input.measured} 2>&1 | tee {log}"


rule explain_weights:
    input:
        indicators=lambda w: dag.indicators.indicator_files(
            w.dataset, w.model, w.method
        ),
        history=lambda w: dag.tiny.history_files(w.dataset),
        pool="results/{dataset}/pool.parquet",
        questions="results/{dataset}/questions_reward.parquet",
        tiny=lambda w: dag.tiny.tiny_file(w.dataset, w.method, "tiny"),
        confirm=lambda w: dag.tiny.tiny_file(w.dataset, w.method, "confirm"),
        model="results/models/{model}.json",
        weights="results/{dataset}/{model}/{method}/s{seed}/weights.json",
    output:
        "results/{dataset}/{model}/{method}/s{seed}/explain.json",
    log:
        "results/logs/explain_weights/{dataset}/{model}/{method}/s{seed}.log",
    benchmark:
        "results/benchmarks/explain_weights/{dataset}/{model}/{method}/s{seed}.tsv"
    wildcard_constraints:
        method=one_of(dag.methods.searched(METHODS)),
    conda:
        ENVIRONMENT
    threads: lambda w: dag.machines.threads(w.model)
    resources:
        gpu=lambda w: dag.machines.gpus_to_answer(w.model),
        mem_mb=lambda w, attempt: memory("explain_weights", w.model, w, attempt),
        runtime=lambda w: dag.machines.runtime(w.model, "search_weights"),
        attempt=number,
    params:
        ledger="results/{dataset}/{model}/{method}/s{seed}/ledger.jsonl",
        card=lambda w: dag.params.of(
            "explain_weights", dataset=w.dataset, model=w.model, method=w.method
        ),
        code=fingerprint("explain_weights"),
    shell:
        "tmap --job {log} {resources.attempt} {resources.runtime}"
        " explain-weights {wildcards.dataset} {wildcards.model} {wildcards.method}"
        " --pool {input.pool} --questions {input.questions} --tiny {input.tiny}"
        " --confirm {input.confirm} --history '{input.history}'"
        " --model-file {input.model} --weights {input.weights}"
        " --ledger {params.ledger} --output {output}"
        " -- {input.indicators} 2>&1 | tee {log}"

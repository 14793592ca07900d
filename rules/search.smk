"""
Search indicator weights.

READS   results/{dataset}/pool.parquet, tiny.parquet, confirm.parquet, irt.parquet
        .../indicators/{indicator}.parquet       the columns of the method's card
        results/{dataset}/anchors/{n}/*.parquet  methods with a tiny set of their own
WRITES  results/{dataset}/{model}/{method}/s{seed}/trace.parquet, timings.parquet
        .../weights.json                         learned methods only
        .../ledger.jsonl                         survives kills; not an output
        results/{dataset}/consensus-{method}/s{seed}/    the same for several models
PAPER   sections 3.1, 3.2 and 3.5, algorithm 1
"""


rule search_weights:
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
        earlier=lambda w: dag.search.warm_start(w.method),
    output:
        trace="results/{dataset}/{model}/{method}/s{seed}/trace.parquet",
        timings="results/{dataset}/{model}/{method}/s{seed}/timings.parquet",
        weights="results/{dataset}/{model}/{method}/s{seed}/weights.json",
    log:
        "results/logs/search_weights/{dataset}/{model}/{method}/s{seed}.log",
    benchmark:
        "results/benchmarks/search_weights/{dataset}/{model}/{method}/s{seed}.tsv"
    wildcard_constraints:
        method=one_of(dag.methods.asking_weights(METHODS)),
    # On the longest path through the graph: starts before trainings that can wait.
    priority: 1
    conda:
        ENVIRONMENT
    threads: lambda w: dag.machines.threads(w.model)
    resources:
        gpu=lambda w: dag.machines.gpus_to_answer(w.model),
        mem_mb=lambda w, attempt: memory("search_weights", w.model, w, attempt),
        runtime=lambda w: dag.machines.runtime(w.model, "search_weights"),
        attempt=number,
    params:
        ledger="results/{dataset}/{model}/{method}/s{seed}/ledger.jsonl",
        card=lambda w: dag.params.of(
            "search_weights", dataset=w.dataset, model=w.model, method=w.method
        ),
        code=fingerprint("search_weights"),
    shell:
        "tmap --job {log} {resources.attempt} {resources.runtime}"
        " search-weights {wildcards.dataset} {wildcards.model} {wildcards.method}"
        " --seed {wildcards.seed} --pool {input.pool} --questions {input.questions}"
        " --tiny {input.tiny} --confirm {input.confirm} --history '{input.history}'"
        " --model-file {input.model} --ledger {params.ledger}"
        " --trace {output.trace} --timings {output.timings} --weights {output.weights}"
        " -- {input.indicators} 2>&1 | tee {log}"


rule search_consensus:
    input:
        indicators=lambda w: dag.search.consensus(w.dataset, w.method)["indicators"],
        models=lambda w: dag.search.consensus(w.dataset, w.method)["models"],
        history=lambda w: dag.tiny.history_files(w.dataset),
        pool="results/{dataset}/pool.parquet",
        questions="results/{dataset}/questions_reward.parquet",
        tiny=lambda w: dag.tiny.tiny_file(w.dataset, w.method, "tiny"),
        confirm=lambda w: dag.tiny.tiny_file(w.dataset, w.method, "confirm"),
        earlier=lambda w: dag.search.warm_start(w.method),
    output:
        trace="results/{dataset}/consensus-{method}/s{seed}/trace.parquet",
        timings="results/{dataset}/consensus-{method}/s{seed}/timings.parquet",
        weights="results/{dataset}/consensus-{method}/s{seed}/weights.json",
    log:
        "results/logs/search_consensus/{dataset}/{method}/s{seed}.log",
    benchmark:
        "results/benchmarks/search_consensus/{dataset}/{method}/s{seed}.tsv"
    wildcard_constraints:
        method=one_of(dag.methods.agreed(METHODS)),
    priority: 1
    conda:
        ENVIRONMENT
    # All models are in memory together; a GPU job gets the GPU resources of the largest.
    threads: lambda w: max(dag.machines.threads(m) for m in dag.search.models_of(w.method))
    resources:
        gpu=lambda w: max(
            dag.machines.gpus_to_answer(m) for m in dag.search.models_of(w.method)
        ),
        mem_mb=lambda w, attempt: memory(
            "search_consensus", dag.search.models_of(w.method), w, attempt
        ),
        runtime=lambda w: sum(
            dag.machines.runtime(m, "search_weights")
            for m in dag.search.models_of(w.method)
        ),
        attempt=number,
    params:
        ledger="results/{dataset}/consensus-{method}/s{seed}/ledger.jsonl",
        card=lambda w: dag.params.of(
            "search_consensus", dataset=w.dataset, method=w.method
        ),
        code=fingerprint("search_consensus"),
    shell:
        "tmap --job {log} {resources.attempt} {resources.runtime}"
        " search-consensus {wildcards.dataset} {wildcards.method}"
        " --seed {wildcards.seed} --pool {input.pool} --questions {input.questions}"
        " --tiny {input.tiny} --confirm {input.confirm} --history '{input.history}'"
        " --models '{input.models}' --ledger {params.ledger}"
        " --trace {output.trace} --timings {output.timings} --weights {output.weights}"
        " -- {input.indicators} 2>&1 | tee {log}"

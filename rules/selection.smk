"""
Select the best-scoring samples, and export them for other trainers and for people.

READS   results/{dataset}/pool.parquet
        .../indicators/{indicator}.parquet, weights.json    the columns and their weights
        results/{dataset}/pool_labels.parquet    method oracle only
        results/{dataset}/embeddings/{encoder}/conversation_{pooling}.parquet
                                                 methods with a diversity filter
WRITES  results/{dataset}/{model}/{method}/s{seed}/subset.parquet
        .../subset.jsonl, subset.messages.jsonl   Alpaca and messages form
        .../dataset_info.json                     LLaMA-Factory's index of both
        .../README.md                             data card: source, licence, weights
PAPER   section 3.1
"""


rule select_subset:
    input:
        indicators=lambda w: dag.indicators.indicator_files(
            w.dataset, w.model, w.method
        ),
        weights=lambda w: dag.search.weights_file(w.dataset, w.model, w.method, w.seed),
        labels=lambda w: dag.selection.labels_file(w.dataset, w.method),
        values=lambda w: dag.search.values_file(w.dataset, w.model, w.method, w.seed),
        embeddings=lambda w: dag.indicators.embeddings_of_method(
            w.dataset, w.model, w.method
        ),
        pool="results/{dataset}/pool.parquet",
    output:
        "results/{dataset}/{model}/{method}/s{seed}/subset.parquet",
    log:
        "results/logs/select_subset/{dataset}/{model}/{method}/s{seed}.log",
    wildcard_constraints:
        method=one_of(
            [
                n
                for n in METHODS
                if dag.training.trains(n) and not dag.methods.rounds_of(n)
            ]
        ),
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        part="",
        card=lambda w: dag.params.of(
            "select_subset", dataset=w.dataset, method=w.method
        ),
        code=fingerprint("select_subset"),
    shell:
        "tmap select-subset {wildcards.dataset} {wildcards.method} {params.part}"
        " --seed {wildcards.seed} --pool {input.pool} --weights '{input.weights}'"
        " --labels '{input.labels}' --embeddings '{input.embeddings}'"
        " --values '{input.values}'"
        " --output {output}"
        " -- {input.indicators} 2>&1 | tee {log}"


rule export_subset:
    input:
        weights=lambda w: dag.search.weights_file(w.dataset, w.model, w.method, w.seed),
        subset="results/{dataset}/{model}/{method}/s{seed}/subset.parquet",
        pool=dag.selection.pool_of_method,
    output:
        alpaca="results/{dataset}/{model}/{method}/s{seed}/subset.jsonl",
        messages="results/{dataset}/{model}/{method}/s{seed}/subset.messages.jsonl",
        info="results/{dataset}/{model}/{method}/s{seed}/dataset_info.json",
        card="results/{dataset}/{model}/{method}/s{seed}/README.md",
    log:
        "results/logs/export_subset/{dataset}/{model}/{method}/s{seed}.log",
    wildcard_constraints:
        method=one_of([name for name in METHODS if dag.training.trains(name)]),
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        card=lambda w: dag.params.of(
            "export_subset", dataset=w.dataset, method=w.method
        ),
        code=fingerprint("export_subset"),
    shell:
        "tmap export-subset {wildcards.dataset} {wildcards.model} {wildcards.method}"
        " --subset {input.subset} --pool {input.pool} --weights '{input.weights}'"
        " --alpaca {output.alpaca} --messages {output.messages} --info {output.info}"
        " --card {output.card} 2>&1 | tee {log}"

"""
Write each subset for other trainers and for people; nothing here trains anew.

READS   results/{dataset}/{model}/{method}/s{seed}/subset.parquet, weights.json
        results/{dataset}/pool.parquet
WRITES  .../subset.jsonl, subset.messages.jsonl   Alpaca and messages form
        .../dataset_info.json                     LLaMA-Factory's index of both
        .../README.md                             data card: source, licence, weights
"""


rule export_subset:
    input:
        weights=lambda w: paths.weights_file(w.dataset, w.model, w.method, w.seed),
        subset="results/{dataset}/{model}/{method}/s{seed}/subset.parquet",
        pool=gradient_paths.pool_of_method,
    output:
        alpaca="results/{dataset}/{model}/{method}/s{seed}/subset.jsonl",
        messages="results/{dataset}/{model}/{method}/s{seed}/subset.messages.jsonl",
        info="results/{dataset}/{model}/{method}/s{seed}/dataset_info.json",
        card="results/{dataset}/{model}/{method}/s{seed}/README.md",
    log:
        "results/logs/export_subset/{dataset}/{model}/{method}/s{seed}.log",
    wildcard_constraints:
        method=one_of([name for name in METHODS if paths.trains(name)]),
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        card=lambda w: settings.params(
            "export_subset", dataset=w.dataset, method=w.method
        ),
        code=fingerprint("export_subset"),
    shell:
        "tmap export-subset {wildcards.dataset} {wildcards.model} {wildcards.method}"
        " --subset {input.subset} --pool {input.pool} --weights '{input.weights}'"
        " --alpaca {output.alpaca} --messages {output.messages} --info {output.info}"
        " --card {output.card} 2>&1 | tee {log}"

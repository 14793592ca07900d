"""
Fine-tune an adapter on the subset, measure it, and set it beside the others.

READS   results/{dataset}/{model}/{method}/s{seed}/subset.parquet
        results/{dataset}/questions_test.parquet       evaluate_adapter, collect_metrics only
WRITES  results/{dataset}/{model}/{method}/s{seed}/t{training_seed}/adapter/, train.json
        .../predictions.parquet
        results/{dataset}/{model}/metrics.json
PAPER   sections 4.1, 4.3
"""

# `keep:` in the config. Not in params: what is kept changes no number.
ADAPTER = str if SETTINGS.keep.adapters else temp
CHECKPOINTS = "--keep-checkpoints" if SETTINGS.keep.checkpoints else ""


rule train_adapter:
    input:
        subset="results/{dataset}/{model}/{method}/s{seed}/subset.parquet",
        pool=gradient_paths.pool_of_method,
        model="results/models/{model}.json",
    output:
        weights=ADAPTER(
            "results/{dataset}/{model}/{method}/s{seed}/t{training_seed}/adapter/adapter_model.safetensors"
        ),
        config=ADAPTER(
            "results/{dataset}/{model}/{method}/s{seed}/t{training_seed}/adapter/adapter_config.json"
        ),
        report="results/{dataset}/{model}/{method}/s{seed}/t{training_seed}/train.json",
    log:
        "results/logs/train_adapter/{dataset}/{model}/{method}/s{seed}/t{training_seed}.log",
    benchmark:
        "results/benchmarks/train_adapter/{dataset}/{model}/{method}/s{seed}/t{training_seed}.tsv"
    wildcard_constraints:
        method=one_of([name for name in METHODS if paths.trains(name)]),
    conda:
        ENVIRONMENT
    threads: lambda w: paths.threads(w.model)
    resources:
        gpu=lambda w: paths.gpus_to_train(w.model),
        mem_mb=lambda w, attempt: memory("train_adapter", w.model, w, attempt),
        runtime=lambda w: paths.runtime(w.model, "train_adapter"),
        attempt=number,
    params:
        card=lambda w: settings.params("train_adapter", model=w.model),
        code=fingerprint("train_adapter"),
    shell:
        "tmap --job {log} {resources.attempt} {resources.runtime}"
        " train-adapter {wildcards.model} --seed {wildcards.training_seed}"
        " --subset {input.subset} --pool {input.pool} --model-file {input.model}"
        " --adapter {output.weights} --report {output.report}"
        f" {CHECKPOINTS} 2>&1 | tee {{log}}"


rule evaluate_adapter:
    input:
        adapter=lambda w: paths.adapter_files("adapter_model.safetensors", **w),
        config=lambda w: paths.adapter_files("adapter_config.json", **w),
        questions="results/{dataset}/questions_test.parquet",
        model="results/models/{model}.json",
    output:
        "results/{dataset}/{model}/{method}/s{seed}/t{training_seed}/predictions.parquet",
    log:
        "results/logs/evaluate_adapter/{dataset}/{model}/{method}/s{seed}/t{training_seed}.log",
    benchmark:
        "results/benchmarks/evaluate_adapter/{dataset}/{model}/{method}/s{seed}/t{training_seed}.tsv"
    conda:
        ENVIRONMENT
    threads: lambda w: paths.threads(w.model)
    resources:
        gpu=lambda w: paths.gpus_to_answer(w.model),
        mem_mb=lambda w, attempt: memory("evaluate_adapter", w.model, w, attempt),
        runtime=lambda w: paths.runtime(w.model, "evaluate_adapter"),
        attempt=number,
    params:
        demos="",
        card=lambda w: settings.params(
            "evaluate_adapter", dataset=w.dataset, model=w.model
        ),
        code=fingerprint("evaluate_adapter"),
    shell:
        "tmap --job {log} {resources.attempt} {resources.runtime}"
        " evaluate-adapter {wildcards.dataset} {wildcards.model} {params.demos}"
        " --adapter '{input.adapter}' --questions {input.questions}"
        " --model-file {input.model} --output {output} 2>&1 | tee {log}"


rule collect_metrics:
    input:
        questions="results/{dataset}/questions_test.parquet",
        pool="results/{dataset}/pool.parquet",
        rejected="results/{dataset}/pool.rejected.parquet",
        tiny="results/{dataset}/tiny.parquet",
        confirm="results/{dataset}/confirm.parquet",
        anchors=lambda w: paths.own_anchors(w.dataset, SETTINGS.methods),
        model="results/models/{model}.json",
        measured=lambda w: paths.measured(
            w.dataset, w.model, SETTINGS.methods, SETTINGS.seeds, SETTINGS.certify
        ),
        cards=lambda w: paths.data_cards(
            w.dataset, w.model, SETTINGS.methods, SETTINGS.seeds
        ),
    output:
        metrics="results/{dataset}/{model}/metrics.json",
        accuracy=report(
            "results/{dataset}/{model}/accuracy.png",
            category="{dataset}",
            labels={"model": "{model}", "figure": "accuracy by method"},
        ),
        search=report(
            "results/{dataset}/{model}/search.png",
            category="{dataset}",
            labels={"model": "{model}", "figure": "reward by iteration"},
        ),
    log:
        "results/logs/collect_metrics/{dataset}/{model}.log",
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        card=lambda w: settings.params("collect_metrics", dataset=w.dataset),
        code=fingerprint("collect_metrics"),
    shell:
        "tmap collect-metrics {wildcards.dataset} {wildcards.model}"
        " --questions {input.questions} --pool {input.pool}"
        " --rejected {input.rejected} --tiny {input.tiny} --confirm {input.confirm}"
        " --anchors '{input.anchors}' --model-file {input.model}"
        " --output {output.metrics} --accuracy-plot {output.accuracy}"
        " --search-plot {output.search}"
        " -- {input.measured}"
        " 2>&1 | tee {log}"

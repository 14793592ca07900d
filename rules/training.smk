"""
Fine-tune an adapter on a subset.

READS   results/{dataset}/{model}/{method}/s{seed}/subset.parquet
        results/{dataset}/pool.parquet, or chosen.parquet of a method with rounds
WRITES  results/{dataset}/{model}/{method}/s{seed}/t{training_seed}/adapter/, train.json
PAPER   section 4.3
"""

# `keep:` and `report_to:` in the config. Not in params, because they change no number.
ADAPTER = str if SETTINGS.keep.adapters else temp
CHECKPOINTS = "--keep-checkpoints" if SETTINGS.keep.checkpoints else ""
CURVES = dag.training.curves(SETTINGS.report_to)


rule train_adapter:
    input:
        subset="results/{dataset}/{model}/{method}/s{seed}/subset.parquet",
        pool=dag.selection.pool_of_method,
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
        method=one_of([name for name in METHODS if dag.training.trains(name)]),
    conda:
        ENVIRONMENT
    threads: lambda w: dag.machines.threads(w.model)
    resources:
        gpu=lambda w: dag.machines.gpus_to_train(w.model),
        mem_mb=lambda w, attempt: memory("train_adapter", w.model, w, attempt),
        runtime=lambda w: dag.machines.runtime(w.model, "train_adapter"),
        attempt=number,
    params:
        card=lambda w: dag.params.of("train_adapter", model=w.model),
        code=fingerprint("train_adapter"),
    shell:
        "tmap --job {log} {resources.attempt} {resources.runtime}"
        " train-adapter {wildcards.model} --seed {wildcards.training_seed}"
        " --subset {input.subset} --pool {input.pool} --model-file {input.model}"
        " --adapter {output.weights} --report {output.report}"
        f" {CHECKPOINTS} {CURVES} 2>&1 | tee {{log}}"

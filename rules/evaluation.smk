"""
Answer the test questions with or without an adapter.

READS   results/{dataset}/{model}/{method}/s{seed}/t{training_seed}/adapter/
        results/{dataset}/questions_test.parquet
WRITES  results/{dataset}/{model}/{method}/s{seed}/t{training_seed}/predictions.parquet
PAPER   section 4.1
"""


rule evaluate_adapter:
    input:
        adapter=lambda w: dag.evaluation.adapter_files("adapter_model.safetensors", **w),
        config=lambda w: dag.evaluation.adapter_files("adapter_config.json", **w),
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
    threads: lambda w: dag.machines.threads(w.model)
    resources:
        gpu=lambda w: dag.machines.gpus_to_answer(w.model),
        mem_mb=lambda w, attempt: memory("evaluate_adapter", w.model, w, attempt),
        runtime=lambda w: dag.machines.runtime(w.model, "evaluate_adapter"),
        attempt=number,
    params:
        demos="",
        card=lambda w: dag.params.of(
            "evaluate_adapter", dataset=w.dataset, model=w.model
        ),
        code=fingerprint("evaluate_adapter"),
    shell:
        "tmap --job {log} {resources.attempt} {resources.runtime}"
        " evaluate-adapter {wildcards.dataset} {wildcards.model} {params.demos}"
        " --adapter '{input.adapter}' --questions {input.questions}"
        " --model-file {input.model} --output {output} 2>&1 | tee {log}"

"""
Measure gradients of a proxy model, which `less` and `evoselect` compare.

READS   results/{dataset}/pool.parquet, questions_reward.parquet, confirm.parquet
        results/models/{proxy}.json
WRITES  results/{dataset}/targets.parquet
        results/{dataset}/gradients/{proxy}/warmup.safetensors, warmup.json
        .../candidates.parquet, candidates.npy, questions.parquet, questions.npy
        results/store/gradients/                 survives kills; not an output
PAPER   LESS (arXiv:2402.04333), section 3; EvoSelect
"""


rule fetch_targets:
    input:
        dag.data.local_source("questions"),
        questions="results/{dataset}/questions_reward.parquet",
        confirm="results/{dataset}/confirm.parquet",
    output:
        "results/{dataset}/targets.parquet",
    log:
        "results/logs/fetch_targets/{dataset}.log",
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        card=lambda w: dag.params.of("fetch_targets", dataset=w.dataset),
        files=dag.data.stamps("questions"),
        code=fingerprint("fetch_targets"),
    shell:
        "tmap fetch-targets {wildcards.dataset} --questions {input.questions}"
        " --confirm {input.confirm} --output {output} 2>&1 | tee {log}"


rule warm_up_proxy:
    input:
        pool="results/{dataset}/pool.parquet",
        model="results/models/{proxy}.json",
    output:
        checkpoints="results/{dataset}/gradients/{proxy}/warmup.safetensors",
        report="results/{dataset}/gradients/{proxy}/warmup.json",
    log:
        "results/logs/warm_up_proxy/{dataset}/{proxy}.log",
    benchmark:
        "results/benchmarks/warm_up_proxy/{dataset}/{proxy}.tsv"
    conda:
        ENVIRONMENT
    threads: lambda w: dag.machines.threads(w.proxy)
    resources:
        gpu=lambda w: dag.machines.gpu(w.proxy),
        mem_mb=lambda w, attempt: memory("warm_up_proxy", w.proxy, w, attempt),
        runtime=lambda w: dag.machines.runtime(w.proxy, "warm_up_proxy"),
        attempt=number,
    params:
        card=lambda w: dag.params.of("warm_up_proxy", dataset=w.dataset, proxy=w.proxy),
        code=fingerprint("warm_up_proxy"),
    shell:
        "tmap --job {log} {resources.attempt} {resources.runtime}"
        " warm-up-proxy {wildcards.dataset} {wildcards.proxy} --pool {input.pool}"
        " --model-file {input.model} --output {output.checkpoints}"
        " --report {output.report} 2>&1 | tee {log}"


rule measure_gradients:
    input:
        warm=lambda w: dag.gradients.warmup_file(w.dataset, w.proxy),
        pool="results/{dataset}/pool.parquet",
        model="results/models/{proxy}.json",
    output:
        temp("results/{dataset}/gradients/{proxy}/shard-{shard}-of-{shards}.json"),
    log:
        "results/logs/measure_gradients/{dataset}/{proxy}/{shard}-of-{shards}.log",
    benchmark:
        "results/benchmarks/measure_gradients/{dataset}/{proxy}/{shard}-of-{shards}.tsv"
    wildcard_constraints:
        shard="[0-9]+",
        shards="[0-9]+",
    conda:
        ENVIRONMENT
    threads: lambda w: dag.machines.threads(w.proxy)
    resources:
        gpu=lambda w: dag.machines.gpu(w.proxy),
        mem_mb=lambda w, attempt: memory("measure_gradients", w.proxy, w, attempt),
        runtime=lambda w: dag.machines.runtime(w.proxy, "gradients"),
        attempt=number,
    params:
        card=lambda w: dag.params.of(
            "measure_gradients", dataset=w.dataset, proxy=w.proxy
        ),
        code=fingerprint("measure_gradients"),
    shell:
        "tmap --job {log} {resources.attempt} {resources.runtime}"
        " measure-gradients {wildcards.dataset} {wildcards.proxy}"
        " {wildcards.shard}/{wildcards.shards} --pool {input.pool}"
        " --model-file {input.model} --warm '{input.warm}'"
        " --output {output} 2>&1 | tee {log}"


rule gradients:
    input:
        shards=lambda w: dag.gradients.shards(w.dataset, w.proxy),
        warm=lambda w: dag.gradients.warmup_file(w.dataset, w.proxy),
        pool="results/{dataset}/pool.parquet",
        targets="results/{dataset}/targets.parquet",
        model="results/models/{proxy}.json",
    output:
        candidates="results/{dataset}/gradients/{proxy}/candidates.parquet",
        vectors="results/{dataset}/gradients/{proxy}/candidates.npy",
        questions="results/{dataset}/gradients/{proxy}/questions.parquet",
        aims="results/{dataset}/gradients/{proxy}/questions.npy",
    log:
        "results/logs/gradients/{dataset}/{proxy}.log",
    benchmark:
        "results/benchmarks/gradients/{dataset}/{proxy}.tsv"
    conda:
        ENVIRONMENT
    threads: lambda w: dag.machines.threads(w.proxy)
    resources:
        gpu=lambda w: dag.machines.gpu(w.proxy),
        mem_mb=lambda w, attempt: memory("gradients", w.proxy, w, attempt),
        runtime=lambda w: dag.machines.runtime(w.proxy, "gradients"),
        attempt=number,
    params:
        proxy=lambda w: w.proxy,
        folder=lambda w, output: str(Path(output.candidates).parent),
        card=lambda w: dag.params.of("gradients", dataset=w.dataset, proxy=w.proxy),
        code=fingerprint("gradients"),
    shell:
        "tmap --job {log} {resources.attempt} {resources.runtime}"
        " gradients {wildcards.dataset} {params.proxy} --pool {input.pool}"
        " --targets {input.targets} --model-file {input.model} --warm '{input.warm}'"
        " --output {params.folder} 2>&1 | tee {log}"

"""
Fetch pool, questions, history and models. Only these rules use the network.

READS   sources named by the cards: local files, hub ids, addresses
WRITES  results/{dataset}/pool.parquet, pool.rejected.parquet
        results/{dataset}/undistilled.parquet          pools that a teacher rewrites
        results/{dataset}/pool_labels.parquet          generated pools only
        results/{dataset}/questions_reward.parquet, questions_test.parquet
        results/{dataset}/question_ngrams.parquet
        results/{dataset}/responses.parquet
        results/models/{model}.json
PAPER   sections 4.1, 4.4.2 and C.1
"""


rule fetch_questions:
    input:
        dag.data.local_source("questions"),
    output:
        reward="results/{dataset}/questions_reward.parquet",
        test="results/{dataset}/questions_test.parquet",
        ngrams="results/{dataset}/question_ngrams.parquet",
    log:
        "results/logs/fetch_questions/{dataset}.log",
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        card=lambda w: dag.params.of("fetch_questions", dataset=w.dataset),
        files=dag.data.stamps("questions"),
        code=fingerprint("fetch_questions"),
    shell:
        "tmap fetch-questions {wildcards.dataset} --reward {output.reward}"
        " --test {output.test} --ngrams {output.ngrams} 2>&1 | tee {log}"


rule fetch_pool:
    input:
        dag.data.local_source("pool"),
        ngrams="results/{dataset}/question_ngrams.parquet",
    output:
        pool="results/{dataset}/pool.parquet",
        rejected="results/{dataset}/pool.rejected.parquet",
    log:
        "results/logs/fetch_pool/{dataset}.log",
    wildcard_constraints:
        dataset=one_of(set(cards.names("datasets")) - set(dag.data.distilled())),
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        card=lambda w: dag.params.of("fetch_pool", dataset=w.dataset),
        files=dag.data.stamps("pool"),
        code=fingerprint("fetch_pool"),
    shell:
        "tmap fetch-pool {wildcards.dataset} --ngrams {input.ngrams}"
        " --output {output.pool} --rejected {output.rejected} 2>&1 | tee {log}"


use rule fetch_pool as fetch_undistilled_pool with:
    output:
        pool="results/{dataset}/undistilled.parquet",
        rejected="results/{dataset}/undistilled.rejected.parquet",
    wildcard_constraints:
        dataset=one_of(dag.data.distilled()),


rule distil_pool:
    input:
        pool="results/{dataset}/undistilled.parquet",
        models=lambda w: [
            dag.data.model_file(m) for m in [dag.data.teacher(w.dataset)] if m
        ],
    output:
        pool="results/{dataset}/pool.parquet",
        rejected="results/{dataset}/pool.rejected.parquet",
    log:
        "results/logs/distil_pool/{dataset}.log",
    benchmark:
        "results/benchmarks/distil_pool/{dataset}.tsv"
    wildcard_constraints:
        dataset=one_of(dag.data.distilled()),
    conda:
        ENVIRONMENT
    threads: lambda w: dag.machines.threads(dag.data.teacher(w.dataset))
    resources:
        gpu=lambda w: dag.machines.gpu(dag.data.teacher(w.dataset)),
        mem_mb=lambda w, attempt: memory(
            "distil_pool", dag.data.teacher(w.dataset), w, attempt
        ),
        runtime=lambda w: dag.machines.minutes_to_distil(w.dataset),
        attempt=number,
    params:
        card=lambda w: dag.params.of("distil_pool", dataset=w.dataset),
        code=fingerprint("distil_pool"),
    shell:
        "tmap --job {log} {resources.attempt} {resources.runtime}"
        " distil-pool {wildcards.dataset} --pool {input.pool}"
        " --model-file '{input.models}' --output {output.pool}"
        " --rejected {output.rejected} 2>&1 | tee {log}"


rule label_pool:
    input:
        "results/{dataset}/pool.parquet",
    output:
        "results/{dataset}/pool_labels.parquet",
    log:
        "results/logs/label_pool/{dataset}.log",
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        card=lambda w: dag.params.of("label_pool", dataset=w.dataset),
        code=fingerprint("label_pool"),
    shell:
        "tmap label-pool {wildcards.dataset} --pool {input} --output {output}"
        " 2>&1 | tee {log}"


rule fetch_responses:
    input:
        dag.data.local_source("responses"),
        questions="results/{dataset}/questions_reward.parquet",
    output:
        "results/{dataset}/responses.parquet",
    log:
        "results/logs/fetch_responses/{dataset}.log",
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        card=lambda w: dag.params.of("fetch_responses", dataset=w.dataset),
        files=dag.data.stamps("responses"),
        code=fingerprint("fetch_responses"),
    shell:
        "tmap fetch-responses {wildcards.dataset} --questions {input.questions}"
        " --output {output} 2>&1 | tee {log}"


rule fetch_model:
    input:
        dag.data.local_model,
    output:
        "results/models/{model}.json",
    log:
        "results/logs/fetch_model/{model}.log",
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        card=lambda w: dag.params.of("fetch_model", model=w.model),
        files=dag.data.model_stamps,
        code=fingerprint("fetch_model"),
    shell:
        "tmap fetch-model {wildcards.model} --output {output} 2>&1 | tee {log}"
